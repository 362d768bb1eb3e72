"""The rows of a RUN in groups that may be compared, and what they show."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from beyondcam.evidence import FAMILY
from beyondcam.metrics import REFERENCE, RULES, Interval, Scores, holm
from beyondcam.metrics.rows import Comparison, Curve, Origin, Row

SHOWN = 8
"""Recipes that are drawn; the tables hold them all."""

R = TypeVar("R", bound=Origin)


@dataclass(frozen=True)
class Finding:
    """The best recipe beside the reference, under one rule."""

    row: Row  # of the best that is not the reference; of the reference where it stands alone
    difference: float | None  # of its mIoU to the reference's; None where the two were not compared
    interval: Interval | None
    says: str  # its verdict among all recipes that were compared with the reference
    rivals: int  # recipes it was picked from


@dataclass(frozen=True)
class Group:
    """The rows of one data set, split, target rule and seed, and what was computed from them."""

    rows: Sequence[Row]
    comparisons: Sequence[Comparison]
    curves: Sequence[Curve]

    @property
    def origin(self) -> Origin:
        """What the rows have in common."""
        return self.rows[0]

    @property
    def rules(self) -> list[str]:
        """The rules that have rows, the most trustworthy first."""
        return sorted({row.threshold_rule for row in self.rows}, key=trust)

    @property
    def recipe_count(self) -> int:
        """How many recipes there are."""
        return len({row.recipe for row in self.rows})

    def under(self, rule: str) -> list[Row]:
        """The rows of a rule, best first."""
        rows = [row for row in self.rows if row.threshold_rule == rule]
        return sorted(rows, key=lambda row: -row.miou)

    @property
    def shown(self) -> list[Row]:
        """One row a recipe, under its first rule: the best `SHOWN`, the reference always among them."""
        leading: dict[str, Row] = {}
        for rule in self.rules:
            for row in self.under(rule):
                leading.setdefault(row.recipe, row)
        best = list(leading.values())[:SHOWN]
        if REFERENCE in leading and leading[REFERENCE] not in best:
            best[-1] = leading[REFERENCE]
        return best

    def against_reference(self, rule: str) -> list[Comparison]:
        """Comparisons of a rule with the reference as `a`, so that + is better than it; best first."""
        pairs = [c for c in self.comparisons if c.threshold_rule == rule and REFERENCE in (c.a, c.b)]
        pairs = [pair if pair.a == REFERENCE else pair.turned() for pair in pairs]
        return sorted(pairs, key=lambda pair: -(pair.difference.get("miou") or 0))

    def others(self, rule: str) -> list[Comparison]:
        """Comparisons of a rule between recipes that are not the reference."""
        return [c for c in self.comparisons if c.threshold_rule == rule and REFERENCE not in (c.a, c.b)]

    @property
    def leading_rule(self) -> str:
        """The first rule under which anything was compared with the reference, else the first there is."""
        return next((rule for rule in self.rules if self.against_reference(rule)), self.rules[0])

    @property
    def finding(self) -> Finding:
        """What the rows of the leading rule show."""
        rows = self.under(self.leading_rule)
        rivals = [row for row in rows if row.recipe != REFERENCE]
        best = (rivals or rows)[0]
        pairs = self.against_reference(self.leading_rule)
        for pair in pairs:
            if pair.b == best.recipe:
                says = verdict(pair, pairs)
                return Finding(best, pair.difference["miou"], pair.ci["miou"], says, len(rivals))
        return Finding(best, None, None, "unknown", len(rivals))


def group_scores(scores: Scores) -> list[Group]:
    """Sort scores into groups, those under the most trustworthy rule first."""

    def of(key: tuple[str, ...], results: Sequence[R]) -> list[R]:
        return [result for result in results if _key(result) == key]

    groups = [
        Group(of(key, scores.rows), of(key, scores.comparisons), of(key, scores.curves))
        for key in dict.fromkeys(map(_key, scores.rows))
    ]
    return sorted(groups, key=lambda group: trust(group.leading_rule))


def trust(rule: str) -> tuple[bool, int]:
    """Sorts rules: those that need more masks of other images first, upper bounds last."""
    return RULES[rule].upper_bound, -list(RULES).index(rule)


def verdict(pair: Comparison, among: Sequence[Comparison]) -> str:
    """What a difference of mIoU among those of a table allows to say, by Holm's correction over the table.

    Comparisons of older files have no p values; of them the intervals speak, each for itself.
    """
    bounds, difference = pair.ci["miou"], pair.difference["miou"]
    if bounds is None or difference is None:
        return "unknown"
    p_values = {n: p for n, each in enumerate(among) if (p := each.p.get("miou")) is not None}
    if len(p_values) == len(among):
        clear = holm(p_values)[among.index(pair)] < 0.05
    else:
        clear = bounds[0] > 0 or bounds[1] < 0
    return ("higher" if difference > 0 else "lower") if clear else "open"


def _key(result: Origin) -> tuple[str, ...]:
    """Equal for results that may be compared."""
    return tuple(getattr(result, name) for name in ("data", "split", *FAMILY))
