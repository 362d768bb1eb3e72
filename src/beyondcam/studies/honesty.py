"""Whether the ranking of recipes depends on the choice of τ, and whether maps depend on the classifier.

The randomisation is that of Adebayo et al. 2018, "Sanity Checks for Saliency Maps" (arXiv 1810.03292).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from beyondcam.classifier import Classifier
from beyondcam.evidence import Evidence, Shelf, winners_of
from beyondcam.metrics import ImageTally, Scores, Sweep, ThresholdSplit, sample_weights
from beyondcam.metrics.text import cell, estimated, signed
from beyondcam.recipes import Cookbook, Cost, Item, Recipe, Result, map_items
from beyondcam.studies.finding import Finding, Plot, Point, Table
from beyondcam.studies.workspace import Setup, Workspace, mapping_cost

RECIPES = (
    "cam", "cam-ms", "crops-cam+smooth", "saliency+smooth", "smoothgrad+smooth", "crops+smooth",
    "crops-mean+smooth",
)  # fmt: skip
PAIR_COUNT = len(RECIPES) * (len(RECIPES) - 1) // 2
RANDOMISED = ("cam", "saliency+smooth", "crops+smooth")
PARTS = 5
"""The backbone is randomised in this many steps, from the last layer to the first."""


@dataclass(frozen=True)
class HonestySettings:
    """Thresholds that are tried, and the size of the randomisation experiment."""

    fixed: tuple[float, ...] = (0.1, 0.2, 0.3, 0.5)  # τ of all recipes
    reference: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5)  # τ of the reference CAM
    images: int = 16
    draws: int = 3  # of each randomised layer


def study_honesty(workspace: Workspace, settings: HonestySettings = HonestySettings()) -> Finding:
    """Compare the threshold rules, vary the reference's τ, and randomise the classifier layer by layer."""
    setup = workspace.main_setup()
    recipes = {name: Cookbook().recipe(name) for name in RECIPES}
    train = workspace.open_setup(setup.run, workspace.training_split)
    workspace.map_images(train, recipes)
    evidence = workspace.map_images(setup, recipes)
    scores = workspace.score(setup, evidence, threshold_split=ThresholdSplit(train.images, train.masks))
    by_rule = {rule: (scores, rule) for rule in ("oracle", "train")}
    for tau in settings.fixed:
        by_rule[f"fixed {tau}"] = workspace.score(setup, evidence, threshold=tau), "fixed"
    few = workspace.usable(setup)
    few = few.on_images(few.images.ids[: settings.images])
    chosen = {name: recipes[name] for name in RANDOMISED}
    once, draws = mapping_cost(few, chosen.values()), settings.draws
    cost = sum([once] * (1 + draws * (PARTS + 1)), Cost())
    workspace.announce(cost, f"{draws} draws of {PARTS + 1} randomisations")
    randomised = workspace.cached(f"randomised-{draws}", few, lambda: randomise_cascade(few, chosen, draws))

    orders = {name: clear_pairs(*scored) for name, scored in by_rule.items()}
    turned = {name: count_reversed(orders["oracle"], order) for name, order in orders.items()}
    worst = max((name for name in orders if name.startswith("fixed")), key=turned.__getitem__)
    rivals = "crops+smooth", "crops-cam+smooth"
    leads = {rule: signed(scores.difference(*rivals, rule=rule)) for rule in ("oracle", "train")}
    head, whole = (
        ", ".join(f"{correlation_text(steps[n])} ({name})" for name, steps in randomised.items())
        for n in (1, -1)
    )
    statement = (
        f"On {workspace.notes['images']} images, {len(orders['oracle'])} of {PAIR_COUNT} pairs of recipes "
        "differ clearly at oracle τ (the paired 95 % interval of the mIoU difference excludes zero). With τ "
        f"chosen on train, {turned['train']} of these differ clearly in the other direction; of the fixed "
        f"thresholds {', '.join(map(str, settings.fixed))}, {worst.removeprefix('fixed ')} reverses the "
        f"most, {turned[worst]}. The mIoU of crops+smooth minus that of crops-cam+smooth is "
        f"{leads['oracle']} at oracle τ, {leads['train']} at τ chosen on train. Randomising the head alone "
        f"lowers the rank correlation with the trained maps to {head}; randomising the whole network lowers "
        f"it to {whole} (means over {draws} draws, {len(few.images.ids)} images)."
    )
    tables = (
        rule_table(by_rule),
        pair_table(orders),
        reference_table(workspace, setup, evidence, scores, settings.reference),
        step_table(randomised),
    )
    return Finding(statement, tables, (correlation_plot(randomised),))


Order = Mapping[tuple[str, str], bool]
"""Pairs of recipes that differ clearly, and whether the first is the better one."""


def clear_pairs(scores: Scores, rule: str) -> Order:
    """The pairs of recipes whose interval excludes zero."""
    order = {}
    for a, b in combinations(RECIPES, 2):
        value, low, high = scores.difference(a, b, rule=rule)
        if low > 0 or high < 0:
            order[a, b] = value > 0
    return order


def count_reversed(truth: Order, order: Order) -> int:
    """The number of pairs that differ clearly in both orders, but in opposite directions."""
    return sum(pair in truth and truth[pair] != first for pair, first in order.items())


