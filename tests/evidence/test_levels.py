"""The evidence of an image: what comes back from disk, how exactly, and broken files."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from shelves import assert_same, evidence_of_maps

from beyondcam.errors import BeyondcamError
from beyondcam.evidence import (
    LEVELS,
    Evidence,
    level_threshold,
    read_evidence,
    threshold_level,
    winners_of,
)
from beyondcam.seeds import seed_labels
from conftest import complaint

# There and back


@pytest.mark.parametrize("number", [0, 1, 2, 5])
def test_evidence_comes_back_from_disk_as_it_was(tmp_path: Path, number: int) -> None:
    maps = torch.rand(number, 7, 11, generator=torch.Generator().manual_seed(0)) * 1e-3
    targets = tuple(range(3, 3 + 2 * number, 2))[::-1]
    scores = tuple(-1.5 + 0.1 * k for k in range(number))
    before = Evidence.of(maps, targets, scores, (70, 110), uncovered=0.0125, predicted=number == 1)
    (tmp_path / "a.png").write_bytes(before.encode())
    after = read_evidence(tmp_path / "a.png")
    assert_same(after, before)
    assert after.levels.shape == (number, 7, 11)
    assert after.maxima == pytest.approx([m.max().item() for m in maps])


def test_evidence_file_is_a_grey_picture_of_the_maps_one_below_the_other(tmp_path: Path) -> None:
    evidence = evidence_of_maps([[1.0, 0.25]], [[0.0, 4.0]])
    (tmp_path / "a.png").write_bytes(evidence.encode())
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.mode == "L"
        assert np.asarray(picture).tolist() == [[255, 128], [0, 255]]  # √0.25 · 255 = 127.5, to even


def test_same_evidence_has_the_same_bytes() -> None:
    maps = torch.rand(2, 9, 9, generator=torch.Generator().manual_seed(1))
    one, other = (Evidence.of(m, (0, 1), (0.5, 0.25), (9, 9)).encode() for m in (maps, maps.clone()))
    assert one == other


def test_evidence_is_the_map_by_its_maximum_with_no_minimum_taken_off() -> None:
    evidence = evidence_of_maps([[2.0, 4.0, 1.0]], [[0.0, 0.0, 0.0]], [[7.0, 7.0, 7.0]])
    assert evidence.levels.tolist() == [[[180, 255, 128]], [[0, 0, 0]], [[255, 255, 255]]]
    assert evidence.maxima == (4, 0, 7)


@settings(max_examples=60)
@given(
    values=st.lists(st.floats(0, 1, width=32), min_size=1, max_size=30),
    maximum=st.floats(2.0**-60, 2.0**60, width=32),
)
def test_stored_evidence_is_as_close_as_half_a_level_of_its_root(values: list[float], maximum: float) -> None:
    maps = torch.tensor([[[1.0, *values]]]) * maximum
    evidence = Evidence.of(maps, (0,), (0.0,), (1, len(values) + 1))
    v = maps[0, 0].double().numpy() / maps.max().item()
    stored = (evidence.levels[0, 0] / (LEVELS - 1)) ** 2
    half = 0.5 / (LEVELS - 1)
    assert np.all(np.abs(np.sqrt(v) - np.sqrt(stored)) <= half + 1e-12)
    assert np.all(np.abs(v - stored) <= half * (2 * np.sqrt(v) + half) + 1e-12)
    order = np.argsort(v)
    assert np.all(np.diff(stored[order]) >= 0)


# Thresholds


def test_level_above_a_thresholds_level_is_evidence_above_the_threshold() -> None:
    """In exact arithmetic: (level / 255)² > τ, for τ in thousandths and at every level's own value."""
    exact = [Fraction(n, 1000) for n in range(1001)] + [Fraction(level, 255) ** 2 for level in range(256)]
    for threshold in exact:
        found = threshold_level(float(threshold))
        above = [level for level in range(LEVELS) if Fraction(level, 255) ** 2 > threshold]
        assert above == list(range(found + 1, LEVELS)), threshold


def test_level_and_its_threshold_lead_to_each_other() -> None:
    assert [threshold_level(level_threshold(level)) for level in range(LEVELS)] == list(range(LEVELS))
    assert level_threshold(0) == 0
    assert level_threshold(255) == 1


