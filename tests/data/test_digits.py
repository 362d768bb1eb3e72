"""The embedded canvases of digits."""

import hashlib

import numpy as np
import pytest
import torch
from builders import present
from scipy import ndimage

from beyondcam.data import digits, open_images
from beyondcam.data.masks import open_masks
from conftest import complaint


@pytest.fixture(scope="module")
def canvases() -> tuple:
    return open_images("digits", "val"), open_masks("digits", "val")


def test_digits_splits_draw_from_disjoint_digits() -> None:
    train, val = set(digits.source_digits("train").tolist()), set(digits.source_digits("val").tolist())
    assert not train & val
    assert train | val == set(range(5000))
    assert len(val) >= 500


def test_digits_canvases_are_made_of_their_own_splits_digits_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the other split's digits erased, every canvas stays the same."""
    glyphs, names = digits._mnist()
    for split, other in (("train", "val"), ("val", "train")):
        ids = [f"{split}-{n:05}" for n in range(20)]
        before = [digits.make_canvas.__wrapped__(i) for i in ids]
        blanked = glyphs.copy()
        blanked[digits.source_digits(other)] = 0.5
        with monkeypatch.context() as patch:
            patch.setattr(digits, "_mnist", lambda blanked=blanked: (blanked, names))
            after = [digits.make_canvas.__wrapped__(i) for i in ids]
        for a, b in zip(before, after, strict=True):
            assert np.array_equal(a[0], b[0])
            assert np.array_equal(a[1], b[1])


def test_digits_canvas_depends_on_its_id_alone() -> None:
    once = digits.make_canvas.__wrapped__("train-00007")
    np.random.seed(5)  # noqa: NPY002  (the global stream must not matter)
    digits.make_canvas.__wrapped__("train-00003")
    again = digits.make_canvas.__wrapped__("train-00007")
    assert np.array_equal(once[0], again[0])
    assert np.array_equal(once[1], again[1])
    for other in ("train-00008", "val-00007"):
        assert not np.array_equal(once[0], digits.make_canvas.__wrapped__(other)[0])


def test_digits_masks_hold_exactly_the_labels(canvases: tuple) -> None:
    images, masks = canvases
    assert len(images.ids) == 200
    for i in images.ids:
        mask = masks.read(i)
        assert mask.shape == (64, 64) == images.read(i).size
        assert set(mask.unique().tolist()) - {0} == {c + 1 for c in images.labels[i]}
    assert {len(images.labels[i]) for i in images.ids} >= {1, 2, 3}


def test_digits_of_classes_left_out_are_void(canvases: tuple) -> None:
    images, masks = canvases
    kept_images, kept = open_images("digits", "val", ["7", "2"]), open_masks("digits", "val", ["7", "2"])
    for i in images.ids[:20]:
        full = masks.read(i)
        expected = torch.full_like(full, 255)
        expected[full == 0], expected[full == 8], expected[full == 3] = 0, 1, 2
        assert torch.equal(kept.read(i), expected)
        assert {kept_images.classes[c] for c in kept_images.labels[i]} == present(images, i) & {"7", "2"}


def best_iou_of_a_threshold(brightness: np.ndarray, foreground: np.ndarray) -> float:
    """The best IoU that `brightness > t` or `brightness < t` reaches at any t."""
    values = np.unique(brightness)
    bright = np.histogram(brightness[foreground], [*values, np.inf])[0]
    total = np.histogram(brightness, [*values, np.inf])[0]
    best = 0.0
    for order in (slice(None), slice(None, None, -1)):
        inside, taken = bright[order].cumsum(), total[order].cumsum()
        best = max(best, (inside / (taken + foreground.sum() - inside)).max())
    return best


@pytest.mark.parametrize("channel", ["mean", "max", "min"])
def test_digits_cannot_be_segmented_by_brightness(canvases: tuple, channel: str) -> None:
    images, masks = canvases
    photos = np.stack([images.read(i).pixels.numpy().astype(float) for i in images.ids[:50]])
    foreground = np.stack([masks.read(i).numpy() > 0 for i in images.ids[:50]])
    brightness = getattr(photos, channel)(axis=1)
    assert best_iou_of_a_threshold(foreground * 2.0, foreground) == 1  # the measure finds what is there
    assert best_iou_of_a_threshold(brightness, foreground) < 0.6


def test_later_digit_hides_an_earlier_one(monkeypatch: pytest.MonkeyPatch) -> None:
    glyphs = np.ones((2, 28, 28), np.float32)
    monkeypatch.setattr(digits, "_mnist", lambda: (glyphs, np.array([3, 8])))
    canvas, mask = np.zeros((3, 64, 64), np.float32), np.zeros((64, 64), np.uint8)

    class Fixed:
        """Draws that put a box of 36 pixels at a given corner, in a given colour."""

        def __init__(self, y: int, x: int, colour: float) -> None:
            self.corner, self.colour = np.array([y, x]), np.full(3, colour)

        def integers(self, low, high, size=None):
            return 36 if size is None else self.corner

        def uniform(self, low, high, size):
            return self.colour

    assert digits._paint(Fixed(0, 0, 0.6), canvas, mask, 0) == (3, 36 * 36)
    assert digits._paint(Fixed(20, 20, 0.9), canvas, mask, 1) == (8, 36 * 36)
    expected = np.zeros((64, 64), np.uint8)
    expected[:36, :36] = 4
    expected[20:56, 20:56] = 9
    assert np.array_equal(mask, expected)
    assert np.allclose(canvas[0][expected == 9], 0.9)
    assert np.allclose(canvas[0][expected == 4], 0.6)


