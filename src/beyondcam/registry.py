"""Registries: the kinds of a part of recipes, built in or from other packages."""

from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from beyondcam.errors import BeyondcamError

T = TypeVar("T", bound=BaseModel)


class Registry(Generic[T]):
    """The kinds of one part of recipes: subclasses of `base`, each named by the default of its field `kind`.

    A package adds one by calling `register`, or by an entry point in its `pyproject.toml`, which is loaded
    when a recipe names it::

        [project.entry-points."beyondcam.maps"]
        mine = "my_package:Mine"

    Parameters
    ----------
    base : the class of the part.
    noun : what the part is called; the entry points' group is `beyondcam.<noun>s`.
    kinds : the built-in ones.

    """

    def __init__(self, base: type[T], noun: str, kinds: Iterable[type[T]]) -> None:
        self.base, self.noun, self.group = base, noun, f"beyondcam.{noun}s"
        self.kinds = {_kind(part): part for part in kinds}

    def register(self, part: type[T]) -> type[T]:
        """Add a kind, so that recipes can name it; may be used as a decorator.

        Raises `BeyondcamError` if it has no name or its name belongs to another class.
        """
        kind = _kind(part)
        if not (isinstance(part, type) and issubclass(part, self.base) and isinstance(kind, str)):
            raise BeyondcamError(
                f"{self.noun}: a subclass of {self.base.__name__} is needed whose field `kind` is a name, "
                f"not {part!r}"
            )
        owner, name = (f"{p.__module__}.{p.__qualname__}" for p in (self.kinds.get(kind, part), part))
        if owner != name:
            raise BeyondcamError(f"{self.noun}: {kind!r} is the name of {owner} already")
        self.kinds[kind] = part  # a class that is defined anew, as in a notebook, replaces itself
        return part

    def names(self) -> list[str]:
        """Every kind there is."""
        return list(dict.fromkeys([*self.kinds, *(point.name for point in entry_points(group=self.group))]))

    def find(self, kind: str) -> type[T]:
        """The class of a kind. Raises `ValueError` if there is none, as a validator does."""
        if kind not in self.kinds:
            for point in entry_points(group=self.group, name=kind):
                try:
                    part = point.load()
                except Exception as error:  # whatever another package's code raises
                    reason = " ".join(str(error).split())
                    raise BeyondcamError(f"{self.noun}: {kind!r} is {point.value}: {reason}") from error
                if _kind(part) != kind:
                    raise BeyondcamError(f"{self.noun}: {kind!r} is {point.value}, which is {_kind(part)!r}")
                self.register(part)
        if kind not in self.kinds:
            raise ValueError(f"no {self.noun} {kind!r}; there are {', '.join(self.names())}")
        return self.kinds[kind]

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
