"""Reading a split: each file once, and what cannot be read is left out and named."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from beyondcam.decode import door, pictures
from beyondcam.metrics import ThresholdSplit, score_split, threshold_of
from small import DR_RECALL, LEVEL_100, MIOU, REFERENCE, SEED, SmallRun, winners


class Reads(Counter[str]):
    """Counts how often each file is opened while it is read from."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        monkeypatch.setattr(door, "open_regular", self.counting(door.open_regular))
        monkeypatch.setattr(pictures, "open_regular", self.counting(pictures.open_regular))

    def counting(self, opened: Callable[..., Any]) -> Callable[..., Any]:
        def count(path: Path, *rest, **named) -> Any:
            self[f"{path.parent.name}/{path.name}"] += 1
            return opened(path, *rest, **named)

        return count


@pytest.mark.parametrize("kept", [2**28, 0])
def test_score_reads_each_file_once_but_the_reference_s_twice_where_they_cannot_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    small = SmallRun(tmp_path, tuple(f"n{n}" for n in range(20)))
    for split in ("train", "val"):
        small.put("cam", winners(REFERENCE), split)
        small.put("crops", winners(SEED), split)
        small.put("saliency", winners(SEED), split)
    train, val = (small.images(split) for split in ("train", "val"))
    threshold_split = ThresholdSplit(train, small.masks("train"))
    small.agree(winners(SEED), "val")
    expected = small.score("val", threshold_split=threshold_split)
    assert {row.threshold_rule for row in expected.rows} == {"adaptive", "blind", "train", "oracle"}
    for module in ("score", "consensus"):
        monkeypatch.setattr(f"beyondcam.metrics.{module}.KEPT", kept)
    masks = small.masks("val")  # which reads some to compare them with the labels
    reads = Reads(monkeypatch)
    assert score_split(small.run, val, masks, threshold_split=threshold_split) == expected
    folders = ("masks", small.shelf("cam", "val").folder.name)
    twice = set() if kept else {f"{folder}/{i}.png" for folder in folders for i in val.ids}
    counts = {file: count for file, count in reads.items() if file.endswith(".png")}
    own = {file: count for file, count in counts.items() if not file.startswith("witness")}
    assert len(own) == 4 * 20  # masks and three recipes
    assert {file for file, count in own.items() if count == 2} == twice
    assert max(own.values()) <= 2
    assert {counts[file] for file in counts.keys() - own} == {1 if kept else 3}  # else again, whenever asked


def test_mask_of_another_size_than_the_image_is_left_out_and_named(small: SmallRun) -> None:
    small.put("cam", winners(REFERENCE))
    small.put("crops", winners(SEED))
    Image.new("L", (5, 3)).save(small.root / "masks/b.png")
    scores = small.score(threshold=LEVEL_100)
    assert set(scores.left_out) == {"b"}
    assert "5×3" in scores.left_out["b"]
    assert "4×4" in scores.left_out["b"]
    assert scores.row("crops", "fixed").images == 2
    assert scores.row("crops", "fixed").miou == pytest.approx(MIOU)


def test_missing_mask_is_left_out_and_named(small: SmallRun) -> None:
    small.put("cam", winners(REFERENCE))
    (small.root / "masks/c.png").unlink()
    scores = small.score()
    assert "c.png" in scores.left_out["c"]
    assert scores.row("cam", "oracle").images == 2


@pytest.mark.parametrize("recipe", ["cam", "crops"])
def test_image_whose_evidence_is_broken_is_left_out_and_named_whichever_recipe(
    small: SmallRun, recipe: str
) -> None:
    shelves = {"cam": small.put("cam", winners(REFERENCE)), "crops": small.put("crops", winners(SEED))}
    path = shelves[recipe].path("b")
    path.write_bytes(path.read_bytes()[:60])
    scores = small.score(threshold=LEVEL_100)
    assert set(scores.left_out) == {"b"}
    assert path.name in scores.left_out["b"]
    assert {(r.recipe, r.images) for r in scores.rows} == {("cam", 2), ("crops", 2)}
    assert scores.row("crops", "fixed").metrics["dr_recall"] == pytest.approx(DR_RECALL)


def test_recipe_that_is_not_mapped_in_full_is_left_out_and_named(small: SmallRun) -> None:
    small.put("cam", winners(REFERENCE))
    small.put("crops", winners(SEED), only=("a",))
    scores = small.score(threshold=LEVEL_100)
    assert {r.recipe for r in scores.rows} == {"cam"}
    assert list(scores.left_out) == ["recipe crops"]
    assert "2 of 3" in scores.left_out["recipe crops"]
    assert "beyondcam map" in scores.left_out["recipe crops"]


def test_image_that_no_recipe_has_mapped_is_left_out_and_named(small: SmallRun) -> None:
    small.put("cam", winners(REFERENCE), only=("a", "c"))
    scores = small.score()
    assert list(scores.left_out) == ["b"]
    assert "beyondcam map" in scores.left_out["b"]
    assert scores.row("cam", "oracle").images == 2


def test_where_no_recipe_has_all_images_each_is_named_and_none_scored(tmp_path: Path) -> None:
    small = SmallRun(tmp_path, ("a", "b"))
    small.put("cam", winners(REFERENCE), only=("a",))
    small.put("crops", winners(SEED), only=("b",))
    scores = small.score()
    assert scores.rows == []
    assert scores.left_out.keys() == {"recipe cam", "recipe crops"}


def test_evidence_that_is_not_begun_with_stops_no_score(small: SmallRun) -> None:
    """As where `map --seed 1` was killed at once; nor is what one family lacks left out of another."""
    small.put("cam", winners(REFERENCE))
    small.put("crops", winners(SEED), seed=1, only=())
    small.put("saliency", winners(SEED), seed=2, only=("a",))
    small.agree(winners(SEED))
    shelf, images = small.shelf("cam"), small.images()
    scores = small.score()
    assert {row.recipe for row in scores.rows} == {"cam", "saliency"}
    assert scores.left_out.keys() == {"recipe crops", "b", "c"}
    assert scores.row("cam", "blind").threshold == threshold_of(small.run, images, shelf, "blind").value
