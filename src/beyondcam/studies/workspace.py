"""What studies work with: the ordinary pipeline, and a folder that keeps its results."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from beyondcam.classifier import (
    Classifier,
    TrainConfig,
    digits_config,
    load_classifier,
    read_config,
    train_run,
)
from beyondcam.classifier.adopt import adopted_in
from beyondcam.classifier.config import WEIGHTS
from beyondcam.data import LabelledImages, evenly, is_digits, open_images
from beyondcam.data.masks import Masks, open_masks
from beyondcam.devices import start, to_device
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import Shelf, checkpoint_hash, map_split, open_shelf
from beyondcam.files import hash_of, read_json, write_json, write_whole
from beyondcam.maps import CAM, Map
from beyondcam.metrics import Scores, ThresholdSplit, number, score_split
from beyondcam.perturbations import Perturbation, Plain
from beyondcam.progress import Log
from beyondcam.recipes import Cookbook, Cost, Recipe, Source
from beyondcam.windows import contribution_window


@dataclass(frozen=True)
class Budget:
    """How much a study may compute.

    Attributes
    ----------
    train : digit canvases that a classifier is trained on.
    epochs : of that training.
    images : that are mapped and scored.
    repeats : the most trainings of one network with different seeds.
    thorough : whether a study's slow parts are run too; each study says which these are.

    """

    train: int
    epochs: int
    images: int
    repeats: int
    thorough: bool = True


FULL = Budget(train=2000, epochs=14, images=200, repeats=5)
QUICK = Budget(train=1600, epochs=14, images=32, repeats=2, thorough=False)

WEAK_MAP = 0.5
"""Below this mAP a classifier is called weak."""


@dataclass(frozen=True)
class Setup:
    """A classifier and what it is studied on.

    Attributes
    ----------
    run : its RUN.
    classifier : on the device that there is, in evaluation mode.
    images : labelled ones.
    masks : of these, used for scoring only.
    mean_ap : its mAP on `val` as recorded by its training.
    chance_ap : the mAP of a random ranking.

    """

    run: Path
    classifier: Classifier
    images: LabelledImages
    masks: Masks
    mean_ap: float | None
    chance_ap: float

    @property
    def quality(self) -> str:
        """How good the classifier is, as text."""
        text = f"mAP {number(self.mean_ap)}, chance level {number(self.chance_ap)}"
        return text + (", a weak classifier" if self.mean_ap and self.mean_ap < WEAK_MAP else "")

    @property
    def window(self) -> float | None:
        """The side of the classifier's contribution window in pixels of its input, if known."""
        try:
            return contribution_window(self.classifier.backbone, self.classifier.size).size
        except BeyondcamError:
            return None

    def on_images(self, ids: Sequence[str]) -> "Setup":
        """The same setup on some of its images."""
        return replace(self, images=replace(self.images, ids=tuple(ids)))


