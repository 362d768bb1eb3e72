"""Seeds with a level of its own for each class."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from shelves import evidence_of

import beyondcam as bc
from beyondcam.evidence import AdaptiveThreshold, Threshold, level_threshold
from beyondcam.seeds import labels_at, levels_of, seed_labels
from conftest import complaint

LEVELS = np.array([[[0, 90, 200, 200, 10, 50]], [[0, 80, 200, 100, 60, 50]]])  # of classes 6 and 2


def test_each_class_is_cut_at_its_own_level() -> None:
    evidence = evidence_of(LEVELS, (6, 2))
    assert labels_at(evidence, {6: 89, 2: 59}).tolist() == [[0, 7, 3, 7, 3, 0]]  # a tie goes to the lower
    assert labels_at(evidence, {6: 90, 2: 60}).tolist() == [[0, 0, 3, 7, 0, 0]]
    assert labels_at(evidence, {6: 0, 2: 255}).tolist() == [[0, 7, 0, 7, 0, 0]]


def test_what_a_class_that_is_off_wins_goes_to_the_next() -> None:
    evidence = evidence_of(LEVELS, (6, 2))
    assert labels_at(evidence, {2: 49}).tolist() == [[0, 3, 3, 3, 3, 3]]
    assert labels_at(evidence, {}).tolist() == [[0] * 6]
    assert labels_at(evidence_of(np.zeros((0, 1, 6)), ()), {}).tolist() == [[0] * 6]


@pytest.mark.parametrize("threshold", [Threshold(level_threshold(120)), Threshold(0.3), AdaptiveThreshold()])
def test_at_the_levels_of_a_threshold_it_is_the_seed(threshold: Threshold) -> None:
    rng = np.random.default_rng(0)
    for k in range(4):
        levels = rng.integers(0, 256, (k, 20, 30)) // (1 + rng.integers(0, 3, (k, 1, 1)))
        evidence = evidence_of(levels, tuple(rng.permutation(9)[:k].tolist()), (40, 60))
        own = levels_of(evidence, threshold)
        assert set(own) == set(evidence.targets)
        assert (labels_at(evidence, own) == seed_labels(evidence, threshold)).all()


def test_a_mask_shows_the_map_with_the_largest_share_of_its_maximum() -> None:
    maps = torch.tensor([[[0.0, 1.0, 4.0], [3.0, -1.0, 0.0]], [[9.0, 5.0, 0.0], [1.0, 0.0, 0.0]]])
    assert bc.mask(maps, 0.5).tolist() == [[2, 2, 1], [1, 0, 0]]
    assert bc.mask(maps[0], 0.5).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert bc.mask(maps, 0.8).tolist() == [[2, 0, 1], [0, 0, 0]]
    assert bc.mask(maps[:1], size=(4, 6)).shape == (4, 6)
    adaptive = seed_labels(bc.Evidence.of(maps, (6, 2), (), (2, 3)), AdaptiveThreshold())
    assert (np.array([0, 7, 3])[bc.mask(maps)] == adaptive).all()
    assert set(adaptive.ravel()) == {0, 3, 7}


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (lambda: bc.mask(torch.ones(2, 3), -0.1), "threshold: -0.1 is not between 0 and 1"),
        (lambda: bc.mask(torch.ones(2, 3), math.nan), "threshold: nan is not between"),
        (lambda: bc.mask(torch.ones(2, 3), "blind"), "threshold: 'blind'"),
        (lambda: bc.mask(torch.ones(3), 0.5), "maps: "),
        (lambda: bc.mask(torch.ones(1, 0, 5), 0.5), "maps: fewer than 255 maps, with pixels, are needed"),
        (lambda: bc.mask(torch.ones(255, 2, 2), 0.5), "maps: fewer than 255 maps"),
        (lambda: bc.mask(torch.full((2, 3), math.inf), 0.5), "maps: NaN or infinite"),
        (lambda: bc.mask(torch.full((2, 3), math.nan)), "maps: NaN or infinite"),
        (lambda: bc.seed_labels(evidence_of(LEVELS, (6, 2)), 1.5), "threshold: 1.5"),
        (lambda: bc.seed_labels(evidence_of(LEVELS, (6, 2)), 0.5, 2), "band: 2"),
        (lambda: bc.Evidence.of(torch.ones(2, 4, 4), (0,), (), (4, 4)), "maps: (1, H, W) is needed"),
    ],
)
def test_what_makes_no_seed_is_one_line(wrong: Callable[[], object], named: str) -> None:
    complaint(wrong, named)


def test_a_class_that_wins_nowhere_has_a_level_too() -> None:
    evidence = evidence_of(np.stack([np.full((4, 4), 200), np.full((4, 4), 100)]), (0, 1))
    assert levels_of(evidence, AdaptiveThreshold())[1] == 220  # τ 0.75, of a thing of no size
