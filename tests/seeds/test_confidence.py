"""Confidence: by hand, and what `seed` says of it."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from shelves import evidence_of

import beyondcam as bc
from beyondcam.data import VOID
from beyondcam.decode import Fingerprint
from beyondcam.evidence import Evidence, Shelf, Threshold, second_recipe, write_evidence
from beyondcam.seeds import seed_labels, write_seeds
from beyondcam.seeds.confidence import Found, found_in
from conftest import shelf_for


def two_rows(above: int, below: int, score: float = math.inf) -> Evidence:
    """Two rows of ten pixels: class 4 in the first few of the upper one, class 7 in those of the lower."""
    levels = np.zeros((2, 2, 10), np.uint8)
    levels[0, 0, :above] = levels[1, 1, :below] = 255
    scores = () if score == math.inf else (score, 0.0)
    return Evidence(levels, (4, 7), (1.0, 1.0), scores, (2, 10))


def shelves_of(discs: str, run: Path) -> tuple[bc.LabelledImages, dict[str, Shelf]]:
    """Empty shelves of `best` and `fast`."""
    run.mkdir()
    (run / "classifier.safetensors").write_bytes(b"only hashed")
    images = bc.open_images(discs, "all")
    return images, {name: shelf_for(run, images, name) for name in ("best", "fast")}


def test_confidence_is_the_agreement_of_two_recipes_times_the_root_of_the_probability() -> None:
    evidence, second = two_rows(8, 2, score=math.log(3)), two_rows(6, 4)  # σ(log 3) = 3/4
    seed, half = seed_labels(evidence, 0.5), Threshold(0.5)
    four, seven = found_in(seed, evidence, (second, half))
    assert (four.label, four.area) == (5, 8 / 20)
    assert (seven.label, seven.area) == (8, 2 / 20)
    assert four.confidence == pytest.approx(6 / 8 * math.sqrt(3 / 4))
    assert seven.confidence == pytest.approx(2 / 4 * math.sqrt(1 / 2))

    assert found_in(seed, evidence, None) == [Found(5, 8 / 20, None), Found(8, 2 / 20, None)]
    unscored = found_in(seed, two_rows(8, 2), (second, half))  # evidence without a classifier's score
    assert [f.confidence for f in unscored] == pytest.approx([6 / 8, 2 / 4])
    seed[0, 4:] = VOID  # 4 pixels stay, the second recipe's others are not asked about
    assert found_in(seed, two_rows(8, 2), (second, half))[0].confidence == pytest.approx(1)
    nothing = found_in(np.zeros((2, 10), np.uint8), two_rows(8, 2), (two_rows(0, 0), half))
    assert [f.confidence for f in nothing] == [0, 0]


def test_seeds_are_written_with_their_confidences_the_worst_first(discs: str, tmp_path: Path) -> None:
    images, shelves = shelves_of(discs, tmp_path / "run")
    shared = {"p01": 48, "p02": 12, "p04": 24}  # of 48 columns, those where both recipes find the class
    for i, columns in shared.items():
        targets = tuple(sorted(images.labels[i]))
        for name, shelf in shelves.items():
            levels = np.zeros((len(targets), 48, 48), np.uint8)
            levels[0, :, : columns if name == "fast" else 48] = 255
            write_evidence(shelf, i, Evidence(levels, targets, (1.0,) * len(targets), (), (48, 48)))
    best = shelves["best"]
    assert second_recipe(tmp_path / "run", images, best).name == "fast"
    assert second_recipe(tmp_path / "run", images, shelves["fast"]).name == "best"
    told = write_seeds(images, best, 0.5, tmp_path / "seeds", second=(shelves["fast"], Threshold(0.5)))

    with (tmp_path / "seeds/confidence-all.csv").open() as file:
        rows = list(csv.DictReader(file))
    firsts = {row["image"]: row for row in reversed(rows)}  # each image's first class; others find nothing
    for i, columns in shared.items():
        assert float(firsts[i]["confidence"]) == pytest.approx(columns / 48, abs=1e-4)
        assert (firsts[i]["class"], float(firsts[i]["area"])) == (images.classes[min(images.labels[i])], 1.0)
    means = {i: columns / 48 / len(images.labels[i]) for i, columns in shared.items()}
    assert told.worst == sorted(means, key=means.__getitem__)
    assert [row["image"] for row in rows] == [i for i in told.worst for _ in images.labels[i]]
    assert told.expected == pytest.approx(np.mean(list(means.values())))
    assert all(area == 1.0 for area in told.areas.values())
    write_seeds(images, best, 0.9, tmp_path / "seeds")  # others, of which nothing is known
    assert not (tmp_path / "seeds/confidence-all.csv").exists()


def test_there_is_no_second_recipe_where_it_lacks_an_image_or_is_of_another_family(
    discs: str, tmp_path: Path
) -> None:
    images, shelves = shelves_of(discs, tmp_path / "run")
    best, fast = shelves["best"], shelves["fast"]
    levels = np.full((1, 48, 48), 255)
    for i in ("p01", "p05"):
        write_evidence(best, i, evidence_of(levels, (0,)))
    assert second_recipe(tmp_path / "run", images, best) is None
    write_evidence(fast, "p01", evidence_of(levels, (0,)))
    assert second_recipe(tmp_path / "run", images, best) is None
    write_evidence(fast, "p05", evidence_of(levels, (0,)), Fingerprint(1, 1, "of another photo"))
    assert second_recipe(tmp_path / "run", images, best) is None
    write_evidence(fast, "p05", evidence_of(levels, (0,)), images.read("p05").file)
    assert second_recipe(tmp_path / "run", images, best).name == "fast"
