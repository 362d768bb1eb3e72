"""Registries: the parts of one sort by name, built in, registered by a program or brought by a package."""

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from beyondcam.errors import BeyondcamError, one_line

P = TypeVar("P")
T = TypeVar("T", bound=BaseModel)


class Registry(Generic[P]):
    """Parts of one sort, each under a name.

    A program adds one by calling `register`; a package by an entry point in its `pyproject.toml`, which is
    loaded when somebody names it::

        [project.entry-points."beyondcam.data"]
        mine = "my_package:images"

    Parameters
    ----------
    noun : what a part is called.
    group : the entry points' group.
    kinds : the built-in parts by name.
    base : the class of the parts.

    """

    def __init__(self, noun: str, group: str, kinds: Mapping[str, P], base: Any = Callable) -> None:
        self.noun, self.group, self.base = noun, group, base
        self.kinds = dict(kinds)
        self.built_in = frozenset(kinds)

    def register(self, name: str, part: P) -> P:
        """Add a part, or replace one that was added.

        Raises `BeyondcamError` where it is no such part, or the name is that of a built-in one.
        """
        if problem := self.problem(name, part):
            raise BeyondcamError(f"{self.noun}: {problem}")
        if name in self.built_in and part is not self.kinds[name]:
            raise BeyondcamError(f"{self.noun}: {name!r} is built in; take another name")
        self.kinds[name] = part
        return part

    def problem(self, name: str, part: object) -> str | None:
        """Why a part cannot have a name, if so."""
        if isinstance(part, self.base):
            return None
        return f"{name!r} is to name a {self.base.__name__}, not {part!r}"

    def __contains__(self, name: str) -> bool:
        return name in self.kinds or name in self.names()

    def names(self) -> list[str]:
        """The names of all parts."""
        return list(dict.fromkeys([*self.kinds, *(point.name for point in entry_points(group=self.group))]))

    def find(self, name: str) -> P:
        """The part of a name. Raises `ValueError` if there is none, as a validator does."""
        if name in self.kinds:
            return self.kinds[name]
        points = tuple(entry_points(group=self.group, name=name))
        if not points:
            raise ValueError(f"no {self.noun} {name!r}; there are {', '.join(self.names())}")
        values = " and ".join(point.value for point in points)
        if len(points) > 1:
            raise BeyondcamError(f"{self.noun}: {name!r} is {values}; uninstall the package of one")
        try:
            part = points[0].load()
        except Exception as error:  # whatever another package's code raises
            raise BeyondcamError(f"{self.noun}: {name!r} is {values}: {one_line(error)}") from error
        if problem := self.problem(name, part):
            raise BeyondcamError(f"{self.noun}: {name!r} is {values}: {problem}")
        return self.register(name, part)


class Kinds(Registry[type[T]]):
    """Subclasses of `base`, each named by the default of its field `kind`; parts of recipes are such."""

    def __init__(self, base: type[T], noun: str, *kinds: type[T]) -> None:
        super().__init__(noun, f"beyondcam.{noun}s", {_kind(part): part for part in kinds}, base)

    def add(self, part: type[T]) -> type[T]:
        """Register a class under the name that it gives itself; may be used as a decorator.

        Parameters
        ----------
        part
            a subclass of the base, whose field `kind` has the name as its default.

        Returns
        -------
        The class. One that is registered again under its name, as in a notebook, replaces the earlier.

        Raises
        ------
        BeyondcamError
            Where it is no such class, or its name is that of a built-in one.

        """
        return self.register(_kind(part), part)

    def problem(self, name: str, part: object) -> str | None:
        """Why a class cannot have a name, if so."""
        kind = _kind(part)
        if isinstance(part, type) and issubclass(part, self.base) and isinstance(kind, str):
            return None if kind == name else f"its `kind` is {kind!r}"
        return f"a subclass of {self.base.__name__} is needed whose field `kind` is a name, not {part!r}"

    def read(self, value: object) -> object:
        """Turn a table, whose `kind` names its class, into a setting; anything else is left as it is."""
        if not isinstance(value, Mapping):
            return value
        kind = value.get("kind")
        if not isinstance(kind, str):
            raise ValueError(f"`kind` names the {self.noun}: {', '.join(self.names())}")
        return self.find(kind).model_validate(value)


def _kind(part: Any) -> Any:
    """The name that a class gives itself."""
    field = getattr(part, "model_fields", {}).get("kind")
    return getattr(field, "default", None)