@dataclass
class Workspace:
    """A study's folder and budget. Results in the folder are reused, so a stopped study can be resumed.

    Attributes
    ----------
    folder : where everything is kept.
    budget : how much may be computed.
    run : the RUN to study; None for a classifier trained on the digits.
    log : takes messages for people, among them what a step costs before it starts.
    beside : other RUNs, in studies that compare several.
    cost : of all steps so far.
    notes : facts for the page, by name.
    left_out : images that could not be used, with the reason.
    not_learnt : images that some network was not trained on, with the reason; others are.

    """

    folder: Path
    budget: Budget
    run: Path | None
    log: Log
    beside: Sequence[Path] = ()
    cost: Cost = field(default_factory=Cost)
    notes: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    not_learnt: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.fabric = start()
        self.others = [
            Workspace(self.folder / f"beside-{n}", self.budget, run, self.log)
            for n, run in enumerate(self.beside, start=1)
        ]
        if self.run is None:
            self.config = digits_config(split=f"train_{self.budget.train}", epochs=self.budget.epochs)
        else:
            self.config = read_config(self.run)[0]

    @property
    def epochs(self) -> int:
        """Passes over the training images that the classifier under study was trained for."""
        return self.config.epochs or self.budget.epochs

    @property
    def training_split(self) -> str:
        """The split with masks that contains the classifier's training images."""
        return self.config.split if is_digits(self.config.data) else "train"

    @property
    def training(self) -> TrainConfig:
        """The settings that the classifier under study was trained with. Raises `BeyondcamError`."""
        if self.run is not None and adopted_in(self.run) is not None:
            what = "is a network that others trained, and this study trains it anew"
            raise BeyondcamError(f"{self.run}: {what}; name a RUN of `beyondcam train`", parameter="run")
        return self.config

    def main_setup(self) -> Setup:
        """The classifier under study, copied from the RUN or trained on the digits."""
        if self.run is None:
            setup = self.train_setup("classifier")
        else:
            copy = self.folder / "classifier"
            weights = copy / WEIGHTS
            if weights.exists() and checkpoint_hash(copy) != checkpoint_hash(self.run):
                raise BeyondcamError(f"{weights}: not the classifier of {self.run}; choose another folder")
            for name in ("config.json", "training.json", WEIGHTS):
                if not (self.run / name).exists():
                    raise BeyondcamError(f"{self.run / name}: not there; `beyondcam train` makes it")
                write_whole(copy / name, (self.run / name).read_bytes())
            setup = self.open_setup(copy)
        self.notes["classifier"] = setup.quality
        return setup

    def train_setup(self, name: str, **changes: object) -> Setup:
        """A classifier trained with the settings of the main one, except for `changes`."""
        config = TrainConfig.model_validate(self.training.model_dump() | changes)
        return self.open_setup(self.train(name, config))

    def train(self, name: str, config: TrainConfig, images: LabelledImages | None = None) -> Path:
        """Train a classifier in a folder `name` of the study's, unless it is trained; return the folder.

        `images` are trained on in place of those that `config` names.
        """
        run = self.folder / name
        training = run / "training.json"
        if training.exists() and read_config(run)[0] != config:
            raise BeyondcamError(f"{run}: trained with other settings; choose another folder")
        if not training.exists() or "val_map" not in read_json(training, "beyondcam study"):
            self.log(f"training {name}")
            self.left_out |= train_run(config, run, self.fabric, self.log, images=images)
        return run

    def open_setup(self, run: Path, split: str = "val") -> Setup:
        """The classifier of a RUN, and as many evenly spaced labelled images of a split as are budgeted."""
        config, classes = read_config(run)
        images = open_images(config.data, split, classes)
        masks = open_masks(config.data, split, classes)
        if masks is None:
            raise BeyondcamError(f"{config.data}: has no masks to score against")
        labelled = [i for i in images.ids if images.labels.get(i)]
        chance_ap = chance_mean_ap([images.labels[i] for i in images.ids if i in images.labels])
        chosen = evenly(labelled, self.budget.images)
        if split == "val":
            seen = set(chosen) & images.shared(open_images(config.data, config.split, classes))
            if seen:
                self.notes["images seen in training"] = f"{len(seen)} of {len(chosen)}"
        mean_ap = read_json(run / "training.json", "beyondcam train").get("val_map")
        classifier = to_device(load_classifier(run), self.fabric)
        return Setup(run, classifier, replace(images, ids=chosen), masks, mean_ap, chance_ap)

    def announce(self, cost: Cost, step: str) -> None:
        """Log and count what a step costs, before it starts."""
        self.cost += cost
        passes = f"{cost.forward:,} forward passes, {cost.backward:,} backward"
        self.log(f"{step}: {passes}, {cost.megapixels:,.0f} megapixels")

    def map_images(self, setup: Setup, recipes: Mapping[str, Recipe], *, seed: int = 0) -> dict[str, Shelf]:
        """The evidence of some recipes, by their name; only what is missing is mapped."""
        step = f"{len(recipes)} recipes × {len(setup.images.ids)} images of {setup.images.split}"
        self.announce(mapping_cost(setup, recipes.values()), step)
        self.left_out |= map_split(
            setup.classifier, setup.images, recipes, setup.run,
            seed=seed, workers=None, log=self.log,
        )  # fmt: skip
        shelf = partial(open_shelf, setup.run, setup.images, targets="labels", precision="float32", seed=seed)
        shelves = {name: shelf(name=name, recipe=recipe) for name, recipe in recipes.items()}
        return {name: replace(shelf, images=setup.images) for name, shelf in shelves.items()}

    def score(
        self,
        setup: Setup,
        evidence: Mapping[str, Shelf],
        *,
        threshold_split: ThresholdSplit | None = None,
        threshold: float | None = None,
        reference_threshold: float | None = None,
    ) -> Scores:
        """Score evidence at the oracle's τ, and under the other rules that arguments are given for."""
        scores = score_split(
            setup.run, setup.images, setup.masks,
            threshold_split=threshold_split, threshold=threshold, reference_threshold=reference_threshold,
            among=list(evidence.values()),
        )  # fmt: skip
        self.left_out |= scores.left_out
        self.notes.setdefault("images", str(scores.rows[0].images))
        return scores

    def usable(self, setup: Setup) -> Setup:
        """The setup without the images that were left out so far."""
        return setup.on_images([i for i in setup.images.ids if i not in self.left_out])

    def cached(self, name: str, setup: Setup, compute: Callable[[], Any]) -> Any:
        """What `compute` returns, in JSON's types; it is called once for a checkpoint and its images."""
        path = self.folder / f"{name}-{hash_of((checkpoint_hash(setup.run), setup.images.ids))}.json"
        if not path.exists():
            write_json(path, compute())
        return read_json(path, "beyondcam study")