def test_threshold_beyond_the_range_is_everything_or_nothing() -> None:
    assert threshold_level(-1) == 0
    assert threshold_level(1) == threshold_level(7) == 255


def test_seed_is_the_winner_where_its_evidence_is_above_the_threshold() -> None:
    evidence = evidence_of_maps([[1.0, 0.5, 0.2, 0.0]], [[0.1, 0.6, 0.2, 0.3]], targets=(4, 1))
    # class 1's maximum is 0.6: its v are 1/6, 1, 1/3, 1/2
    assert seed_labels(evidence, 0.0).tolist() == [[5, 2, 2, 2]]
    assert seed_labels(evidence, 0.4).tolist() == [[5, 2, 0, 2]]
    assert seed_labels(evidence, 0.6).tolist() == [[5, 2, 0, 0]]
    assert seed_labels(evidence, 1.0).tolist() == [[0, 0, 0, 0]]
    assert seed_labels(evidence, 0.4).dtype == np.uint8


# Winners


def test_tie_goes_to_the_lower_class_whatever_the_order_of_the_targets() -> None:
    levels = np.array([[[9, 9, 3]], [[9, 5, 7]], [[9, 9, 7]]], np.uint8)
    winners = winners_of(Evidence(levels, (5, 2, 7), (1.0,) * 3, (0.0,) * 3, (1, 3)))
    assert winners.labels.tolist() == [[3, 6, 3]]  # labels are classes + 1
    assert winners.levels.tolist() == [[9, 9, 7]]


def test_winners_come_at_the_size_of_the_picture_as_stored() -> None:
    """Bilinear, pixel centres at halves: the new ones lie at −¼, ¼, ¾ and 1¼ of the old."""
    levels = np.array([[[0, 203]], [[100, 100]]], np.uint8)
    winners = winners_of(Evidence(levels, (0, 1), (1.0,) * 2, (0.0,) * 2, (1, 4)))
    assert winners.labels.tolist() == [[2, 2, 1, 1]]
    assert winners.levels.tolist() == [[100, 100, 152, 203]]  # the first map is 0, 50.75, 152.25, 203
    taller = winners_of(Evidence(levels, (0, 1), (1.0,) * 2, (0.0,) * 2, (3, 2)))
    assert taller.labels.tolist() == [[2, 1]] * 3


def test_image_without_targets_has_no_winner_at_any_size() -> None:
    winners = winners_of(Evidence.of(torch.zeros(0, 2, 3), (), (), (4, 6)))
    assert winners.labels.tolist() == winners.levels.tolist() == [[0] * 6] * 4


def test_winner_where_there_is_no_evidence_is_background_at_threshold_nought() -> None:
    assert (seed_labels(evidence_of_maps([[0.0, 0.0]]), 0.0) == 0).all()


# Broken files


def test_file_cut_short_anywhere_is_whole_or_one_line_that_names_it(tmp_path: Path) -> None:
    maps = torch.rand(2, 6, 9, generator=torch.Generator().manual_seed(0))
    evidence = Evidence.of(maps, (0, 3), (0.5, 0.25), (6, 9))
    whole = evidence.encode()
    path = tmp_path / "cut.png"
    refused = 0
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        try:
            found = read_evidence(path)
        except BeyondcamError as error:
            refused += 1
            problem = str(error)
        else:
            assert_same(found, evidence)
            continue
        assert "cut.png" in problem
        assert "beyondcam map" in problem
        assert "\n" not in problem
    assert refused > len(whole) - 40  # all but the checksums and end marker is needed


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"shape": [1, 4, 4]},
        {"shape": [1, 2, 2], "colour": 1},
        {"shape": []},
        {"shape": 3},
        [1],
        None,
    ],
)
def test_picture_that_is_no_evidence_is_one_line_that_names_it(tmp_path: Path, facts) -> None:
    text = PngInfo()
    if facts is not None:
        text.add_text("beyondcam", json.dumps(facts))
    Image.new("L", (2, 2)).save(tmp_path / "a.png", pnginfo=text)
    complaint(lambda: read_evidence(tmp_path / "a.png"), "a.png", "beyondcam map")


def test_missing_evidence_is_one_line_that_says_what_makes_it(tmp_path: Path) -> None:
    complaint(lambda: read_evidence(tmp_path / "a.png"), "a.png", "beyondcam map")
