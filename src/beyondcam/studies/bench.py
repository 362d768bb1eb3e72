"""What a study works with: classifiers, the ordinary pipeline, and a folder where nothing is done twice."""

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
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
from beyondcam.data import LabelledImages, Masks, evenly, is_digits, open_images, open_masks
from beyondcam.devices import to_device
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import Shelf, checkpoint_hash, map_split, open_shelf
from beyondcam.files import hash_of, read_json, write_json, write_whole
from beyondcam.maps import CAM, Map
from beyondcam.metrics import Scores, Training, score_split
from beyondcam.perturbations import Perturbation, Plain
from beyondcam.recipes import Cookbook, Cost, Recipe, Source
from beyondcam.report.page import number


@dataclass(frozen=True)
class Budget:
    """How much a study may take.

    Attributes
    ----------
    train : digit canvases that a classifier is trained on.
    epochs : of that training.
    images : that are mapped and scored.
    repeats : of what is drawn at random.
    dear : whether also what takes long is done; each study says what that is.

    """

    train: int
    epochs: int
    images: int
    repeats: int
    dear: bool = True


FULL = Budget(train=2000, epochs=14, images=200, repeats=5)
QUICK = Budget(train=1600, epochs=14, images=32, repeats=2, dear=False)

CLASSIFIES = 0.5
"""The mAP below which maps are of a classifier that hardly classifies."""


@dataclass(frozen=True)
class Subject:
    """A RUN's classifier, and the labelled images it is studied on with their masks, which score alone.

    `mean_ap` is its mAP on `val`, where training has left it, and `chance` that of a ranking at random.
    """

    run: Path
    classifier: Classifier
    images: LabelledImages
    masks: Masks
    mean_ap: float | None
    chance: float

    @property
    def quality(self) -> str:
        """How well it classifies, in words."""
        words = f"mAP {number(self.mean_ap)}, by chance {number(self.chance)}"
        return words + (", which says little" if self.mean_ap and self.mean_ap < CLASSIFIES else "")


class Bench:
    """A study's folder and budget; `run` is the RUN to study, None for one trained on the digits.

    `beside` are benches of other RUNs, for studies that set several side by side. `say` is told what is done,
    and beforehand how many passes it takes; `cost` adds those up, `notes` are facts for the page, and
    `left_out` the images that could not be used.
    """

    def __init__(
        self,
        folder: Path,
        budget: Budget,
        run: Path | None,
        say: Callable[[str], None],
        beside: Sequence[Path] = (),
    ) -> None:
        self.folder, self.budget, self.run, self.say = folder, budget, run, say
        self.beside = [Bench(folder / f"beside-{n}", budget, r, say) for n, r in enumerate(beside, start=1)]
        self.config = (
            digits_config(split=f"train_{budget.train}", epochs=budget.epochs)
            if run is None
            else read_config(run)[0]
        )
        self.cost = Cost()
        self.notes: dict[str, str] = {}
        self.left_out: dict[str, str] = {}

    @property
    def training_split(self) -> str:
        """The split with masks that the classifier was trained on, or on a part of."""
        return self.config.split if is_digits(self.config.data) else "train"

    def subject(self) -> Subject:
        """What is studied: its evidence is kept with the study, and the RUN stays as it is."""
        if self.run is None:
            subject = self.trained("classifier")
        else:
            own = self.folder / "classifier"
            there = own / "classifier.safetensors"
            if there.exists() and checkpoint_hash(own) != checkpoint_hash(self.run):
                raise BeyondcamError(f"{there}: is not that of {self.run}; take another --out")
            for name in ("config.json", "training.json", "classifier.safetensors"):
                try:
                    write_whole(own / name, (self.run / name).read_bytes())
                except FileNotFoundError:
                    raise BeyondcamError(
                        f"{self.run / name}: not there; `beyondcam train` makes it"
                    ) from None
            subject = self.opened(own)
        self.notes["classifier"] = subject.quality
        return subject

    def trained(self, name: str, **changes: object) -> Subject:
        """A classifier trained as the one studied but for some settings, where that is not done yet."""
        run = self.folder / name
        config = TrainConfig.model_validate(self.config.model_dump() | changes)
        training = run / "training.json"
        if training.exists() and read_config(run)[0] != config:
            raise BeyondcamError(f"{run}: holds a classifier trained otherwise; take another --out")
        if not training.exists() or "val_map" not in read_json(training, "beyondcam study"):
            self.say(f"training {name}")
            self.left_out |= train_run(config, run, self.say)
        return self.opened(run)

    def opened(self, run: Path, split: str = "val") -> Subject:
        """The classifier of a RUN and so many labelled images of a split, evenly spread."""
        config, classes = read_config(run)
        images = open_images(config.data, split, classes)
        masks = open_masks(config.data, split, classes)
        if masks is None:
            raise BeyondcamError(f"{config.data}: has no masks to score against")
        labelled = [i for i in images.ids if images.labels.get(i)]
        by_chance = chance([images.labels[i] for i in images.ids if i in images.labels])
        chosen = evenly(labelled, self.budget.images)
        if split == "val":
            seen = set(chosen) & images.shared(open_images(config.data, config.split, classes))
            if seen:
                self.notes["trained on"] = f"{len(seen)} of the {len(chosen)} images"
        mean_ap = read_json(run / "training.json", "beyondcam train").get("val_map")
        classifier = to_device(load_classifier(run))
        return Subject(run, classifier, replace(images, ids=chosen), masks, mean_ap, by_chance)

    def declare(self, cost: Cost, what: str) -> None:
        """Say what something takes, before it is done."""
        self.cost += cost
        self.say(
            f"{what}: {cost.forward:,} forward passes, {cost.backward:,} backward, "
            f"{cost.megapixels:,.0f} megapixels"
        )

    def mapped(self, subject: Subject, recipes: Mapping[str, Recipe], *, seed: int = 0) -> dict[str, Shelf]:
        """The evidence of some recipes; what is there is taken as it is."""
        what = f"{len(recipes)} recipes × {len(subject.images.ids)} images of {subject.images.split}"
        self.declare(passes(subject, recipes.values()), what)
        self.left_out |= map_split(
            subject.classifier, subject.images, recipes, subject.run,
            seed=seed, workers=None, log=self.say,
        )  # fmt: skip
        return {
            name: open_shelf(
                subject.run, subject.images,
                targets="labels", precision="float32", name=name, recipe=recipe, seed=seed,
            )
            for name, recipe in recipes.items()
        }  # fmt: skip

    def scored(
        self,
        subject: Subject,
        found: Mapping[str, Shelf],
        *,
        training: Training | None = None,
        threshold: float | None = None,
        reference_threshold: float | None = None,
    ) -> Scores:
        """The scores of some evidence, at oracle τ and by the other rules asked for."""
        scores = score_split(
            subject.run, subject.images, subject.masks,
            training=training, threshold=threshold, reference_threshold=reference_threshold,
            among=list(found.values()),
        )  # fmt: skip
        self.left_out |= scores.left_out
        self.notes.setdefault("images", str(scores.rows[0]["images"]))
        return scores

    def usable(self, subject: Subject) -> Subject:
        """The subject without the images that were left out so far."""
        return of_images(subject, [i for i in subject.images.ids if i not in self.left_out])

    def kept(self, name: str, subject: Subject, make: Callable[[], Any]) -> Any:
        """What `make` gives, in JSON's types: made once for a checkpoint and its images, then read."""
        path = self.folder / f"{name}-{hash_of((checkpoint_hash(subject.run), subject.images.ids))}.json"
        if not path.exists():
            write_json(path, make())
        return read_json(path, "beyondcam study")


