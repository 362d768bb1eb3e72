"""Whether saliency's lead over CAM holds across networks, convolutional or not, pretrained or not."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from beyondcam.classifier import Classifier
from beyondcam.errors import BeyondcamError, MissingWeightsError
from beyondcam.metrics import Scores, number
from beyondcam.studies.bench import Bench, Subject
from beyondcam.studies.finding import Finding, Plot, Table, signed
from beyondcam.studies.pairs import HEAD, PAIRS, N, cells, grid, lead, point, recipes
from beyondcam.windows import contribution_window

LITE = "tf_efficientnet_lite0"
VIT = "vit_tiny_patch16_224,img_size=64,patch_size=8,depth=6,embed_dim=96"

SCRATCH: dict[str, dict[str, Any]] = {
    "convnet": {},
    LITE: {"pretrained": False, "output_stride": 16, "lr": 2e-3},
    VIT: {"pretrained": False, "lr": 1e-3},
    "resnet50": {"pretrained": False, "output_stride": 16, "lr": 1e-3},
}
"""What is trained on the digits, the ConvNet as usual and the others but for these settings.

At 64 pixels a stride of 32 would leave a CAM of 2 × 2: convolutional networks are asked for a stride of 16,
which gives 4 × 4 at a cost that can be borne, the transformer for patches of 8 pixels, which give 8 × 8."""

SLOW = {LITE: 3, VIT: 6}
"""Times the ConvNet's epochs, but on a small budget, for what learns next to nothing in as many."""

PRETRAINED = (LITE, "tf_efficientnet_lite2", "resnet50", "vit_tiny_patch16_224")
"""What is tuned as a RUN was, where its weights are installed or can be downloaded."""

DEAR = (LITE, "resnet50")
"""Left out on a small budget."""


class Found(NamedTuple):
    """A network as it was studied."""

    subject: Subject
    scores: Scores


def backbones(bench: Bench) -> Finding:
    """Both pairs on every network; those that cannot be had are named in the notes."""
    found: dict[str, Found] = {}
    for name, own, subject in networks(bench):
        maps = own.mapped(subject, recipes())
        found[name] = Found(subject, own.scored(subject, maps))
    verdicts = "; ".join(f"{what} {verdict(found, what)}" for what in PAIRS)
    qualities = "; ".join(f"{name} {own.subject.quality}" for name, own in found.items())
    statement = (
        f"Over {len(found)} networks, in mIoU: {verdicts} (smoothed alike, {N} crops weighted by score, "
        f"oracle τ). How well each classifies: {qualities}."
    )
    plot = Plot(
        "mIoU less that of CAM, by how well the network classifies", "mAP on val", "difference of mIoU",
        {what: [point(x, scores, what) for x, scores in by_quality(found)] for what in PAIRS}, joined=False,
    )  # fmt: skip
    return Finding(statement, (table(found),), (plot,))


def networks(bench: Bench) -> Iterator[tuple[str, Bench, Subject]]:
    """Every network to be studied by name, its bench, and itself, trained where it is not yet."""
    if bench.run is None:
        epochs, slow = bench.config.epochs, SLOW if bench.budget.dear else {}
        asked = {name: own | {"epochs": epochs * slow.get(name, 1)} for name, own in SCRATCH.items()}
    else:
        yield bench.config.backbone, bench, bench.subject()
        for own in bench.beside:
            if own.config.data != bench.config.data:
                raise BeyondcamError(
                    f"{own.run}: was trained on {own.config.data}, not on {bench.config.data}"
                )
            yield f"{own.config.backbone} of {own.run}", own, own.subject()
        there = {each.config.backbone for each in (bench, *bench.beside)}
        as_run = {"weights": None, "output_stride": None, "pretrained": True, "start": None, "perturb": None}
        asked = {name: as_run for name in PRETRAINED if name not in there}
    for name, changes in asked.items():
        if name in DEAR and bench.run is None and not bench.budget.dear:
            bench.notes[f"without {name}"] = "it takes too long for --quick"
            continue
        try:
            yield name, bench, bench.trained(name.partition(",")[0], backbone=name, **changes)
        except MissingWeightsError as error:
            bench.notes[f"without {name}"] = str(error)


def verdict(found: Mapping[str, Found], what: str) -> str:
    """On how many networks a pair's lead is clear of zero, and its range."""
    leads = {name: lead(own.scores, what) for name, own in found.items()}
    least, most = (extreme(leads, key=lambda name: leads[name][0]) for extreme in (min, max))
    above = sum(low > 0 for _, low, _ in leads.values())
    below = sum(high < 0 for *_, high in leads.values())
    return (
        f"is clearly above zero on {above} of them and clearly below on {below}, from {signed(leads[least])} "
        f"({least}) to {signed(leads[most])} ({most})"
    )


def by_quality(found: Mapping[str, Found]) -> list[tuple[float, Scores]]:
    """The scores by mAP, where there is one."""
    known = [(own.subject.mean_ap, own.scores) for own in found.values() if own.subject.mean_ap is not None]
    return sorted(known, key=lambda pair: pair[0])


def table(found: Mapping[str, Found]) -> Table:
    """A row a network."""
    rows = [
        (
            name,
            number(own.subject.mean_ap),
            f"{grid(own.subject.classifier)} of {own.subject.classifier.size} px",
            window_of(own.subject.classifier),
            *cells(own.scores),
        )
        for name, own in found.items()
    ]
    return Table(
        "Oracle τ, all smoothed alike", ("network", "mAP", "places of the CAM", "window, px", *HEAD), rows
    )


def window_of(classifier: Classifier) -> str:
    """The side of its contribution window, or a dash where that is not known."""
    try:
        return f"{contribution_window(classifier.backbone, classifier.size).size:g}"
    except BeyondcamError:
        return "–"