def rule_table(by_rule: Mapping[str, tuple[Scores, str]]) -> Table:
    """One column per threshold rule."""
    rows = [(name, *(cell(scores.row(name, rule)) for scores, rule in by_rule.values())) for name in RECIPES]
    return Table("mIoU by threshold rule", ("recipe", *by_rule), rows)


def pair_table(orders: Mapping[str, Order]) -> Table:
    """How many pairs differ clearly under each rule, in the same or the opposite direction as at oracle τ."""
    truth = orders["oracle"]
    rows = []
    for name, order in orders.items():
        same = sum(truth.get(pair) == first for pair, first in order.items())
        rows.append((name, f"{len(order)} of {PAIR_COUNT}", str(same), str(count_reversed(truth, order))))
    head = ("rule", "clear", "as at oracle τ", "reversed")
    return Table("Pairs of recipes that differ clearly", head, rows)


def reference_table(
    workspace: Workspace, setup: Setup, evidence: Mapping[str, Shelf], scores: Scores, taus: Sequence[float]
) -> Table:
    """NDR-Recall of each recipe by the reference CAM's τ."""
    rows = []
    for name in RECIPES[1:]:
        row = scores.row(name)
        pair = {each: evidence[each] for each in (RECIPES[0], name)}
        by_reference = (
            workspace.score(setup, pair, threshold=row.threshold, reference_threshold=tau) for tau in taus
        )
        recalls = (cell(each.row(name, "fixed"), "ndr_recall") for each in by_reference)
        rows.append((name, *recalls, cell(row, "fg_precision")))
    head = ("recipe", *(f"τ of cam {tau}" for tau in taus), "FG-Precision")
    return Table("NDR-Recall by the reference CAM's τ, each recipe at its oracle τ", head, rows)


Step = Mapping[str, Any]
"""`correlations`, one per image, and `miou`."""


def randomise_cascade(setup: Setup, recipes: Mapping[str, Recipe], draws: int) -> dict[str, list[Step]]:
    """Rank correlations with the trained classifier's maps and mIoU, by recipe and step, means over draws."""
    images = setup.images
    items = [Item(i, images.read(i), tuple(sorted(images.labels[i]))) for i in images.ids]
    trained = list(map_items(setup.classifier, items, recipes))

    def step(name: str, results: Sequence[dict[str, Result]]) -> Step:
        sweep, correlations = Sweep.of((), len(images.classes)), []
        for item, result, first in zip(items, results, trained, strict=True):
            maps = result[name].maps
            evidence = Evidence.of(maps, item.targets, (0.0,) * len(item.targets), item.photo.size)
            sweep.add(ImageTally.of(winners_of(evidence), setup.masks.read(item.id).numpy()))
            pairs = zip(maps, first[name].maps, strict=True)
            correlations.append(float(np.mean([rank_correlation(a, b) for a, b in pairs])))
        return {"correlations": correlations, "miou": float(sweep.miou().max())}

    drawn = []
    for draw in range(draws):
        classifiers = randomised_classifiers(setup.classifier, draw)
        steps = (list(map_items(each, items, recipes)) for each in classifiers)
        drawn.append([{name: step(name, results) for name in recipes} for results in steps])
    steps_of = {name: [step(name, trained)] for name in recipes}
    for same_step in zip(*drawn, strict=True):
        for name in recipes:
            steps_of[name].append(mean_step([each[name] for each in same_step]))
    return steps_of


def mean_step(draws: Sequence[Step]) -> Step:
    """The mean of a step over draws."""
    return {key: np.mean([draw[key] for draw in draws], 0).tolist() for key in draws[0]}


def rank_correlation(a: Tensor, b: Tensor) -> float:
    """Spearman's rank correlation of two maps (H, W); 0 where one of them is constant."""
    if a.min() == a.max() or b.min() == b.max():
        return 0.0
    return float(spearmanr(a.flatten(), b.flatten()).statistic)


def randomised_classifiers(classifier: Classifier, draw: int) -> Iterator[Classifier]:
    """The classifier with a random head, then with more and more of the backbone random, from its end."""
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
    """Draw a layer's own parameters with its default initialisation, or normally if it has none."""
    reset: Callable[[], None] | None = getattr(layer, "reset_parameters", None)
    if reset:
        reset()
        return
    for parameter in layer.parameters(recurse=False):
        nn.init.normal_(parameter, std=0.02)


def correlation_text(step: Step) -> str:
    """The mean rank correlation with its interval over images."""
    values = np.array(step["correlations"])
    return estimated(sample_weights(len(values)) @ values / len(values))


def step_table(randomised: Mapping[str, list[Step]]) -> Table:
    """Rank correlation and mIoU at every step."""
    names = ["nothing", "head", *(f"head and {n} of {PARTS} parts" for n in range(1, PARTS + 1))]
    rows = [
        (name, *(f"{correlation_text(steps[n])}, {steps[n]['miou']:.3f}" for steps in randomised.values()))
        for n, name in enumerate(names)
    ]
    title = "Randomised from the head on: rank correlation with the trained maps (0 if constant), and mIoU"
    return Table(title, ("random", *randomised), rows)


def correlation_plot(randomised: Mapping[str, list[Step]]) -> Plot:
    """Mean rank correlation by step."""
    lines: dict[str, list[Point]] = {
        name: [(float(n), float(np.mean(step["correlations"])), None) for n, step in enumerate(steps)]
        for name, steps in randomised.items()
    }
    y = "rank correlation with the trained maps"
    return Plot(f"{y} as layers are randomised", "steps, from the head on", y, lines)