def passes(subject: Subject, recipes: Collection[Recipe]) -> Cost:
    """What mapping a subject by some recipes takes: views that nest are shown once, for all maps."""
    largest: dict[object, list[int]] = {}
    gradients: dict[object, set[Map]] = {}
    targets = sum(len(subject.images.labels[i]) for i in subject.images.ids)
    asked: list[tuple[Perturbation, Map]] = [
        *((source.perturbation, source.map) for recipe in recipes for source in recipe.sources()),
        *((Plain(size=size), CAM()) for recipe in recipes for size in recipe.affinity_sizes()),
        (Plain(), CAM()),  # of the scores
    ]
    for perturbation, of in asked:
        nest = perturbation.nest
        sizes = [view.size for view in perturbation.views("", 512, 512, subject.classifier.size, 0)]
        largest[nest] = max(largest.get(nest, []), sizes, key=len)
        gradients.setdefault(nest, set()).update({of} if of.needs.backward else ())
    total = Cost()
    for nest, sizes in largest.items():
        megapixels = sum(size**2 for size in sizes) / 1e6
        forward, backward = len(subject.images.ids), targets * len(gradients[nest])
        total += Cost(len(sizes) * forward, len(sizes) * backward, megapixels * (forward + backward))
    return total


def chance(labels: Sequence[Collection[int]]) -> float:
    """The expected mAP of a ranking at random of n images, over the classes that some m of them have.

    A class's is [H + (n - H) (m - 1) / (n - 1)] / n, with H = 1 + 1/2 + … + 1/n: any image is k-th equally
    often, and of the k - 1 before one of the class (m - 1) / (n - 1) are of it on average.
    """
    n = len(labels)
    harmonic = sum(1 / k for k in range(1, n + 1))
    counts = Counter(c for own in labels for c in own).values()
    found = [(harmonic + (n - harmonic) * (m - 1) / max(1, n - 1)) / n for m in counts]
    return sum(found) / max(1, len(found))


def of_images(subject: Subject, ids: Sequence[str]) -> Subject:
    """The same, on some of its images."""
    return replace(subject, images=replace(subject.images, ids=tuple(ids)))


def row_of(scores: Scores, recipe: str, rule: str = "oracle") -> dict[str, Any]:
    """The row of a recipe under a rule."""
    (row,) = (r for r in scores.rows if (r["recipe"], r["threshold_rule"]) == (recipe, rule))
    return row


def difference(
    scores: Scores, a: str, b: str, metric: str = "miou", rule: str = "oracle"
) -> tuple[float, float, float]:
    """A metric of `a` less that of `b`, with its paired 95 % interval; NaN where there is none."""
    (found,) = (c for c in scores.comparisons if {c["a"], c["b"]} == {a, b} and c["threshold_rule"] == rule)
    sign = 1 if found["b"] == a else -1
    value, interval = found["difference"][metric], found["ci"][metric]
    if value is None or interval is None:
        return math.nan, math.nan, math.nan
    low, high = sorted(sign * bound for bound in interval)
    return sign * value, low, high


def smoothed(of: str, **source: Any) -> Recipe:
    """A recipe of a map that is smoothed, as `crops+smooth` is; `source` are fields of `Source`."""
    return Recipe(source=Source(map=of, **source), refine=(Cookbook().refinements["smooth"],))
