"""Recipes: a map averaged over a perturbation, or a combination of recipes, then refined."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PlainSerializer,
    SerializeAsAny,
    ValidationError,
    model_validator,
)
from torch import Tensor

from beyondcam.data import Photo
from beyondcam.errors import BeyondcamError, one_line
from beyondcam.files import hash_of
from beyondcam.maps import MAPS, Map
from beyondcam.perturbations import PERTURBATIONS, Perturbation, Plain
from beyondcam.refinements import REFINEMENTS, Refinement, by_maximum

NO_AFFINITIES: Mapping[float, Tensor] = {}

Weight = Literal["none", "score", "share"]
Statistic = Literal["mean", "square", "variance"]


def _read_map(value: object) -> Map:
    """A map from its name, from a table with its settings, or as it is."""
    read = MAPS.read({"kind": value} if isinstance(value, str) else value)
    if not isinstance(read, Map):
        raise ValueError(f"a map's name or table is needed, not {value!r}")
    return read


def _write_map(value: Map) -> str | dict[str, Any]:
    """The name alone where all settings are the defaults, so that a new setting changes no old hash."""
    return value.model_dump(mode="json") if value.model_dump(exclude_defaults=True) else value.kind


AnyMap = Annotated[Any, BeforeValidator(_read_map), PlainSerializer(_write_map)]
AnyPerturbation = Annotated[SerializeAsAny[Perturbation], BeforeValidator(PERTURBATIONS.read)]
AnyRefinement = Annotated[SerializeAsAny[Refinement], BeforeValidator(REFINEMENTS.read)]


class _OneLine(BaseModel):
    """Settings whose errors are one line that names the field."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="wrap")
    @classmethod
    def _in_one_line(cls, value: object, validate: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return validate(value)
        except ValidationError as error:
            raise BeyondcamError(one_line(error)) from None


class Source(_OneLine):
    """What the network is run for: a map, averaged over the views of a perturbation.

    Parameters
    ----------
    map : a `Map`, the name of one, or a table with its `kind` and settings.
    perturbation : a `Perturbation` or its table; the map is averaged over its views.
    weight : what the map of a view is multiplied by: "score", the class's probability in the view; "share",
        that divided by its sum over the image's targets; "none", nothing.
    normalise : divide the map of each view by the mean of its absolute values first.
    statistic : "mean" of the views' maps; "square", the mean of their squares (SmoothGrad's variant);
        "variance", the mean of the squares less the square of the mean (VarGrad; Adebayo et al. 2018,
        arXiv 1810.03307).

    Raises
    ------
    BeyondcamError
        In one line that names the field, such as `map: no map 'kam'; there are cam, ...`.

    """

    map: AnyMap
    perturbation: AnyPerturbation = Plain()
    weight: Weight = "none"
    normalise: bool = False
    statistic: Annotated[Statistic, Field(exclude_if=lambda statistic: statistic == "mean")] = "mean"


class Recipe(_OneLine):
    """A way from an image to its maps: one source, or several recipes combined, then refined.

    A recipe turns raw maps of its sources into refined maps. The network is run elsewhere, once for all
    recipes that share a source.

    Parameters
    ----------
    source : where its maps come from, if it combines nothing.
    combine : "mean" or "geometric-mean" of the maps of the recipes in `of`, each divided by its maximum.
    of : the recipes that are combined, at least two; one that is named twice counts twice.
    refine : the refinements, in their order.

    Raises
    ------
    BeyondcamError
        In one line that names the field.

    Examples
    --------
    >>> Recipe(source={"map": "saliency"}, refine=({"kind": "smooth"},)).refine
    (Smooth(kind='smooth', sigma=0.016),)

    """

    source: Source | None = None
    combine: Literal["mean", "geometric-mean"] | None = None
    of: tuple["Recipe", ...] = ()
    refine: tuple[AnyRefinement, ...] = ()

    @model_validator(mode="after")
    def _either(self) -> Self:
        combines = self.combine is not None and len(self.of) > 1
        if not (combines if self.source is None else self.combine is None and not self.of):
            raise BeyondcamError("a recipe has either a map, or `combine` and at least two recipes in `of`")
        return self

    @property
    def hash(self) -> str:
        """Ten hexadecimal digits that change with any setting of the recipe."""
        return hash_of(self.model_dump(mode="json"))

    @property
    def refines(self) -> bool:
        """Whether there is more to do than to average and combine."""
        return bool(self.refine) or any(part.refines for part in self.of)

    @property
    def on_cpu(self) -> bool:
        """Whether a refinement in it takes maps on the CPU alone."""
        return any(step.on_cpu for step in self.refine) or any(part.on_cpu for part in self.of)

    def sources(self) -> set[Source]:
        """The sources whose raw maps it needs."""
        sources = {self.source} if self.source else set()
        return sources.union(*(part.sources() for part in self.of))

    def affinity_sizes(self) -> set[float]:
        """The input sizes at which its refinements need affinities."""
        sizes = {step.affinity_size for step in self.refine if step.affinity_size is not None}
        return sizes.union(*(part.affinity_sizes() for part in self.of))

    def prepare(self, photo: Photo, device: torch.device) -> None:
        """Do what its refinements share with those of other recipes; maps are on the `device`."""
        for part in self.of:
            part.prepare(photo, device)
        for refinement in self.refine:
            refinement.prepare(photo, device)

    def finish(
        self, photo: Photo, raw: Mapping[Source, Tensor], affinities: Mapping[float, Tensor] = NO_AFFINITIES
    ) -> Tensor:
        """Combine and refine: raw maps (k, H, W) by source → maps (k, H, W).

        `affinities` (n, n) are those of the sizes that `affinity_sizes` names.
        """
        maps = raw[self.source] if self.source else self._combined(photo, raw, affinities)
        stages = [maps]
        for refinement in self.refine:
            size = refinement.affinity_size
            extra: list[object] = [] if size is None else [affinities[size]]
            if refinement.takes_stages:
                extra.append(stages)
            stages.append(refinement.of(photo, stages[-1], *extra))
        return stages[-1]

    def _combined(
        self, photo: Photo, raw: Mapping[Source, Tensor], affinities: Mapping[float, Tensor]
    ) -> Tensor:
        parts = torch.stack([by_maximum(part.finish(photo, raw, affinities)) for part in self.of])
        return parts.mean(0) if self.combine == "mean" else parts.prod(0) ** (1 / len(parts))
