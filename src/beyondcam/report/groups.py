"""The rows of a RUN, sorted into what may be compared, and what they say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from beyondcam.evidence import FAMILY
from beyondcam.metrics import REFERENCE, Comparison, Curve, Origin, Row

SHOWN = 8
"""Recipes that are drawn; the tables hold them all."""

RULES = {
    "train": "τ is the best one on the training split's masks",
    "few": "τ is the best one on a few masked images",
    "blind": "τ comes from images, maps and image-level labels alone",
    "fixed": "τ was given beforehand",
    "oracle": "τ is the best one on the very masks that are scored (an upper bound)",
}
"""Threshold rules, the one to be believed first."""

_KEY = ("data", "split", *FAMILY)


@dataclass(frozen=True)
class Finding:
    """The best recipe beside the reference, under one rule.

    Attributes
    ----------
    row : the best row that is not the reference's; the reference's own where it stands alone.
    difference, interval : of its mIoU to the reference's; None where the two were not compared.
    rivals : recipes it was picked from.

    """

    row: Row
    difference: float | None
    interval: Sequence[float] | None
    rivals: int


@dataclass(frozen=True)
class Group:
    """The rows of one data set, split, target rule and seed, and what was worked out from them."""

    key: Mapping[str, str]
    rows: Sequence[Row]
    comparisons: Sequence[Comparison]
    curves: Sequence[Curve]

    @property
    def rules(self) -> list[str]:
        """The rules that have rows, the one to be believed first."""
        return sorted({row.threshold_rule for row in self.rows}, key=_rank)

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

    @property
    def recipes(self) -> int:
        """How many recipes there are."""
        return len({row.recipe for row in self.rows})

    def against_reference(self, rule: str) -> list[Comparison]:
        """Comparisons of a rule with the reference first, so that + is better than it; best first."""
        found = []
        for comparison in self.comparisons:
            names = (comparison.a, comparison.b)
            if comparison.threshold_rule == rule and REFERENCE in names:
                found.append(comparison if names[0] == REFERENCE else comparison.turned())
        return sorted(found, key=lambda c: -(c.difference.get("miou") or 0))

    def others(self, rule: str) -> list[Comparison]:
        """Comparisons of a rule between recipes that are not the reference."""
        return [c for c in self.comparisons if c.threshold_rule == rule and REFERENCE not in (c.a, c.b)]

    @property
    def leading_rule(self) -> str:
        """The first rule under which anything was compared with the reference, else the first there is."""
        return next((rule for rule in self.rules if self.against_reference(rule)), self.rules[0])

    @property
    def finding(self) -> Finding:
        """What the leading rule says."""
        rows = self.under(self.leading_rule)
        rivals = [row for row in rows if row.recipe != REFERENCE]
        best = (rivals or rows)[0]
        for comparison in self.against_reference(self.leading_rule):
            if comparison.b == best.recipe:
                return Finding(best, comparison.difference["miou"], comparison.ci["miou"], len(rivals))
        return Finding(best, None, None, len(rivals))


def group_rows(
    rows: Sequence[Row], comparisons: Sequence[Comparison], curves: Sequence[Curve]
) -> list[Group]:
    """Sort rows into groups, those under the most believable rule first."""
    keys = {_key(row): None for row in rows}
    groups = [
        Group(
            dict(zip(_KEY, key, strict=True)),
            [row for row in rows if _key(row) == key],
            [comparison for comparison in comparisons if _key(comparison) == key],
            [curve for curve in curves if _key(curve) == key],
        )
        for key in keys
    ]
    return sorted(groups, key=lambda group: _rank(group.leading_rule))


def verdict(interval: Sequence[float] | None) -> str:
    """What an interval of a difference allows to say of it."""
    if interval is None:
        return "unknown"
    low, high = interval
    return "higher" if low > 0 else "lower" if high < 0 else "open"


def _key(result: Origin) -> tuple[str, ...]:
    """Equal for results that may be compared."""
    return tuple(getattr(result, name) for name in _KEY)


def _rank(rule: str) -> int:
    return list(RULES).index(rule)
