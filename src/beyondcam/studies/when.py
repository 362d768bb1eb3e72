"""When saliency beats CAM and when not: one thing changed at a time, and by class and size on a RUN."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from beyondcam.data.digits import Settings
from beyondcam.metrics import Scores, number
from beyondcam.perturbations import Plain
from beyondcam.studies.bench import Bench, Subject
from beyondcam.studies.cases import Case, area, cases_of, in_thirds
from beyondcam.studies.finding import Finding, Plot, Table, signed
from beyondcam.studies.pairs import HEAD, NAMES, PAIRS, WHOLE, cells, grid, lead, point, recipes
from beyondcam.studies.rule import SIGNS, Rule, by_fold, change, derive, in_words, signs_of

AXES = {
    "side": "mean side of the digits, px",
    "number": "mean number of digits",
    "scraps": "scraps on the ground",
    "inside": "specks inside digits",
    "ground": "specks on the ground",
    "epochs": "epochs of training",
    "kernel": "F of the ConvNet",
    "input": "input of the whole image, training sizes",
}
SHORT = ("side", "input")
"""What is varied on a small budget."""


class Setting(NamedTuple):
    """What is changed in training, if anything, and the size that the whole image is shown at."""

    changes: Mapping[str, object]
    size: float = 1.0


def factors(epochs: int) -> dict[str, dict[float, Setting | None]]:
    """What is varied, each alone: its values, and the setting that has each; None is the usual one."""

    def drawn(**settings: object) -> Setting:
        return Setting({"data": Settings.model_validate(settings).data})

    def trained(epochs: int) -> Setting:
        return Setting({"epochs": epochs})

    usual, quarter, half = None, max(1, epochs // 4), max(1, epochs // 2)
    return {
        "side": {20: drawn(smallest=16, largest=24), 32: usual, 44: drawn(smallest=36, largest=52)},
        "number": {1: drawn(objects="1"), 3: usual, 5: drawn(objects="4-6")},
        "scraps": {0: drawn(scraps=0), 16: usual, 48: drawn(scraps=48)},
        "inside": {0: usual, 0.6: drawn(inside=0.6)},
        "ground": {0: usual, 0.6: drawn(ground=0.6)},
        "epochs": {quarter: trained(quarter), half: trained(half), epochs: usual,
                   2 * epochs: trained(2 * epochs)},
        "kernel": {3: Setting({"kernel": 3}), 5: usual, 7: Setting({"kernel": 7})},
        "input": {0.75: Setting({}, 0.75), 1: usual, 1.5: Setting({}, 1.5), 2: Setting({}, 2)},
    }  # fmt: skip


class Measured(NamedTuple):
    """A classifier and its images, the scores of both pairs, and the cases."""

    subject: Subject
    scores: Scores
    cases: Sequence[Case]


def when(bench: Bench) -> Finding:
    """On the digits by what is varied; on a RUN by class and by size, where nothing is trained."""
    return on_a_run(bench) if bench.run else on_digits(bench)


def on_digits(bench: Bench) -> Finding:
    """Vary each thing alone; derive the rule from all but one of them, and try it on that one."""
    usual = measured(bench, bench.subject())
    found: dict[str, dict[float, Measured]] = {}
    for factor, values in factors(bench.budget.epochs).items():
        if factor not in SHORT and not bench.budget.dear:
            bench.notes[f"without {factor}"] = "its trainings take too long for --quick"
            continue
        found[factor] = {x: varied(bench, factor, x, own) if own else usual for x, own in values.items()}
    by_factor = {
        factor: [case for own in values.values() if own is not usual for case in own.cases]
        for factor, values in found.items()
    }
    every = [*usual.cases, *chain(*by_factor.values())]
    folds = {
        f"{factor}, derived without it": (
            [*usual.cases, *chain(*(own for other, own in by_factor.items() if other != factor))],
            cases,
        )
        for factor, cases in by_factor.items()
    }
    bench.notes["rules"] = "epochs, kernel and input leave the canvases as they are: tried on the usual ones"
    ends = "; ".join(
        f"{AXES[factor]} {least:g} to {most:g}: {signed(lead(values[least].scores, WHOLE))} to "
        f"{signed(lead(values[most].scores, WHOLE))}"
        for factor, values in found.items()
        for least, most in [(min(values), max(values))]
    )
    statement = (
        f"MIoU of saliency less that of CAM, one thing changed at a time (both smoothed, oracle τ, one "
        f"training each): {ends}. {in_words(derive(every), f'{len(every)} digits on the canvases', folds)}"
    )
    plots = [
        Plot(f"{AXES[factor]}: mIoU of saliency less that of CAM", AXES[factor], "difference of mIoU",
             {what: [point(x, own.scores, what) for x, own in values.items()] for what in PAIRS})
        for factor, values in found.items()
    ]  # fmt: skip
    return Finding(statement, (by_value(found), by_thirds(every), by_fold(folds)), plots)


def on_a_run(bench: Bench) -> Finding:
    """Look by class and by size, and try a rule that comes from other RUNs, or from other classes."""
    own = measured(bench, bench.subject())
    others = [measured(each, each.subject()) for each in bench.beside]
    if others:
        known = list(chain(*(other.cases for other in others)))
        source = f"{len(known)} objects of {', '.join(str(each.run) for each in bench.beside)}"
        folds = {"this RUN": (known, own.cases)}
    else:
        classes = sorted({case.target for case in own.cases})
        halves = [[case for case in own.cases if classes.index(case.target) % 2 == n] for n in (0, 1)]
        images = [{case.image for case in half} for half in halves]
        known, source = list(own.cases), f"{len(own.cases)} objects"
        folds = {
            f"classes {at}, derived from the others on other images": (
                [case for case in halves[1 - n] if case.image not in images[n]],
                halves[n],
            )
            for n, at in enumerate(("1, 3, …", "2, 4, …"))
        }
    folds = {name: pair for name, pair in folds.items() if all(pair)}
    rule = derive(known)
    small, _, large = in_thirds(own.cases, area)
    statement = (
        f"On {bench.notes['images']} images mIoU of saliency less that of CAM is "
        f"{signed(lead(own.scores, WHOLE))} (both smoothed, oracle τ; classifier: {own.subject.quality}). "
        "IoU of one object, a class in an image, gains "
        f"{change(small)} in the third with the smallest objects, {change(large)} in that with the largest. "
        f"{in_words(rule, source, folds)}"
    )
    return Finding(statement, (by_class(own, rule), by_thirds(own.cases), by_fold(folds)))


def varied(bench: Bench, factor: str, x: float, own: Setting) -> Measured:
    """Measure a setting that is not the usual one, trained where that is asked for."""
    subject = bench.trained(f"{factor}-{x:g}", **own.changes) if own.changes else bench.subject()
    return measured(bench, subject, own.size)


def measured(bench: Bench, subject: Subject, size: float = 1.0) -> Measured:
    """Map and score both pairs, and look at every class in every image."""
    asked = recipes(Plain(size=size))
    found = bench.mapped(subject, asked)
    scores = bench.scored(subject, found)
    usable, places = bench.usable(subject), grid(subject.classifier, size)
    thresholds = {each: scores.row(each).threshold for each in NAMES}
    cases = []
    for i in usable.images.ids:
        evidence = {each: found[each].read(i) for each in NAMES}
        signs = signs_of(evidence, places)
        own = cases_of(i, evidence, usable.masks.read(i).numpy(), thresholds)
        cases += [case._replace(signs=signs[case.target]) for case in own]
    return Measured(subject, scores, cases)


def by_value(found: Mapping[str, Mapping[float, Measured]]) -> Table:
    """A row a value of what is varied."""
    rows = [
        (
            f"{AXES[factor]}: {x:g}",
            number(own.subject.mean_ap),
            number(own.subject.chance),
            *cells(own.scores),
        )
        for factor, values in found.items()
        for x, own in values.items()
    ]
    return Table("One thing changed at a time, oracle τ, all smoothed", ("", "mAP", "by chance", *HEAD), rows)


def by_thirds(cases: Sequence[Case]) -> Table:
    """The gain in each third of the objects, by size and by each sign."""
    rows = []
    for name, of in {"the object's share of the image": area, **{SIGNS[s]: sign(s) for s in SIGNS}}.items():
        for third, own in zip(("lowest", "middle", "highest"), in_thirds(cases, of), strict=True):
            span = f"{min(map(of, own)):.3g}–{max(map(of, own)):.3g}" if own else "–"
            rows.append((f"{name}, {third}", span, str(len(own)), *(change(own, what) for what in PAIRS)))
    head = ("third of the objects", "from–to", "objects", *PAIRS)
    return Table("Mean change of an object's IoU, saliency less CAM", head, rows)


def sign(name: str) -> Callable[[Case], float]:
    """What gives a sign of a case."""
    return lambda case: case.signs[name]


def by_class(own: Measured, rule: Rule) -> Table:
    """A row a class: IoUs over the data set, the mean change of an object, and what the rule would take."""
    rows = []
    counts = Counter(case.target for case in own.cases)
    for target, count in sorted(counts.items()):
        name = own.subject.images.classes[target]
        cases = [case for case in own.cases if case.target == target]
        ious = [number(own.scores.row(each).iou[name]) for each in NAMES]
        rows.append((name, str(count), f"{np.median([case.area for case in cases]):.1%}", *ious,
                     *(change(cases, what) for what in PAIRS),
                     f"{np.mean([rule.takes(case) for case in cases]):.0%}"))  # fmt: skip
    head = ("class", "objects", "median share of the image", "IoU of CAM", "of saliency", "of crops of CAM",
            "of crops of saliency", *PAIRS, "of which the rule takes saliency")  # fmt: skip
    return Table("By class, oracle τ: IoU over all images, and mean change of an object's", head, rows)
