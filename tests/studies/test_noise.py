"""Spoilt labels, by their counts."""

import pytest

from beyondcam.studies.noise import spoilt

LABELS = {f"{n}": frozenset({n % 5, (n + 1) % 5}) for n in range(2000)}


@pytest.mark.parametrize("share", [0.1, 0.4])
def test_so_many_labels_are_missing_or_wrong(share: float) -> None:
    missing, wrong = (spoilt(LABELS, 5, share, kind) for kind in ("missing", "wrong"))
    lost = sum(len(LABELS[i] - missing[i]) for i in LABELS)
    assert lost / 4000 == pytest.approx(share, abs=0.025)
    assert all(missing[i] <= LABELS[i] for i in LABELS)
    assert all(len(wrong[i]) == 2 for i in LABELS)
    assert sum(len(wrong[i] - LABELS[i]) for i in LABELS) == lost


def test_a_larger_share_spoils_more_of_the_same() -> None:
    few, many = (spoilt(LABELS, 5, share, "missing") for share in (0.1, 0.2))
    assert all(many[i] <= few[i] for i in LABELS)
    assert spoilt(LABELS, 5, 0.0, "wrong") == LABELS


def test_an_image_of_all_classes_loses_a_label_that_cannot_be_wrong() -> None:
    assert spoilt({"a": {0, 1}}, 2, 1.0, "wrong") == {"a": frozenset()}