def test_digits_splits_have_parts_that_are_their_first_canvases() -> None:
    images = open_images("digits", "val_7")
    assert images.ids == open_images("digits", "val").ids[:7]
    assert open_images("digits", "val_999").ids == open_images("digits", "val").ids
    for split in ("val_", "val_x", "test_7", "_7"):
        complaint(lambda split=split: open_images("digits", split), split, "train, val")


def test_digits_without_settings_are_the_canvases_they_always_were() -> None:
    """The first hundred of either split, by a hash that was taken before there were any settings."""
    known = {"train": "04117b9aa95092b5", "val": "0a41f101163c3a96"}
    for split, digest in known.items():
        images, masks = open_images("digits", f"{split}_100"), open_masks("digits", f"{split}_100")
        own = hashlib.sha256()
        for i in images.ids:
            own.update(i.encode() + images.read(i).pixels.numpy().tobytes() + masks.read(i).numpy().tobytes())
        assert own.hexdigest()[:16] == digest
        assert images.data == "digits"


def settings_of(place: str) -> tuple:
    return open_images(f"digits:{place}", "val_12"), open_masks(f"digits:{place}", "val_12")


def test_digits_settings_are_the_number_and_the_size_of_the_digits() -> None:
    images, masks = settings_of("objects=1,smallest=50,largest=50")
    assert {len(images.labels[i]) for i in images.ids} == {1}
    for i in images.ids:
        rows, columns = masks.read(i).nonzero(as_tuple=True)
        assert max(rows.max() - rows.min(), columns.max() - columns.min()) in range(30, 50)
    few, many = settings_of("objects=5,smallest=12,largest=16")
    boxes = [ndimage.label(many.read(i).numpy() > 0)[1] for i in few.ids]
    assert min(boxes) >= 3  # some touch
    assert max(boxes) >= 5


def test_digits_specks_and_scraps_are_where_they_are_asked_for() -> None:
    """Without scraps or specks there is noise of 0.04 alone; specks add their own variance."""

    def roughness(place: str) -> tuple[float, float]:
        """Deviation of steps of two pixels: on the ground, and inside digits."""
        images, masks = settings_of(f"objects=1,smallest=50,largest=50,{place}")
        ground, digit = [], []
        for i in images.ids:
            pixels, mask = images.read(i).pixels.numpy()[0] / 255, masks.read(i).numpy()
            step = pixels[:, 2:] - pixels[:, :-2]
            for own, where, margin in ((ground, mask == 0, 4), (digit, mask > 0, 2)):
                inside = ndimage.binary_erosion(where, iterations=margin)
                own.extend(step[inside[:, 2:] & inside[:, :-2]].tolist())
        return float(np.std(ground)), float(np.std(digit))

    smooth, cluttered, rough, speckled = map(
        roughness, ("scraps=0", "scraps=100", "scraps=0,ground=0.2", "scraps=0,inside=0.2")
    )
    noise, specks = 2 * 0.04**2, 2 * 0.2**2 / 12  # neighbouring specks are independent and uniform
    assert smooth[0] == pytest.approx(noise**0.5, rel=0.15)
    assert cluttered[0] > 2 * smooth[0]
    assert rough[0] == pytest.approx((smooth[0] ** 2 + specks) ** 0.5, rel=0.1)
    assert speckled[0] == pytest.approx(smooth[0], rel=0.1)
    assert speckled[1] > 1.2 * smooth[1]


def test_digits_settings_are_named_in_a_fixed_order_without_the_usual_ones() -> None:
    for written, named in (
        ("scraps=4,largest=32", "digits:largest=32,scraps=4"),
        ("objects=3", "digits:objects=3-3"),
        ("objects=2-4,scraps=16", "digits"),
        ("inside=0.50,ground=1", "digits:inside=0.5,ground=1"),
        ("inside=0.12345678", "digits:inside=0.12345678"),
    ):
        images = open_images(f"digits:{written}", "val_1")
        assert images.data == named
        assert open_images(named, "val_1").data == named


@pytest.mark.parametrize(
    ("place", "named"),
    [
        ("x", "x"),
        ("scraps=many", "scraps"),
        ("smallest=1", "smallest"),
        ("largest=65", "largest"),
        ("smallest=40,largest=24", "smaller number comes first"),
        ("objects=4-2", "smaller number comes first"),
        ("objects=0", "objects"),
        ("inside=2", "inside"),
        ("smallest=60,largest=64,objects=9-9", "fewer or smaller"),
    ],
)
def test_digits_settings_that_cannot_be_are_one_line(
    place: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digits, "_DRAWS", 20)
    complaint(lambda: open_images(f"digits:{place}", "val_1"), f"digits:{place}", named)


def test_digits_has_no_other_split() -> None:
    complaint(lambda: open_images("digits", "test"), "test", "train, val")
    complaint(lambda: open_masks("digits", "test"), "test", "train, val")
    complaint(lambda: open_images("digits", "val", ["ten"]), "ten")
