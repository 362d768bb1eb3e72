"""Recipes: map + perturbation + refinements, or a combination of recipes, written in TOML."""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from operator import or_
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, ValidationError, model_validator
from torch import Tensor

from beyondcam.data import Photo
from beyondcam.errors import BeyondcamError, first_complaint
from beyondcam.files import hash_of
from beyondcam.maps import MAPS
from beyondcam.perturbations import PERTURBATIONS, Perturbation, Plain
from beyondcam.refinements import REFINEMENTS, Refinement, by_maximum


def _one_of(classes: tuple[type[BaseModel], ...]) -> Any:
    """The type of a table whose `kind` says which of the classes it is."""
    union: Any = classes[0]
    for c in classes[1:]:
        union = or_(union, c)
    return Annotated[union, Field(discriminator="kind")]


NONE: Mapping[float, Tensor] = {}
"""The affinities of recipes that ask for none."""

Weight = Literal["none", "score", "share"]
Statistic = Literal["mean", "square", "variance"]


class Source(BaseModel):
    """What is asked of the network: a map, over the views of a perturbation.

    Parameters
    ----------
    map : name of a map.
    perturbation : whose views the map is averaged over.
    weight : what the map of a view is multiplied by: "score", the class's probability in it; "share", that
        divided by the sum over the image's targets; "none", nothing.
    normalise : divide the map of each view by its own mean first.
    statistic : "mean" of the views' maps, "square" for the mean of their squares (SmoothGrad's variant),
        "variance" (VarGrad; Adebayo et al. 2018, arXiv 1810.03307) for what the two differ by.

    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    map: str
    perturbation: SerializeAsAny[Perturbation] = Plain()
    weight: Weight = "none"
    normalise: bool = False
    statistic: Annotated[Statistic, Field(exclude_if=lambda statistic: statistic == "mean")] = "mean"


class Recipe(BaseModel):
    """A named way from an image to its maps: one source or several recipes combined, then refined.

    Raw maps of its sources go in, refined maps come out; the network is asked elsewhere, once for all
    recipes that share a source.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Source | None = None
    combine: Literal["mean", "geometric-mean"] | None = None
    of: tuple["Recipe", ...] = ()
    refine: tuple[SerializeAsAny[Refinement], ...] = ()

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.source is None) != (self.combine is not None and len(self.of) > 1):
            raise ValueError("a recipe has either a map, or `combine` and at least two recipes in `of`")
        return self

    @property
    def hash(self) -> str:
        """Ten hexadecimal digits that change with anything the recipe says."""
        return hash_of(self.model_dump(mode="json"))

    @property
    def refines(self) -> bool:
        """Whether there is more to do than to average and combine."""
        return bool(self.refine) or any(part.refines for part in self.of)

    def sources(self) -> set[Source]:
        """The raw maps it needs."""
        own = {self.source} if self.source else set()
        return own.union(*(part.sources() for part in self.of))

    def asks(self) -> set[float]:
        """The input sizes that its refinements need affinities of."""
        own = {refinement.asks for refinement in self.refine if refinement.asks is not None}
        return own.union(*(part.asks() for part in self.of))

    def prepare(self, photo: Photo) -> None:
        """Have its refinements do what recipes share."""
        for part in self.of:
            part.prepare(photo)
        for refinement in self.refine:
            refinement.prepare(photo)

    def finish(
        self, photo: Photo, raw: Mapping[Source, Tensor], affinities: Mapping[float, Tensor] = NONE
    ) -> Tensor:
        """Combine and refine: raw maps (k, H, W) of each source → maps (k, H, W).

        `affinities` (n, n) are those of each size that `asks` names.
        """
        maps = raw[self.source] if self.source else self._combined(photo, raw, affinities)
        for refinement in self.refine:
            asked = () if refinement.asks is None else (affinities[refinement.asks],)
            maps = refinement(photo, maps, *asked)
        return maps

    def _combined(
        self, photo: Photo, raw: Mapping[Source, Tensor], affinities: Mapping[float, Tensor]
    ) -> Tensor:
        parts = torch.stack([by_maximum(part.finish(photo, raw, affinities)) for part in self.of])
        return parts.mean(0) if self.combine == "mean" else parts.prod(0) ** (1 / len(parts))


class _Written(BaseModel):
    """A recipe as TOML has it."""

    model_config = ConfigDict(extra="forbid")

    map: Literal[tuple(MAPS)] | None = None  # type: ignore[valid-type]
    perturbation: _one_of(PERTURBATIONS) = Plain()  # type: ignore[valid-type]
    weight: Weight = "none"
    normalise: bool = False
    statistic: Statistic = "mean"
    combine: Literal["mean", "geometric-mean"] | None = None
    of: tuple[str, ...] = ()
    refine: tuple[_one_of(REFINEMENTS), ...] = ()  # type: ignore[valid-type]

    @model_validator(mode="after")
    def _either(self) -> Self:
        said = self.model_fields_set
        a, b = said & set(Source.model_fields), said & {"combine", "of"}
        if a and b:
            raise ValueError(f"`{min(a)}` and `{min(b)}` do not go together")
        return self


_Name = Annotated[str, Field(pattern=r"^\w[\w.-]*$")]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    recipes: dict[_Name, _Written] = {}
    refinements: dict[_Name, _one_of(REFINEMENTS)] = {}  # type: ignore[valid-type]


class Cookbook:
    """The built-in recipes and, where given, those of a user's file, which come first."""

    def __init__(self, path: Path | None = None) -> None:
        own = _builtin() if path is None else _parse(path.read_text, str(path))
        self.recipes = _builtin().recipes | own.recipes
        self.refinements = _builtin().refinements | own.refinements

    def recipe(self, name: str, within: tuple[str, ...] = ()) -> Recipe:
        """A recipe by name, `NAME` or `NAME+REFINEMENT+...`. Raises `BeyondcamError`."""
        base, *steps = name.split("+")
        where = f"recipe {within[-1]}: `of`" if within else f"--recipe {name}"
        if base in within:
            raise BeyondcamError(f"{where}: {base} leads back to itself")
        if base not in self.recipes:
            raise BeyondcamError(f"{where}: no recipe {base!r}; there are {', '.join(self.recipes)}")
        for step in steps:
            if step not in self.refinements:
                known = ", ".join(self.refinements)
                raise BeyondcamError(f"--recipe {name}: no refinement {step!r}; there are {known}")
        written = self.recipes[base]
        refine = (*written.refine, *(self.refinements[step] for step in steps))
        try:
            if written.map is None:
                parts = tuple(self.recipe(part, (*within, base)) for part in written.of)
                return Recipe(combine=written.combine, of=parts, refine=refine)
            source = Source(**{field: getattr(written, field) for field in Source.model_fields})
            return Recipe(source=source, refine=refine)
        except ValidationError as error:
            raise BeyondcamError(f"recipe {base}: {_first(error)}") from None


@cache
def _builtin() -> _File:
    resource = files("beyondcam.recipes").joinpath("builtin.toml")
    return _parse(resource.read_text, "builtin.toml")


def _parse(read: Any, where: str) -> _File:
    try:
        return _File.model_validate(tomllib.loads(read(encoding="utf-8")))
    except FileNotFoundError:
        raise BeyondcamError(f"{where}: no such recipes file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BeyondcamError(f"{where}: not readable as TOML ({error})") from None
    except ValidationError as error:
        raise BeyondcamError(f"{where}: {_first(error)}") from None


def _first(error: ValidationError) -> str:
    """The first complaint of pydantic, as `field: what`."""
    fields, what = first_complaint(error)
    return f"{'.'.join(fields)}: {what}" if fields else what