def mapping_cost(setup: Setup, recipes: Collection[Recipe]) -> Cost:
    """The cost of mapping a setup's images; views that nest are computed once for all recipes."""
    largest: dict[object, list[int]] = {}
    gradients: dict[object, set[Map]] = {}
    targets = sum(len(setup.images.labels[i]) for i in setup.images.ids)
    passes: list[tuple[Perturbation, Map]] = [
        *((source.perturbation, source.map) for recipe in recipes for source in recipe.sources()),
        *((Plain(size=size), CAM()) for recipe in recipes for size in recipe.affinity_sizes()),
        (Plain(), CAM()),  # of the scores
    ]
    for perturbation, of in passes:
        nest = perturbation.nest
        sizes = [view.size for view in perturbation.views("", 512, 512, setup.classifier.size, 0)]
        largest[nest] = max(largest.get(nest, []), sizes, key=len)
        gradients.setdefault(nest, set()).update({of} if of.needs.backward else ())
    total = Cost()
    for nest, sizes in largest.items():
        megapixels = sum(size**2 for size in sizes) / 1e6
        forward, backward = len(setup.images.ids), targets * len(gradients[nest])
        total += Cost(len(sizes) * forward, len(sizes) * backward, megapixels * (forward + backward))
    return total


def chance_mean_ap(labels: Sequence[Collection[int]]) -> float:
    """The expected mAP of a random ranking of n images, given the classes of each.

    For a class of m images it is [H + (n - H) (m - 1) / (n - 1)] / n, with H = 1 + 1/2 + … + 1/n: an image of
    the class has every rank k with equal probability, and on average (m - 1) / (n - 1) of the k - 1 images
    before it are of the class too.
    """
    n = len(labels)
    harmonic = sum(1 / k for k in range(1, n + 1))
    counts = Counter(c for classes in labels for c in classes).values()
    by_class = [(harmonic + (n - harmonic) * (m - 1) / max(1, n - 1)) / n for m in counts]
    return sum(by_class) / max(1, len(by_class))


def smoothed(map_name: str, **source: Any) -> Recipe:
    """A recipe that smooths a map as `crops+smooth` does; `source` are further fields of `Source`."""
    return Recipe(source=Source(map=map_name, **source), refine=(Cookbook().refinements["smooth"],))
