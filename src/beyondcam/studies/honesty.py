"""Whether a ranking of recipes outlives the choice of thresholds, and whether maps are about the classifier.

The randomisation is that of Adebayo et al. 2018, "Sanity Checks for Saliency Maps" (arXiv 1810.03292).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from itertools import combinations
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from beyondcam.classifier import Classifier
from beyondcam.evidence import Evidence, Shelf, winners_of
from beyondcam.metrics import ImageTally, Scores, Sweep, ThresholdSplit, estimate, sample_weights
from beyondcam.recipes import Cookbook, Cost, Item, Recipe, Result, run
from beyondcam.studies.bench import Bench, Subject, of_images, passes
from beyondcam.studies.finding import Finding, Plot, Point, Table, bounded, cell, signed

RECIPES = (
    "cam", "cam-ms", "crops-cam+smooth", "saliency+smooth", "smoothgrad+smooth", "crops+smooth",
    "crops-mean+smooth",
)  # fmt: skip
FIXED = (0.1, 0.2, 0.3, 0.5)
REFERENCES = (0.1, 0.2, 0.3, 0.4, 0.5)
RANDOMISED = ("cam", "saliency+smooth", "crops+smooth")
PARTS = 5
"""The backbone is randomised in so many steps, from the last layer to the first."""

LOOKED_AT, DRAWS = 16, 3
"""Images of the randomisation, and how often the layers are drawn."""

PAIRS = len(RECIPES) * (len(RECIPES) - 1) // 2


def honesty(bench: Bench) -> Finding:
    """The rules side by side, NDR-Recall over the reference's τ, and cascading randomisation."""
    subject = bench.subject()
    recipes = {name: Cookbook().recipe(name) for name in RECIPES}
    train = bench.opened(subject.run, bench.training_split)
    bench.mapped(train, recipes)
    found = bench.mapped(subject, recipes)
    own = bench.scored(subject, found, threshold_split=ThresholdSplit(train.images, train.masks))
    by_rule = {rule: (own, rule) for rule in ("oracle", "train")}
    by_rule |= {f"fixed {tau}": (bench.scored(subject, found, threshold=tau), "fixed") for tau in FIXED}
    looked_at = bench.usable(subject)
    looked_at = of_images(looked_at, looked_at.images.ids[:LOOKED_AT])
    chosen = {name: recipes[name] for name in RANDOMISED}
    one = passes(looked_at, chosen.values())
    bench.declare(
        sum([one] * (1 + DRAWS * (PARTS + 1)), Cost()), f"{DRAWS} draws of {PARTS + 1} randomisations"
    )
    randomised = bench.kept(f"randomised-{DRAWS}", looked_at, lambda: cascade(looked_at, chosen))

    orders = {name: decided(*scored) for name, scored in by_rule.items()}
    turned = {name: turned_round(orders["oracle"], order) for name, order in orders.items()}
    worst = max((name for name in turned if name.startswith("fixed")), key=turned.__getitem__)
    rivals = "crops+smooth", "crops-cam+smooth"
    leads = {name: signed(own.difference(*rivals, rule=name)) for name in ("oracle", "train")}
    head, whole = (
        ", ".join(f"{correlation(steps[n])} ({name})" for name, steps in randomised.items()) for n in (1, -1)
    )
    statement = (
        f"On {bench.notes['images']} images oracle τ decides {len(orders['oracle'])} of {PAIRS} pairs "
        "of recipes (paired 95 % interval of mIoU clear of zero). τ chosen on train turns "
        f"{turned['train']} of them round; of the fixed thresholds {', '.join(map(str, FIXED))} the worst, "
        f"{worst.removeprefix('fixed ')}, turns {turned[worst]}. crops+smooth less crops-cam+smooth is "
        f"{leads['oracle']} mIoU by oracle, {leads['train']} by train. Randomising the head alone brings the "
        f"rank correlation with the trained classifier's maps to {head}, the whole network to {whole} (means "
        f"over {DRAWS} draws, {len(looked_at.images.ids)} images)."
    )
    tables = (
        miou_by_rule(by_rule),
        pairs_by_rule(orders),
        ndr_by_reference(bench, subject, found, own),
        by_step(randomised),
    )
    return Finding(statement, tables, (fall(randomised),))


Order = Mapping[tuple[str, str], bool]
"""Pairs of recipes that are decided, and whether the first is the better one."""


def decided(scores: Scores, rule: str) -> Order:
    """The pairs of recipes whose interval is clear of zero: whether the first is the better one."""
    order = {}
    for a, b in combinations(RECIPES, 2):
        value, low, high = scores.difference(a, b, rule=rule)
        if low > 0 or high < 0:
            order[a, b] = value > 0
    return order


def turned_round(truth: Order, order: Order) -> int:
    """How many pairs are decided both ways."""
    return sum(pair in truth and truth[pair] != first for pair, first in order.items())


def miou_by_rule(by_rule: Mapping[str, tuple[Scores, str]]) -> Table:
    """A column a rule."""
    rows = [(name, *(cell(s.row(name, rule)) for s, rule in by_rule.values())) for name in RECIPES]
    return Table("mIoU by the rule that sets τ", ("recipe", *by_rule), rows)


