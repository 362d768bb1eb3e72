"""Whether a ranking of recipes outlives the choice of thresholds, and whether maps are about the classifier.

The randomisation is that of Adebayo et al. 2018, "Sanity Checks for Saliency Maps" (arXiv 1810.03292).
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from itertools import combinations

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from beyondcam.classifier import Classifier
from beyondcam.evidence import Evidence, threshold_level, winners_of
from beyondcam.metrics import ImageTally, Scores, Sweep, Training
from beyondcam.recipes import Cookbook, Item, Recipe, Result, run
from beyondcam.studies.bench import Bench, Subject, difference, row_of
from beyondcam.studies.finding import Finding, Plot, Table, cell, number, signed

RECIPES = (
    "cam", "cam-ms", "crops-cam+smooth", "saliency+smooth", "smoothgrad+smooth", "crops+smooth",
    "crops-mean+smooth",
)  # fmt: skip
FIXED = (0.1, 0.2, 0.3, 0.5)
REFERENCES = (0.1, 0.2, 0.3, 0.4, 0.5)
RANDOMISED = ("cam", "saliency+smooth", "crops+smooth")
PARTS = 5
"""The backbone is randomised in so many steps, from the last layer to the first."""

LOOKED_AT = 16
"""Images of the randomisation."""


def honesty(bench: Bench) -> Finding:
    """The rules side by side, NDR-Recall over the reference's τ, and cascading randomisation."""
    subject = bench.subject()
    recipes = {name: Cookbook().recipe(name) for name in RECIPES}
    train = bench.opened(subject.run, bench.training_split)
    bench.mapped(train, recipes)
    found = bench.mapped(subject, recipes)
    training = Training(train.images, train.masks)
    by_rule = {"oracle": bench.scored(subject, found, training=training)}
    by_rule |= {f"fixed {tau}": bench.scored(subject, found, threshold=tau) for tau in FIXED}
    orders = {"oracle": decided(by_rule["oracle"], "oracle"), "train": decided(by_rule["oracle"], "train")}
    orders |= {name: decided(scores, "fixed") for name, scores in by_rule.items() if name != "oracle"}
    randomised = bench.kept("randomised", lambda: cascade(subject, recipes))

    truth = orders["oracle"]
    reversed_by = {
        name: sum(pair in truth and truth[pair] != sign for pair, sign in order.items())
        for name, order in orders.items()
    }
    worst = max(reversed_by, key=lambda name: reversed_by[name])
    pairs = len(RECIPES) * (len(RECIPES) - 1) // 2
    leads = {
        rule: difference(by_rule["oracle"], "crops+smooth", "cam-ms", rule=rule)
        for rule in ("oracle", "train")
    }
    last = {name: steps[-1]["correlation"] for name, steps in randomised.items()}
    statement = (
        f"On {len(subject.images.ids)} images oracle τ decides {len(truth)} of {pairs} pairs of recipes "
        "(paired 95 % interval of mIoU clear of zero). τ chosen on train turns "
        f"{reversed_by['train']} of them round; of the fixed thresholds {', '.join(map(str, FIXED))} the "
        f"worst ({worst}) turns {reversed_by[worst]}. "
        "With every layer randomised the rank correlation with the trained classifier's maps falls to "
        + ", ".join(f"{value:.2f} ({name})" for name, value in last.items())
        + f". crops+smooth less cam-ms is {signed(leads['oracle'])} mIoU by oracle, "
        f"{signed(leads['train'])} by train."
    )
    return Finding(
        statement,
        (miou_by_rule(by_rule), pairs_by_rule(orders, pairs), ndr_by_reference(by_rule["oracle"]),
         by_step(randomised)),
        (fall(randomised, "correlation", "rank correlation with the trained maps"),
         fall(randomised, "miou", "mIoU at oracle τ")),
    )  # fmt: skip


def decided(scores: Scores, rule: str) -> dict[tuple[str, str], bool]:
    """The pairs of recipes whose interval is clear of zero: whether the first is the better one."""
    order = {}
    for a, b in combinations(RECIPES, 2):
        value, low, high = difference(scores, a, b, rule=rule)
        if low > 0 or high < 0:
            order[a, b] = value > 0
    return order


def miou_by_rule(by_rule: Mapping[str, Scores]) -> Table:
    """A column a rule."""
    oracle = by_rule["oracle"]
    columns = {"oracle": (oracle, "oracle"), "train": (oracle, "train")}
    columns |= {name: (scores, "fixed") for name, scores in by_rule.items() if name != "oracle"}
    rows = [(name, *(cell(row_of(s, name, rule)) for s, rule in columns.values())) for name in RECIPES]
    return Table("mIoU by the rule that sets τ", ("recipe", *columns), rows)


