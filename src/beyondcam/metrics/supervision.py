"""The ledger of supervision: what a result has seen besides the images and their labels."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from beyondcam.classifier import read_config
from beyondcam.errors import BeyondcamError

PHOTOS_AND_DIGITS = ("VOC animals", "digits")
TUNED_ON = {
    "walk": PHOTOS_AND_DIGITS,
    "affinity": PHOTOS_AND_DIGITS,
    "blind": PHOTOS_AND_DIGITS,
    "closer": ("magnetic tiles", "VOC animals"),
    "adaptive": ("magnetic tiles", *PHOTOS_AND_DIGITS),
    "size": PHOTOS_AND_DIGITS,
    "network": ("magnetic tiles", *PHOTOS_AND_DIGITS),
}
"""What was chosen on masks of training images, and of which data: constants of refinements and rules, input
sizes of views other than the network's, settings of a segmentation network."""


class Supervision(BaseModel):
    """What a row has seen. None stands for what is not known, as of maps that other programs made.

    Attributes
    ----------
    pretrained : what the classifier had learnt before it was given these data.
    threshold : whose masks chose τ.
    views : the perturbations that its maps are means over, the field's test-time augmentation.
    crf : whether a CRF refined them.
    tuned_on : data whose masks chose the constants of its recipe and its rule.

    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pretrained: str | None
    threshold: str | None
    views: tuple[str, ...] | None
    crf: bool | None
    tuned_on: tuple[str, ...] | None

    def __str__(self) -> str:
        views = "unknown" if self.views is None else ", ".join(self.views) or "one"
        crf = {None: "CRF unknown", True: "CRF", False: "no CRF"}[self.crf]
        tuned = "unknown" if self.tuned_on is None else ", ".join(self.tuned_on) or "none"
        return (
            f"pretrained on {self.pretrained or 'unknown'}; masks for τ: {self.threshold or 'unknown'}; "
            f"views: {views}; {crf}; masks for constants: {tuned}"
        )


def supervision_of(
    pretrained: str | None, recipe: Mapping[str, Any] | str, rule: str, chosen_on: str | None = None
) -> Supervision:
    """The ledger of a recipe, as a shelf's manifest has it, under a threshold rule.

    `chosen_on` names the masks of another split that chose τ, if they did.
    """
    known = {"fixed": None, "oracle": "those scored"}  # who gave τ may have seen any
    threshold = chosen_on or known.get(rule, "none")
    if isinstance(recipe, str):
        return Supervision(pretrained=pretrained, threshold=threshold, views=None, crf=None, tuned_on=None)
    kinds = {rule, *(table["kind"] for table in _tables(recipe) if "kind" in table)}
    perturbations = [table["perturbation"] for table in _tables(recipe) if "perturbation" in table]
    if any(p.get("size", 1) != 1 for p in perturbations):
        kinds.add("size")
    views = {f"{p.get('n', '')} {p['kind']}".strip() for p in perturbations if p["kind"] != "plain"}
    tuned = {data for kind in kinds for data in TUNED_ON.get(kind, ())}
    return Supervision(
        pretrained=pretrained, threshold=threshold, views=tuple(sorted(views)), crf="crf" in kinds,
        tuned_on=tuple(sorted(tuned)),
    )  # fmt: skip


def supervision_of_network(*, pretrained: bool, mirrored: bool, seeds: Supervision | None) -> Supervision:
    """The ledger of a segmentation network that was trained on `seeds`, or on masks where that is None."""
    own = "ImageNet" if pretrained else "nothing"
    if seeds is None:
        seeds = Supervision(pretrained=None, threshold="none", views=(), crf=False, tuned_on=())
    else:
        own += f", its classifier on {seeds.pretrained or 'unknown'}"
    tuned = None if seeds.tuned_on is None else tuple(sorted({*TUNED_ON["network"], *seeds.tuned_on}))
    return seeds.model_copy(
        update={"pretrained": own, "views": ("mirror image",) * mirrored, "tuned_on": tuned}
    )


def pretraining_of(run: Path) -> str | None:
    """What the classifier of a RUN had learnt before it was trained there; None where that is not known."""
    try:
        config, _ = read_config(run)
    except BeyondcamError:
        return None  # a library's folder of maps, which is no RUN
    if config.start is not None:
        return "another RUN's data"
    if ":" in config.backbone:  # adopted
        return f"what {config.backbone} was trained on"
    if config.backbone == "convnet" or not (config.pretrained or config.weights):
        return "nothing"
    return "ImageNet"


def _tables(value: Any) -> Iterator[Mapping[str, Any]]:
    """All tables in a recipe, at any depth."""
    if isinstance(value, Mapping):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _tables(part)
