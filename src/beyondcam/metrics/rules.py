"""Threshold rules: what the threshold τ of a recipe is chosen on."""

from collections.abc import Callable
from dataclasses import dataclass

from beyondcam.evidence import AdaptiveThreshold, Threshold, level_threshold
from beyondcam.metrics.tally import Absent, FallSweep, Sweep


@dataclass(frozen=True)
class ThresholdData:
    """What a recipe's threshold can be chosen on: its evidence, counted at every level."""

    given: float | None = None  # τ from the caller
    agreed: Sweep | None = None  # against what the witnesses of the split agree on
    falls: FallSweep | None = None  # likewise, at every fall of the adaptive threshold
    few: Sweep | None = None  # against a few masks of another split
    train: Sweep | None = None  # against all masks of that split
    scored: Sweep | None = None  # against the masks that it is scored on
    absent: Absent = "auto"  # how a class that the masks lack counts in the mIoU


@dataclass(frozen=True)
class Rule:
    """A way to choose a threshold; `choose` returns None where there is nothing to choose it on."""

    name: str
    meaning: str  # of τ, in words that can follow "where"
    choose: Callable[[ThresholdData], Threshold | None]
    upper_bound: bool = False  # chosen on the very masks that are scored, which nobody has who needs seeds


def _best(sweep: Sweep | None, absent: Absent) -> Threshold | None:
    """The threshold with the highest mIoU; None where the labels show no object, so that none is better."""
    return Threshold(level_threshold(sweep.best_level(absent))) if sweep and sweep.has_object else None


def adaptive(falls: FallSweep | None) -> Threshold:
    """The adaptive threshold whose fall is best on what the witnesses agree on, if there are any."""
    return AdaptiveThreshold(fall=falls.best("drop")) if falls else AdaptiveThreshold()


def _oracle(data: ThresholdData) -> Threshold | None:
    """The best threshold on the scored masks, the lowest where they show no object."""
    return Threshold(level_threshold(data.scored.best_level(data.absent))) if data.scored else None


RULES = {
    rule.name: rule
    for rule in (
        Rule("fixed", "τ was given beforehand", lambda d: None if d.given is None else Threshold(d.given)),
        Rule(
            "adaptive",
            "τ is found for each image and class, the lower the more of the picture its evidence takes",
            lambda d: adaptive(d.falls),
        ),
        # "drop": a class of which nothing is agreed on counts only where it takes the place of what is
        Rule(
            "blind",
            "τ comes from images, maps and image-level labels alone",
            lambda d: _best(d.agreed, "drop"),
        ),
        Rule("few", "τ is the best one on a few masked images", lambda d: _best(d.few, d.absent)),
        Rule("train", "τ is the best one on the training split's masks", lambda d: _best(d.train, d.absent)),
        Rule(
            "oracle",
            "τ is the best one on the very masks that are scored (an upper bound)",
            _oracle,
            upper_bound=True,
        ),
    )
}
"""By name, those that need fewer masks first."""