def pairs_by_rule(orders: Mapping[str, Order]) -> Table:
    """How many pairs each rule decides, and how many of the oracle's it turns round."""
    truth = orders["oracle"]
    rows = [
        (
            name,
            f"{len(order)} of {PAIRS}",
            str(sum(truth.get(pair) == first for pair, first in order.items())),
            str(turned_round(truth, order)),
        )
        for name, order in orders.items()
    ]
    return Table("Pairs of recipes decided", ("rule", "decided", "as by oracle", "turned round"), rows)


def ndr_by_reference(bench: Bench, subject: Subject, found: Mapping[str, Shelf], scores: Scores) -> Table:
    """NDR-Recall of each recipe, at its oracle τ, as the reference CAM's τ moves."""
    rows = []
    for name in RECIPES[1:]:
        row = scores.row(name)
        pair = {each: found[each] for each in (RECIPES[0], name)}
        by_reference = (
            bench.scored(subject, pair, threshold=row.threshold, reference_threshold=tau)
            for tau in REFERENCES
        )
        recalls = (cell(own.row(name, "fixed"), "ndr_recall") for own in by_reference)
        rows.append((name, *recalls, cell(row, "fg_precision")))
    head = ("recipe", *(f"τ of cam {tau}" for tau in REFERENCES), "FG-Precision")
    return Table("NDR-Recall over the reference CAM's τ, each recipe at its oracle τ", head, rows)


Step = Mapping[str, Any]
"""`correlations`, one an image, and `miou`."""


def cascade(subject: Subject, recipes: Mapping[str, Recipe]) -> dict[str, list[Step]]:
    """By recipe and step: rank correlations with the maps as trained, a mean an image, and mIoU.

    Both are means over the draws.
    """
    images = subject.images
    items = [Item(i, images.read(i), tuple(sorted(images.labels[i]))) for i in images.ids]
    trained = list(run(subject.classifier, items, recipes))

    def step(name: str, results: Sequence[dict[str, Result]]) -> Step:
        sweep, correlations = Sweep.of((), len(images.classes)), []
        for item, result, first in zip(items, results, trained, strict=True):
            maps = result[name].maps
            evidence = Evidence.of(maps, item.targets, (0.0,) * len(item.targets), item.photo.size)
            sweep.add(ImageTally.of(winners_of(evidence), subject.masks.read(item.id).numpy()))
            pairs = zip(maps, first[name].maps, strict=True)
            correlations.append(float(np.mean([rank_correlation(a, b) for a, b in pairs])))
        return {"correlations": correlations, "miou": float(sweep.miou().max())}

    drawn = []
    for draw in range(DRAWS):
        steps = (list(run(each, items, recipes)) for each in randomisations(subject.classifier, draw))
        drawn.append([{name: step(name, results) for name in recipes} for results in steps])
    return {
        name: [
            step(name, trained),
            *(mean_step([own[name] for own in same]) for same in zip(*drawn, strict=True)),
        ]
        for name in recipes
    }


def mean_step(draws: Sequence[Step]) -> Step:
    """The mean over draws of one step."""
    return {key: np.mean([own[key] for own in draws], 0).tolist() for key in draws[0]}


def rank_correlation(a: Tensor, b: Tensor) -> float:
    """Spearman's, of two maps (H, W); 0 where one of them is flat."""
    if a.min() == a.max() or b.min() == b.max():
        return 0.0
    return float(spearmanr(a.flatten(), b.flatten()).statistic)


def randomisations(classifier: Classifier, draw: int) -> Iterator[Classifier]:
    """The classifier with its head random, then also more and more of the backbone from its end."""
    torch.manual_seed(draw)
    classifier = deepcopy(classifier)
    nn.init.kaiming_uniform_(classifier.weight, a=5**0.5)
    yield classifier
    layers = [m for m in classifier.backbone.modules() if [*m.parameters(recurse=False)]]
    for part in np.array_split(np.arange(len(layers))[::-1], PARTS):
        for n in part:
            randomise(layers[n])
        yield classifier


def randomise(layer: nn.Module) -> None:
    """Draw a layer's own parameters as it would itself; where it does not say how, from a normal."""
    reset: Callable[[], None] | None = getattr(layer, "reset_parameters", None)
    if reset:
        reset()
        return
    for parameter in layer.parameters(recurse=False):
        nn.init.normal_(parameter, std=0.02)


def correlation(step: Step) -> str:
    """The mean rank correlation, with its interval over images."""
    values = np.array(step["correlations"])
    samples = sample_weights(len(values)) @ values / len(values)
    return bounded(*estimate(samples))


def by_step(randomised: Mapping[str, list[Step]]) -> Table:
    """Rank correlation and mIoU at every step."""
    done = ["nothing", "head", *(f"head and {n} of {PARTS} parts" for n in range(1, PARTS + 1))]
    rows = [
        (step, *(f"{correlation(own[n])}, {own[n]['miou']:.3f}" for own in randomised.values()))
        for n, step in enumerate(done)
    ]
    title = "Randomised from the head: rank correlation with the trained maps (0 if one is flat), and mIoU"
    return Table(title, ("random", *randomised), rows)


def fall(randomised: Mapping[str, list[Step]]) -> Plot:
    """Rank correlation over the steps."""
    lines: dict[str, list[Point]] = {
        name: [(float(n), float(np.mean(step["correlations"])), None) for n, step in enumerate(steps)]
        for name, steps in randomised.items()
    }
    words = "rank correlation with the trained maps"
    return Plot(f"{words} as layers are randomised", "steps randomised, from the head down", words, lines)
