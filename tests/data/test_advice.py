"""What is said of photos before hours are spent on them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from beyondcam.data import LabelledImages, Photo, open_images
from beyondcam.data.advice import advice


def some(labels: list[set[int]], classes: str = "abc", read=None, path=lambda _: None) -> LabelledImages:
    ids = tuple(f"p{n:03d}" for n in range(len(labels)))
    own = dict(zip(ids, map(frozenset, labels), strict=True))
    return LabelledImages("d", "all", tuple(classes), ids, own, read or noise, path=path)


def noise(image_id: str) -> Photo:
    return Photo.of(noise_of(image_id))


def noise_of(image_id: str):
    seed = int.from_bytes(image_id.encode()) % 2**31
    return torch.randint(
        0, 256, (3, 40, 50), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )


def said(images: LabelledImages, size: int = 64) -> list[str]:
    ids = images.ids
    return list(advice(images, ids[::2], [(images, ids[1::2])], size))


@pytest.mark.parametrize(
    ("labels", "line"),
    [
        ([{0}] * 15 + [{1}] * 15 + [{0, 1, 2}] * 15, None),
        ([{0}] * 15 + [{1}] * 14 + [{2}] * 15, "few photos: b (14); "),
        ([{0}] * 15 + [{1}] * 15, "few photos: c (0); "),
        ([{0, 1}] * 15 + [{0, 2}] * 15, "in every photo: a; "),
        ([{0, 1}] * 15 + [{2}] * 15, "never apart: a, b; "),
        ([{0, 1, 2}] * 15 + [set()] * 15, "never apart: a, b, c; "),
    ],
)
def test_labels_that_teach_nothing_are_named(labels: list[set[int]], line: str | None) -> None:
    lines = said(some(labels))
    assert len(lines) == (line is not None)
    assert line is None or lines[0].startswith(line)


def test_photos_much_larger_than_what_the_network_sees_are_named(tmp_path: Path) -> None:
    Image.new("RGB", (1000, 256)).save(tmp_path / "p.png")
    images = some([{0}] * 15 + [{1}] * 15 + [{2}] * 15, path=lambda _: tmp_path / "p.png")
    (line,) = (line for line in said(images) if line.startswith("large"))
    assert "of 1000×256 the network sees 64×64" in line
    assert "less than about 48 pixels" in line
    assert not [line for line in said(images, 65) if line.startswith("large")]


def test_photos_that_are_nearly_the_same_in_both_parts_are_named(tmp_path: Path) -> None:
    """One is brighter, smaller and a JPEG; one is another photo of the same colours; one cannot be read."""
    rng = np.random.default_rng(0)
    (first, other) = (
        Image.fromarray(rng.integers(0, 200, (12, 16, 3), dtype=np.uint8)).resize((480, 360))
        for _ in range(2)
    )
    first.save(tmp_path / "p000.png")
    Image.fromarray(np.asarray(first) + np.uint8(40)).resize((240, 180)).save(tmp_path / "p001.jpg")
    other.save(tmp_path / "p002.png")
    (tmp_path / "p003.png").write_bytes(b"no photo")
    files = {path.stem: path for path in tmp_path.iterdir()}
    images = some([{0}, {1}, {0, 1}, set()], "ab", path=files.__getitem__)
    (line,) = (line for line in said(images, 1000) if line.startswith("nearly"))
    assert line.startswith("nearly the same: 1 of 1 photos")
    assert "p001 and p000" in line
    files["p001"] = files["p003"]
    assert not [line for line in said(images, 1000) if line.startswith("nearly")]


@pytest.mark.parametrize(
    ("known", "split", "kinds"),
    [
        ("digits", "train_150", []),
        ("voc:{}/voc2012_animals", "train", ["few photos"]),
        ("folder:{}/magnetic_tiles", "train", ["nearly the same"]),
    ],
)
def test_data_that_are_known_get_no_false_alarm(known: str, split: str, kinds: list[str], request) -> None:
    """Rare classes of VOC are few indeed, and the magnetic tiles were taken several times each."""
    if "{}" in known:
        known = known.format(request.getfixturevalue("data"))
    classes = ["cat", "cow", "dog", "horse", "person", "sheep", "tvmonitor"] if "voc" in known else None
    images, val = (
        open_images(known, name, classes) for name in (split, "val_40" if "dig" in known else "val")
    )
    lines = list(advice(images, images.ids, [(val, val.ids)], 384))
    assert [line.partition(":")[0] for line in lines] == kinds, lines