def pairs_by_rule(orders: Mapping[str, Mapping[tuple[str, str], bool]], pairs: int) -> Table:
    """How many pairs each rule decides, and how many of the oracle's it turns round."""
    truth = orders["oracle"]
    rows = [
        (
            name,
            f"{len(order)} of {pairs}",
            str(sum(truth.get(pair) == sign for pair, sign in order.items())),
            str(sum(pair in truth and truth[pair] != sign for pair, sign in order.items())),
        )
        for name, order in orders.items()
    ]
    return Table("Pairs of recipes decided", ("rule", "decided", "as by oracle", "turned round"), rows)


def ndr_by_reference(scores: Scores) -> Table:
    """NDR-Recall of each recipe, at its oracle τ, as the reference CAM's τ moves."""
    curves = {curve["recipe"]: curve["ndr_recall"] for curve in scores.curves.values()}
    rows = [(name, *(number(curves[name][threshold_level(tau)]) for tau in REFERENCES)) for name in RECIPES]
    return Table("NDR-Recall over the reference CAM's τ", ("recipe", *map(str, REFERENCES)), rows)


def cascade(subject: Subject, recipes: Mapping[str, Recipe]) -> dict[str, list[dict[str, float]]]:
    """By recipe and step: rank correlation with the maps as trained (mean over targets), and mIoU."""
    images = subject.images
    items = [Item(i, images.read(i), tuple(sorted(images.labels[i]))) for i in images.ids[:LOOKED_AT]]
    chosen = {name: recipes[name] for name in RANDOMISED}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in chosen}
    trained: list[dict[str, Result]] = []
    for classifier in randomisations(subject.classifier):
        results = list(run(classifier, items, chosen))
        trained = trained or results
        for name in chosen:
            sweep, correlations = Sweep.of((), len(images.classes)), list[float]()
            for item, result, first in zip(items, results, trained, strict=True):
                maps = result[name].maps
                evidence = Evidence.of(maps, item.targets, (0.0,) * len(item.targets), item.photo.size)
                sweep.add(ImageTally.of(winners_of(evidence), subject.masks.read(item.id).numpy()))
                pairs = zip(maps, first[name].maps, strict=True)
                correlations += [rank_correlation(own, before) for own, before in pairs]
            found[name].append(
                {"correlation": float(np.mean(correlations)), "miou": float(sweep.miou().max())}
            )
    return found


def rank_correlation(a: Tensor, b: Tensor) -> float:
    """Spearman's, of two maps (H, W); 0 where one of them is flat."""
    if a.min() == a.max() or b.min() == b.max():
        return 0.0
    return float(spearmanr(a.flatten(), b.flatten()).statistic)


def randomisations(classifier: Classifier) -> Iterator[Classifier]:
    """The classifier, with its head random, then also more and more of the backbone from its end."""
    torch.manual_seed(0)
    yield classifier
    classifier = deepcopy(classifier)
    nn.init.kaiming_uniform_(classifier.weight, a=5**0.5)
    yield classifier
    layers = [m for m in classifier.backbone.modules() if hasattr(m, "reset_parameters")]
    for part in np.array_split(np.arange(len(layers))[::-1], PARTS):
        for n in part:
            layers[n].reset_parameters()
        yield classifier


def by_step(randomised: Mapping[str, list[dict[str, float]]]) -> Table:
    """Rank correlation and mIoU at every step."""
    rows = [
        (step, *(f"{own[n]['correlation']:.2f}, {own[n]['miou']:.3f}" for own in randomised.values()))
        for n, step in enumerate(steps())
    ]
    title = f"Randomised from the top, {LOOKED_AT} images: rank correlation with the trained maps, and mIoU"
    return Table(title, ("random", *randomised), rows)


def steps() -> list[str]:
    """What is random at each step."""
    return ["nothing", "head", *(f"head and {n} of {PARTS} parts" for n in range(1, PARTS + 1))]


def fall(randomised: Mapping[str, list[dict[str, float]]], value: str, words: str) -> Plot:
    """A value over the steps."""
    lines = {
        name: [(float(n), own[value], None) for n, own in enumerate(found)]
        for name, found in randomised.items()
    }
    return Plot(f"{words} as layers are randomised", "steps randomised, from the head down", words, lines)
