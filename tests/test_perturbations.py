"""Perturbations: their draws, what they cover and what they do to an input."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError
from torch import Tensor

from beyondcam.data import Photo
from beyondcam.perturbations import (
    PERTURBATIONS,
    Crops,
    LinearPath,
    Mask,
    Masking,
    Noise,
    Perturbation,
    Plain,
    Rise,
    Scales,
    View,
    cut_at_once,
    generator,
)

HEIGHT, WIDTH, SIDE = 375, 500, 320
SIZES = [(375, 500), (500, 375), (333, 500), (480, 640), (64, 64), (1024, 768), (224, 224), (37, 101)]


def views(perturbation: Perturbation, *, image: str = "a", side: int = SIDE, seed: int = 0) -> list[View]:
    return list(perturbation.views(image, HEIGHT, WIDTH, side, seed))


def altered(perturbation: Perturbation, x: Tensor, **where) -> list[Tensor]:
    return [view.altered(x) for view in views(perturbation, side=x.shape[-1], **where)]


def signature(perturbation: Perturbation, **where) -> list[object]:
    """What the draws of a random perturbation come to, in a form that can be compared."""
    drawn = views(perturbation, **({"side": 32} | where))
    x = torch.linspace(-2, 2, 3 * 32 * 32).view(3, 32, 32)
    return [(view.window, view.altered(x).tolist()) for view in drawn]


RANDOM = [Crops(n=6), Noise(n=4), Mask(n=4), Rise(n=4)]


@pytest.mark.parametrize("perturbation", RANDOM, ids=lambda p: p.kind)
def test_first_draws_are_the_same_whatever_their_number(perturbation: Perturbation) -> None:
    many = perturbation.model_copy(update={"n": 3 * perturbation.n})
    few, more = signature(perturbation), signature(many)
    assert len(few) == perturbation.n
    assert len(more) == 3 * perturbation.n
    assert more[: len(few)] == few
    assert len({str(one) for one in more}) == len(more)


@pytest.mark.parametrize("perturbation", RANDOM, ids=lambda p: p.kind)
def test_draws_depend_on_seed_and_image_and_on_nothing_that_was_drawn_before(
    perturbation: Perturbation,
) -> None:
    first = signature(perturbation)
    signature(perturbation, image="b")
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002  (the global streams must not matter)
    assert signature(perturbation) == first
    assert signature(perturbation, seed=1) != first
    assert signature(perturbation, image="b") != first
    if not isinstance(perturbation, Masking):  # a mask is drawn at the input's size
        assert signature(perturbation, side=448) == first


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Crops(n=3), Crops(n=3, scale=(0.3, 0.7))),
        (Crops(n=3), Crops(n=3, aspect="square")),
        (Noise(n=3), Noise(n=3, sigma=0.2)),
        (Noise(n=3), Noise(n=3, distribution="uniform")),
        (Mask(n=3), Mask(n=3, rate=0.4)),
        (Mask(n=3), Mask(n=3, block=4)),
        (Rise(n=3), Rise(n=3, rate=0.4)),
        (Rise(n=3), Rise(n=3, cells=5)),
    ],
)
def test_draws_of_another_setting_are_a_stream_of_their_own(one: Perturbation, other: Perturbation) -> None:
    assert one.stream("a") != other.stream("a")
    assert signature(one) != signature(other)


def test_words_of_a_stream_do_not_run_together() -> None:
    draws = [
        generator(*words).random() for words in ((1, "a", "b"), (1, "ab"), (1, "a", "b", 0), (11, "a", "b"))
    ]
    assert len(set(draws)) == 4


def test_one_noise_is_not_drawn_again_in_the_next_view_or_channel() -> None:
    x = torch.linspace(-1, 1, 3 * 40 * 40).view(3, 40, 40)
    noises = torch.stack([y - x for y in altered(Noise(n=4), x)]).flatten(0, 1).flatten(1)  # (12, 1600)
    correlation = torch.corrcoef(noises) - torch.eye(12)
    assert correlation.abs().max() < 5 / 1600**0.5


# Crops


@pytest.mark.parametrize("aspect", ["image", "square"])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_crops_lie_inside_the_image_and_keep_to_their_range(height: int, width: int, aspect: str) -> None:
    crops = Crops(n=200, scale=(0.4, 0.7), aspect=aspect)
    base = (height, width) if aspect == "image" else (min(height, width),) * 2
    shares = []
    for view in crops.views("a", height, width, SIDE, 0):
        top, left, bottom, right = view.window
        assert 0 <= top < bottom <= height
        assert 0 <= left < right <= width
        for extent, of in zip((bottom - top, right - left), base, strict=True):
            assert 0.4 * of - 0.5 <= extent <= 0.7 * of + 0.5
        shares.append((bottom - top) / base[0])
        if aspect == "square":
            assert bottom - top == right - left
        else:
            assert abs((bottom - top) / height - (right - left) / width) <= 0.5 / height + 0.5 / width
    if min(height, width) > 60:
        # even over the range: its mean and standard deviation, within rounding
        assert np.mean(shares) == pytest.approx(0.55, abs=0.01)
        assert np.std(shares) == pytest.approx(0.3 / 12**0.5, abs=0.01)


def test_crops_are_resized_to_the_input_asked_for() -> None:
    assert {view.size for view in views(Crops(n=5, size=0.75))} == {240}  # of 320
    assert {view.size for view in views(Crops(n=5, size=224))} == {224}


def test_crops_of_one_scale_are_of_one_size() -> None:
    windows = [view.window for view in views(Crops(n=20, scale=(0.5, 0.5)))]
    assert {(bottom - top, right - left) for top, left, bottom, right in windows} == {(188, 250)}
    assert len(set(windows)) > 10  # some are pushed into the same corner


def coverage(crops: Crops, height: int, width: int, seed: int) -> np.ndarray:
    covered = np.zeros((height, width), int)
    for view in crops.views(f"image-{seed}", height, width, SIDE, seed):
        top, left, bottom, right = view.window
        covered[top:bottom, left:right] += 1
    return covered


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_64_crops_cover_every_pixel_and_so_the_border(height: int, width: int) -> None:
    least = [coverage(Crops(n=64), height, width, seed).min() for seed in range(12)]
    assert min(least) >= 1


@pytest.mark.parametrize("crops", [Crops(), Crops(aspect="square", n=48)])  # squares are smaller
def test_few_crops_leave_next_to_nothing_uncovered(crops: Crops) -> None:
    shares = [(coverage(crops, HEIGHT, WIDTH, seed) == 0).mean() for seed in range(12)]
    assert max(shares) < 0.001


def test_crops_cover_left_and_right_and_top_and_bottom_alike() -> None:
    total = sum(coverage(Crops(n=64), 60, 80, seed) for seed in range(40)).astype(float)
    assert abs(total[:10].mean() / total[-10:].mean() - 1) < 0.1
    assert abs(total[:, :10].mean() / total[:, -10:].mean() - 1) < 0.1


def test_crops_of_a_pixel_are_that_pixel() -> None:
    assert {view.window for view in Crops(n=3).views("a", 1, 1, SIDE, 0)} == {(0, 0, 1, 1)}


# Noise


@pytest.mark.parametrize("sigma", [0.15, 0.3])
def test_noise_has_the_asked_share_of_the_inputs_range(sigma: float) -> None:
    x = torch.rand(3, 150, 150, generator=torch.Generator().manual_seed(0)) * 3.1 - 1
    spread = sigma * (x.max() - x.min()).item()
    count = x.numel()
    for y in altered(Noise(n=3, sigma=sigma), x):
        noise = (y - x).double()
        # five standard errors of a mean and of a standard deviation
        assert abs(noise.mean().item()) < 5 * spread / count**0.5
        assert abs(noise.std().item() / spread - 1) < 5 / (2 * count) ** 0.5
        kurtosis = ((noise / noise.std()) ** 4).mean().item()
        assert kurtosis == pytest.approx(3, abs=5 * (24 / count) ** 0.5)


def test_uniform_noise_has_the_asked_root_mean_square_and_no_tails() -> None:
    x = torch.rand(3, 150, 150, generator=torch.Generator().manual_seed(0)) * 3.1 - 1
    spread = 0.2 * (x.max() - x.min()).item()
    (y,) = altered(Noise(n=1, sigma=0.2, distribution="uniform"), x)
    noise = (y - x).double()
    assert noise.std().item() == pytest.approx(spread, rel=0.01)
    assert noise.abs().max().item() == pytest.approx(3**0.5 * spread, rel=0.01)
    assert abs(noise.mean().item()) < 5 * spread / x.numel() ** 0.5


def test_salt_and_pepper_changes_evenly_spread_values_by_sigma_in_all_channels_alike() -> None:
    x = torch.rand(1, 300, 300, generator=torch.Generator().manual_seed(0)).expand(3, -1, -1) * 3.1 - 1
    (y,) = altered(Noise(n=1, sigma=0.2, distribution="salt-and-pepper"), x)
    low, high = x.aminmax()
    changed = (y != x).any(0)
    assert changed.float().mean().item() == pytest.approx(3 * 0.2**2, rel=0.05)
    assert (y[:, changed] == high).float().mean().item() == pytest.approx(0.5, abs=0.03)
    assert ((y[:, changed] == high) | (y[:, changed] == low)).all()
    assert torch.equal(y[0], y[1])
    assert (y - x).square().mean().sqrt().item() == pytest.approx(0.2 * (high - low).item(), rel=0.03)


def test_noise_of_nothing_is_nothing() -> None:
    x = torch.linspace(0, 1, 3 * 8 * 8).view(3, 8, 8)
    assert all(torch.equal(y, x) for y in altered(Noise(n=2, sigma=0), x))
    flat = torch.full((3, 8, 8), 0.4)
    assert all(torch.equal(y, flat) for y in altered(Noise(n=2), flat))


@pytest.mark.parametrize(
    "perturbation",
    [
        Noise(n=1),
        Noise(n=1, distribution="uniform"),
        Noise(n=1, distribution="salt-and-pepper", sigma=0.3),
        Mask(n=1, block=2),
        Rise(n=1),
    ],
)
def test_altering_an_input_leaves_the_original_alone(perturbation: Perturbation) -> None:
    x = torch.linspace(0, 1, 3 * 16 * 16).view(3, 16, 16)
    before = x.clone()
    (y,) = altered(perturbation, x)
    assert torch.equal(x, before)
    assert y.dtype == x.dtype
    assert not torch.equal(y, x)


# Mask


@pytest.mark.parametrize(("rate", "block"), [(0.3, 8), (0.6, 5)])
def test_mask_drops_its_rate_of_blocks_as_wholes_in_all_channels(rate: float, block: int) -> None:
    side = 100  # the blocks of 8 are cut off at the far border
    x = torch.linspace(1, 2, 3 * side * side).view(3, side, side)
    dropped, count = 0, 0
    for y in altered(Mask(n=12, rate=rate, block=block), x):
        kept = y == x
        assert ((y == 0) | kept).all()
        for top in range(0, side, block):
            for left in range(0, side, block):
                inside = kept[:, top : top + block, left : left + block]
                assert inside.all() or not inside.any()
                dropped += not inside.any()
                count += 1
    assert abs(dropped / count - rate) < 4 * (rate * (1 - rate) / count) ** 0.5


def test_mask_of_rate_nought_drops_nothing() -> None:
    x = torch.ones(3, 20, 20)
    assert all(torch.equal(y, x) for y in altered(Mask(n=3, rate=0), x))


# Rise


@pytest.mark.parametrize(("rate", "cells"), [(0.5, 7), (0.2, 4)])
def test_rise_masks_are_smooth_and_show_every_pixel_at_their_rate(rate: float, cells: int) -> None:
    side, count = 50, 600  # no multiple of the cells
    masks = torch.stack([view.mask for view in views(Rise(n=count, rate=rate, cells=cells), side=side)])
    assert masks.shape == (count, side, side)
    assert 0 <= masks.min() < 0.01
    assert 0.99 < masks.max() <= 1
    assert (masks.mean(0) - rate).abs().max() < 5 * (rate * (1 - rate) / count) ** 0.5
    steepest = 1 / -(-side // cells)  # from 0 to 1 over a cell
    assert masks.diff(dim=1).abs().max() <= steepest + 1e-6
    assert masks.diff(dim=2).abs().max() <= steepest + 1e-6


def test_rise_masks_are_a_grid_resized_as_a_plain_loop_resizes_it() -> None:
    """Each pixel by hand, from the same draws: the grid, then the shift down and across."""
    rise = Rise(n=1, rate=0.4, cells=3)
    (view,) = views(rise, side=10)  # cells of 4 pixels, 16 in all
    rng = generator(0, *rise.stream("a"), 0)
    grid = (rng.random((3, 3)) < 0.4).astype(float)
    top, left = int(rng.integers(4)), int(rng.integers(4))
    for y in range(10):
        for x in range(10):
            down, across = (min(max((p + 0.5) * 3 / 16 - 0.5, 0), 2) for p in (y + top, x + left))
            value = 0.0
            for i in range(3):
                for j in range(3):
                    value += grid[i, j] * max(0, 1 - abs(i - down)) * max(0, 1 - abs(j - across))
            assert view.mask[y, x].item() == pytest.approx(value, abs=1e-6)
    assert view.factor == 1 / 0.4


# The path of integrated gradients


def test_the_path_goes_in_equal_steps_from_the_mean_colour_to_the_image() -> None:
    x = torch.linspace(-2, 2, 3 * 16 * 16).view(3, 16, 16)
    drawn = views(LinearPath(steps=4), side=16)
    for view, alpha in zip(drawn, (1 / 8, 3 / 8, 5 / 8, 7 / 8), strict=True):
        assert torch.equal(view.altered(x), x * alpha)
        assert view.factor == 1 / alpha
        assert view.window == (0, 0, HEIGHT, WIDTH)
    assert LinearPath(steps=4).nest != LinearPath(steps=8).nest  # its points are others


# Plain and scales


def test_plain_is_the_whole_image_once_at_the_training_size() -> None:
    assert views(Plain()) == [View((0, 0, HEIGHT, WIDTH), SIDE, False, None)]


def test_scales_are_each_size_straight_and_mirrored() -> None:
    drawn = views(Scales(sizes=(0.5, 1.0, 224)))
    assert [(view.size, view.flip) for view in drawn] == [
        (160, False), (160, True), (320, False), (320, True), (224, False), (224, True),
    ]  # fmt: skip
    assert {view.window for view in drawn} == {(0, 0, HEIGHT, WIDTH)}
    straight = views(Scales(sizes=(0.5, 1.0), flip=False))
    assert [(view.size, view.flip) for view in straight] == [(160, False), (320, False)]


@pytest.mark.parametrize(
    ("size", "side", "pixels"), [(0.75, 288, 216), (0.3, 100, 32), (0.01, 64, 8), (9, 64, 9)]
)
def test_size_is_a_multiple_of_the_training_size_in_eights_or_pixels(
    size: float, side: int, pixels: int
) -> None:
    assert [view.size for view in views(Plain(size=size), side=side)] == [pixels]


# Views


def photo(height: int, width: int) -> Photo:
    drawn = np.random.default_rng(height).integers(0, 256, (3, height, width), np.uint8)
    return Photo.of(torch.from_numpy(drawn))


def test_cut_of_the_whole_image_at_its_own_size_is_the_image() -> None:
    square = photo(40, 40)
    assert torch.equal(View((0, 0, 40, 40), 40).cut(square.pixels), square.pixels)
    assert torch.equal(View((0, 0, 40, 40), 40, flip=True).cut(square.pixels), square.pixels.flip(2))


def test_cut_of_a_window_at_its_own_size_is_the_window() -> None:
    wide = photo(30, 50)
    expected = wide.pixels[:, 3:23, 11:31]
    assert torch.equal(View((3, 11, 23, 31), 20).cut(wide.pixels), expected)
    assert torch.equal(View((3, 11, 23, 31), 20, flip=True).cut(wide.pixels), expected.flip(2))


@pytest.mark.parametrize("size", [16, 64, 200])
def test_cut_resizes_as_pillow_does(size: int) -> None:
    wide = photo(90, 120)
    window = Image.fromarray(wide.pixels.permute(1, 2, 0).numpy()).crop((20, 5, 110, 75))
    expected = np.asarray(window.resize((size, size), Image.Resampling.BILINEAR), int)
    found = View((5, 20, 75, 110), size).cut(wide.pixels).permute(1, 2, 0).numpy()
    assert found.shape == (size, size, 3)
    assert np.abs(found - expected).max() <= 1


# Settings


@pytest.mark.parametrize(
    ("perturbation", "setting"),
    [
        (Crops, {"n": 0}),
        (Crops, {"scale": (0.8, 0.3)}),
        (Crops, {"scale": (0, 0.3)}),
        (Crops, {"scale": (0.5, 1.1)}),
        (Crops, {"aspect": "round"}),
        (Noise, {"sigma": -0.1}),
        (Noise, {"sigma": float("inf")}),
        (Noise, {"n": 0}),
        (Mask, {"rate": 1.0}),
        (Mask, {"block": 0}),
        (Rise, {"rate": 0.0}),
        (Rise, {"rate": 1.0}),
        (Rise, {"cells": 0}),
        (LinearPath, {"steps": 0}),
        (Plain, {"size": 0}),
        (Plain, {"size": float("inf")}),
        (Plain, {"size": float("nan")}),
        (Scales, {"sizes": ()}),
        (Scales, {"sizes": (0.5, -1)}),
        *((perturbation, {"unknown": 1}) for perturbation in PERTURBATIONS.kinds.values()),
    ],
)
def test_setting_out_of_range_is_refused_by_name(perturbation, setting: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(setting))):
        perturbation(**setting)


def test_a_stream_does_not_depend_on_the_order_of_the_fields() -> None:
    class Reordered(Perturbation):
        block: int = 8
        size: float = 1.0
        rate: float = 0.3
        n: int = 5
        kind: str = "mask"

    assert Reordered().stream("a") == Mask(n=16).stream("a")
    assert Reordered(rate=0.4).stream("a") != Mask(n=16).stream("a")


@settings(max_examples=30)
@given(data=st.data(), size=st.integers(1, 40))
def test_views_cut_at_once_are_those_cut_one_by_one(data: st.DataObject, size: int) -> None:
    """But for pixels on the edge of rounding, which is done after each axis, as in torch's of floats."""
    pixels = torch.from_numpy(np.random.default_rng(size).integers(0, 256, (3, 37, 53), np.uint8))
    views = []
    for _ in range(3):
        top, left = data.draw(st.integers(0, 36)), data.draw(st.integers(0, 52))
        bottom, right = data.draw(st.integers(top + 1, 37)), data.draw(st.integers(left + 1, 53))
        views.append(View((top, left, bottom, right), size, flip=data.draw(st.booleans())))
    squares = cut_at_once(pixels, views)
    for square, view in zip(squares, views, strict=True):
        top, left, bottom, right = view.window
        across = F.interpolate(
            pixels[None, :, top:bottom, left:right].float(), (bottom - top, size),
            mode="bilinear", antialias=True,
        ).round()  # fmt: skip
        expected = F.interpolate(across, (size, size), mode="bilinear", antialias=True)[0].round()
        for other in (expected.flip(-1) if view.flip else expected, view.cut(pixels).float()):
            assert (square - other).abs().max() <= 2


def test_views_cut_at_once_differ_from_those_cut_one_by_one_in_few_pixels() -> None:
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 200, 300), np.uint8))
    views = [View(window, 96) for window in ((0, 0, 200, 300), (13, 40, 180, 222), (150, 7, 199, 70))]
    for square, view in zip(cut_at_once(pixels, views), views, strict=True):
        assert (square == view.cut(pixels)).float().mean() > 0.97
