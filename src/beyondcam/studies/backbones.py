"""Whether saliency beats CAM for other networks, convolutional or not, pretrained or not."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

from beyondcam.classifier.config import CONVNET
from beyondcam.errors import BeyondcamError, MissingWeightsError
from beyondcam.metrics import Scores, number
from beyondcam.metrics.text import signed
from beyondcam.studies import map_pairs
from beyondcam.studies.finding import Finding, Plot, Table
from beyondcam.studies.map_pairs import MapPair
from beyondcam.studies.workspace import Setup, Workspace

LITE = "tf_efficientnet_lite0"
VIT = "vit_tiny_patch16_224,img_size=64,patch_size=8,depth=6,embed_dim=96"


class Network(NamedTuple):
    """A network that is trained on the digits."""

    name: str
    changes: Mapping[str, object]  # to the usual settings
    epochs_factor: int = 1  # for networks that learn slowly, except on a quick budget
    slow: bool = False  # left out on a quick budget


# At 64 pixels a stride of 32 would leave a CAM of 2 × 2. A stride of 16 gives 4 × 4 at an acceptable cost,
# and the transformer's patches of 8 pixels give 8 × 8.
FROM_SCRATCH = (
    Network("convnet", {}),
    Network(LITE, {"pretrained": False, "output_stride": 16, "lr": 2e-3}, epochs_factor=3, slow=True),
    Network(VIT, {"pretrained": False, "lr": 1e-3}, epochs_factor=6),
    Network("resnet50", {"pretrained": False, "output_stride": 16, "lr": 1e-3}, slow=True),
)


@dataclass(frozen=True)
class BackbonesSettings:
    """The networks compared: on the digits, and on a RUN if their weights are available."""

    from_scratch: tuple[Network, ...] = FROM_SCRATCH
    pretrained: tuple[str, ...] = (LITE, "tf_efficientnet_lite2", "resnet50", "vit_tiny_patch16_224")


class Result(NamedTuple):
    """A network and the scores of both pairs of maps."""

    setup: Setup
    scores: Scores


def study_backbones(workspace: Workspace, settings: BackbonesSettings = BackbonesSettings()) -> Finding:
    """Score both pairs of maps on every network; networks that are not available are named in the notes."""
    results: dict[str, Result] = {}
    for name, owner, setup in networks(workspace, settings):
        evidence = owner.map_images(setup, map_pairs.recipes())
        results[name] = Result(setup, owner.score(setup, evidence))
    verdicts = "; ".join(f"{pair.label} {verdict(results, pair)}" for pair in map_pairs.BOTH)
    qualities = "; ".join(f"{name} {result.setup.quality}" for name, result in results.items())
    statement = (
        f"Over {len(results)} networks, in mIoU: {verdicts} (all smoothed, {map_pairs.CROPS} crops weighted "
        f"by score, oracle τ). Quality of the classifiers: {qualities}."
    )
    known = [(r.setup.mean_ap, r.scores) for r in results.values() if r.setup.mean_ap is not None]
    known.sort(key=itemgetter(0))
    plot = Plot(
        "mIoU minus that of CAM, by the quality of the classifier", "mAP on val", "difference of mIoU",
        {pair.label: [pair.point(x, scores) for x, scores in known] for pair in map_pairs.BOTH},
        joined=False,
    )  # fmt: skip
    return Finding(statement, (network_table(results),), (plot,))


def networks(workspace: Workspace, settings: BackbonesSettings) -> Iterator[tuple[str, Workspace, Setup]]:
    """Name, workspace and setup of every network, trained where it has not been yet."""
    changes: dict[str, dict[str, object]] = {}
    if workspace.run is None:
        for network in settings.from_scratch:
            if network.slow and not workspace.budget.thorough:
                workspace.notes[f"without {network.name}"] = "too slow for a quick study"
                continue
            epochs = workspace.epochs * (network.epochs_factor if workspace.budget.thorough else 1)
            changes[network.name] = {**network.changes, "epochs": epochs}
    else:
        yield workspace.config.backbone, workspace, workspace.main_setup()
        for other in workspace.others:
            data = other.config.data
            if data != workspace.config.data:
                raise BeyondcamError(f"{other.run}: was trained on {data}, not on {workspace.config.data}")
            yield f"{other.config.backbone} of {other.run}", other, other.main_setup()
        present = {each.config.backbone for each in (workspace, *workspace.others)}
        unset = dict.fromkeys(("weights", "output_stride", "start", "perturb"))
        set_back = {**unset, **CONVNET, "pretrained": True}
        changes = {name: set_back for name in settings.pretrained if name not in present}
    for name, of_network in changes.items():
        try:
            folder = name.partition(",")[0]
            yield name, workspace, workspace.train_setup(folder, backbone=name, **of_network)
        except MissingWeightsError as error:
            workspace.notes[f"without {name}"] = str(error)


def verdict(results: Mapping[str, Result], pair: MapPair) -> str:
    """On how many networks the difference of a pair is clear, and its range."""
    differences = {name: pair.difference(result.scores) for name, result in results.items()}
    least, most = (extreme(differences, key=lambda name: differences[name][0]) for extreme in (min, max))
    above = sum(low > 0 for _, low, _ in differences.values())
    below = sum(high < 0 for *_, high in differences.values())
    return (
        f"has its 95 % interval above zero on {above} of them and below on {below}, from "
        f"{signed(differences[least])} ({least}) to {signed(differences[most])} ({most})"
    )


def network_table(results: Mapping[str, Result]) -> Table:
    """One row per network."""
    rows = []
    for name, (setup, scores) in results.items():
        positions = f"{map_pairs.cam_positions(setup.classifier)} of {setup.classifier.size} px"
        window = f"{setup.window:g}" if setup.window else "–"
        rows.append((name, number(setup.mean_ap), positions, window, *map_pairs.cells(scores)))
    head = ("network", "mAP", "positions of the CAM", "window, px", *map_pairs.HEAD)
    return Table("All maps smoothed, oracle τ", head, rows)
