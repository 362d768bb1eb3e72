"""Refinements: each against a plain version of itself on pictures small enough to see through."""

import importlib.util
import sys
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.signal import convolve2d
from skimage import segmentation
from torch import Tensor

from beyondcam.data import Photo
from beyondcam.errors import BeyondcamError
from beyondcam.refinements import CRF, REFINEMENTS, Affinity, Resolve, Smooth, Superpixels, Walk, superpixels
from beyondcam.refinements.walk import _at_once

RNG = np.random.default_rng(0)


def grey(height: int, width: int) -> Photo:
    return Photo.of(torch.full((3, height, width), 128, dtype=torch.uint8))


def quadrants(height: int, width: int) -> tuple[Photo, np.ndarray]:
    """Four flat rectangles of very different colours, and which pixel is of which."""
    which = np.zeros((height, width), int)
    which[height // 2 :] += 2
    which[:, width // 2 :] += 1
    colours = np.array([[255, 255, 0], [255, 0, 0], [0, 255, 255], [0, 0, 40]], np.uint8)
    return Photo.of(torch.from_numpy(colours[which]).permute(2, 0, 1).contiguous()), which


def shaded(height: int, width: int) -> Photo:
    """A photo that gets redder downwards and greener to the right."""
    down, across = np.mgrid[:height, :width]
    rgb = np.stack([down * 255 / height, across * 255 / width, np.zeros((height, width))])
    return Photo.of(torch.from_numpy(rgb.astype(np.uint8)))


def random_maps(k: int, height: int, width: int) -> Tensor:
    return torch.from_numpy(RNG.random((k, height, width), np.float32))


def gaussian(sigma: float, radius: int) -> np.ndarray:
    """The two-dimensional kernel, from its formula."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    kernel = np.exp(-(x**2 + y**2) / (2 * sigma**2))
    return kernel / kernel.sum()


# Smooth


@pytest.mark.parametrize(("height", "width"), [(30, 40), (40, 30)])
def test_smooth_is_convolution_with_a_gaussian_mirrored_beyond_the_border(height: int, width: int) -> None:
    maps = random_maps(2, height, width)
    smoothed = Smooth(sigma=0.05)(grey(height, width), maps)  # of the longer side: 2 pixels
    assert smoothed.dtype == torch.float32
    for before, after in zip(maps.numpy(), smoothed.numpy(), strict=True):
        mirrored = np.pad(before, 12, mode="symmetric")
        plain = convolve2d(mirrored, gaussian(2.0, 12), mode="valid")
        assert np.abs(after - plain).max() < 5e-4  # the kernel beyond four sigmas


def test_smooth_spreads_a_point_into_a_gaussian_and_keeps_its_mass() -> None:
    point = torch.zeros(1, 50, 80)
    point[0, 20, 33] = 3
    smoothed = Smooth(sigma=0.025)(grey(50, 80), point)[0].numpy()
    assert smoothed.sum() == pytest.approx(3, rel=1e-5)
    y, x = np.mgrid[:50, :80]
    expected = 3 * np.exp(-((y - 20) ** 2 + (x - 33) ** 2) / (2 * 2.0**2)) / (2 * np.pi * 2.0**2)
    assert np.abs(smoothed - expected).max() < 1e-4


def test_smooth_leaves_a_flat_map_flat_up_to_the_border() -> None:
    flat = torch.full((1, 20, 30), 0.7)
    assert torch.allclose(Smooth(sigma=0.1)(grey(20, 30), flat), flat, atol=1e-6)


def test_smooth_treats_each_map_alone() -> None:
    maps = random_maps(3, 20, 30)
    together = Smooth()(grey(20, 30), maps)
    for k in range(3):
        assert torch.equal(together[k], Smooth()(grey(20, 30), maps[k : k + 1])[0])


# Superpixels


def test_superpixels_of_flat_rectangles_are_the_rectangles_means() -> None:
    photo, which = quadrants(40, 60)
    maps = random_maps(2, 40, 60)
    averaged = Superpixels(number=4)(photo, maps).numpy()
    for before, after in zip(maps.numpy().astype(float), averaged, strict=True):
        for quadrant in range(4):
            inside = which == quadrant
            assert np.allclose(after[inside], before[inside].mean(), rtol=1e-6)


def test_superpixels_keep_the_sum_of_every_map() -> None:
    photo, maps = shaded(37, 53), random_maps(2, 37, 53)
    averaged = Superpixels(number=50)(photo, maps)
    assert torch.allclose(averaged.double().sum((1, 2)), maps.double().sum((1, 2)), rtol=1e-6)
    assert 20 < len(averaged[0].unique()) < 100
    assert torch.allclose(Superpixels(number=50)(photo, averaged), averaged, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (2, 2)])
@pytest.mark.parametrize("refinement", [Smooth(), Superpixels(), Resolve()])
def test_tiny_photos_are_refined_too(refinement, shape: tuple[int, int]) -> None:
    maps = random_maps(2, *shape)
    refined = refinement(grey(*shape), maps)
    assert refined.shape == maps.shape
    assert refined.isfinite().all()


def test_segments_are_worked_out_once_a_photo(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    real = segmentation.slic

    def counted(*args, **kwargs):
        calls.append(kwargs)
        return real(*args, **kwargs)

    monkeypatch.setattr(segmentation, "slic", counted)
    photo, maps = quadrants(20, 30)[0], random_maps(1, 20, 30)
    first = Superpixels(number=6)(photo, maps)
    assert torch.equal(Superpixels(number=6)(photo, maps), first)
    Resolve(number=6)(photo, maps)
    assert len(calls) == 1
    Superpixels(number=7)(photo, maps)
    Superpixels(number=6, compactness=5)(photo, maps)
    Superpixels(number=6)(quadrants(20, 30)[0], maps)  # another photo, though it looks the same
    assert len(calls) == 4


# Resolve


PHOTO = shaded(12, 15)
SEGMENTS = superpixels.segments(PHOTO, 12, 10.0)
PARTS = [label == SEGMENTS for label in range(SEGMENTS.max() + 1)]


def majority(seed: np.ndarray) -> np.ndarray:
    """Where a superpixel has more foreground than background pixels."""
    voted = np.zeros(seed.shape, bool)
    for inside in PARTS:
        voted[inside] = seed[inside].sum() * 2 > inside.sum()
    return voted


def stepped_maps(k: int, seed: int) -> Tensor:
    """Maps (k, 12, 15) with maximum 1 and values in tenths, so that votes are often tied."""
    maps = np.random.default_rng(seed).integers(0, 11, (k, 12, 15)) / 10
    maps[:, 0, 0] = 1
    return torch.from_numpy(maps.astype(np.float32))


def test_the_photo_for_the_votes_has_superpixels_of_even_and_odd_size() -> None:
    assert len(PARTS) > 4
    assert {int(inside.sum()) % 2 for inside in PARTS} == {0, 1}


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), threshold=st.sampled_from([0.05, 0.3, 0.45, 0.5, 0.55, 0.62, 0.78, 0.95]))
def test_resolved_seed_is_the_majority_vote_of_the_seed_at_any_threshold(seed: int, threshold: float) -> None:
    maps = stepped_maps(1, seed)
    resolved = Resolve(number=12)(PHOTO, maps)[0].numpy()
    assert np.array_equal(resolved > threshold, majority(maps[0].numpy() > threshold))


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6), threshold=st.sampled_from([0.05, 0.45, 0.55, 0.75, 0.85, 0.95]))
def test_resolved_seed_of_several_classes_is_foreground_where_most_winners_are(
    seed: int, threshold: float
) -> None:
    maps = stepped_maps(3, seed)
    resolved = Resolve(number=12)(PHOTO, maps).numpy()
    assert np.array_equal(resolved.max(0) > threshold, majority(maps.numpy().max(0) > threshold))


def test_resolve_gives_each_superpixel_wholly_to_the_class_with_most_evidence() -> None:
    maps = random_maps(3, 12, 15)
    maps[1] *= 5  # raw magnitudes differ; evidence is relative to each map's own maximum
    resolved = Resolve(number=12)(PHOTO, maps).numpy()
    relative = (maps / maps.amax((1, 2), keepdim=True)).numpy()
    for inside in PARTS:
        strongest = relative[:, inside].sum(1).argmax()
        assert len(np.unique(resolved[strongest][inside])) == 1
        assert resolved[strongest][inside][0] > 0
        assert (np.delete(resolved, strongest, 0)[:, inside] == 0).all()
    assert len({int(resolved[:, y, x].argmax()) for y in range(12) for x in range(15)}) > 1


def test_resolve_of_maps_without_evidence_is_without_evidence() -> None:
    assert (Resolve(number=12)(PHOTO, torch.zeros(2, 12, 15)) == 0).all()


# Walk


def walked_plainly(photo: Photo, m: np.ndarray, walk: Walk) -> np.ndarray:
    """Pixel by pixel, from the definition."""
    colours = photo.pixels.numpy() / 255
    height, width = m.shape
    steps = [(d * y, d * x) for d in walk.reach for y in (-1, 0, 1) for x in (-1, 0, 1) if y or x]
    for _ in range(walk.steps):
        before = m.copy()
        for i, j in np.ndindex(height, width):
            places = [(min(max(i + y, 0), height - 1), min(max(j + x, 0), width - 1)) for y, x in steps]
            around = np.stack([colours[:, a, b] for a, b in places], 1)
            deviation = np.column_stack([around, colours[:, i, j]]).std(1, ddof=1)
            unlike = np.abs(around - colours[:, i, j, None]) / (walk.contrast * deviation[:, None] + 1e-8)
            weight = np.exp(-unlike.mean(0))
            m[i, j] = weight @ [before[place] for place in places] / weight.sum()
    return m


def test_walk_is_what_its_definition_says() -> None:
    photo = Photo.of(torch.from_numpy(RNG.integers(0, 256, (3, 7, 9), np.uint8)))
    maps = random_maps(2, 7, 9)
    walk = Walk(steps=3, reach=(1, 3), contrast=0.7)
    expected = [walked_plainly(photo, m, walk) for m in maps.double().numpy()]
    np.testing.assert_allclose(walk(photo, maps), expected, rtol=1e-4, atol=1e-6)


def test_walk_of_a_flat_map_is_the_map() -> None:
    flat = torch.full((1, 20, 30), 0.3)
    assert torch.allclose(Walk()(shaded(20, 30), flat), flat, atol=1e-6)


def test_walk_fills_what_has_one_colour_and_stops_at_its_edge() -> None:
    """A walk conserves no sum, but what it brings one place it takes from its own side of an edge."""
    photo, which = quadrants(40, 40)
    maps = torch.zeros(1, 40, 40)
    maps[0, 5:10, 5:10] = 1
    walked = Walk(steps=40)(photo, maps)[0].numpy()
    own, others = walked[which == 0], walked[which > 0]
    assert own.min() > 0.01
    assert own.std() < 0.5 * own.mean()
    assert others.max() < 0.01 * own.min()


def test_walk_goes_over_large_photos_at_a_smaller_size() -> None:
    photo, _ = quadrants(60, 90)
    maps = random_maps(1, 60, 90)
    resized = partial(torch.nn.functional.interpolate, mode="bilinear")
    halved, _ = quadrants(30, 45)
    halved.pixels[:, :, 22] = photo.pixels[:, ::2, 44:46].float().mean(-1).byte()  # the edge runs through it
    expected = Walk()(halved, resized(maps[None], (30, 45), antialias=True)[0])
    found = Walk(side=45)(photo, maps)
    assert torch.allclose(found, resized(expected[None], (60, 90))[0], atol=2e-3)
    assert not torch.allclose(found, Walk()(photo, maps), atol=2e-3)


def test_walk_takes_all_neighbours_at_once_on_a_gpu_to_the_same_end(monkeypatch: pytest.MonkeyPatch) -> None:
    maps, walk = random_maps(2, 30, 41), Walk(steps=4)
    one_by_one = walk(shaded(30, 41), maps)
    assert _at_once(torch.device("cpu"), 48) == 1
    assert _at_once(torch.device("cuda"), 48) == 48
    monkeypatch.setattr("beyondcam.refinements.walk._at_once", lambda _, count: count)
    assert torch.allclose(walk(shaded(30, 41), maps), one_by_one, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("refinement", [Smooth(), Walk()])
def test_maps_stay_on_their_device(refinement) -> None:
    photo, maps = shaded(30, 41), random_maps(2, 30, 41).to("meta")
    refinement.prepare(photo, maps.device)
    refined = refinement(photo, maps)
    assert (refined.device.type, refined.shape, refined.dtype) == ("meta", maps.shape, torch.float32)


# Affinity


def test_affinity_stays_on_its_device_and_leaves_what_it_is_given() -> None:
    affinities = torch.rand(9, 9)
    before = affinities.clone()
    Affinity()(grey(3, 3), random_maps(2, 3, 3), affinities)
    assert torch.equal(affinities, before)
    assert Affinity()(grey(3, 3), torch.rand(2, 3, 3, device="meta"), affinities.to("meta")).is_meta


def test_affinity_is_what_its_definition_says() -> None:
    """Maps of the grid's own size, so that nothing is resized."""
    affinities, maps = torch.rand(9, 9), random_maps(2, 3, 3)
    refined = Affinity(steps=3, power=1.5, share=0.6)(grey(3, 3), maps, affinities)
    for own, found in zip(maps.double().numpy(), refined, strict=True):
        walked = own.flatten()
        for _ in range(3):
            weights = affinities.double().numpy() ** 1.5
            walked = np.array([weights[i] @ walked / weights[i].sum() for i in range(9)])
        expected = (own.flatten() / own.max()) ** 0.4 * (walked / walked.max()) ** 0.6
        np.testing.assert_allclose(found.flatten(), expected, rtol=1e-5)


def test_affinity_walks_on_the_means_of_its_cells_and_is_enlarged_to_the_map() -> None:
    """At share 1 and with no neighbours, it is the means of 2 × 2 pixels, interpolated bilinearly."""
    maps = random_maps(1, 6, 6)
    means = maps[0].double().numpy().reshape(3, 2, 3, 2).mean((1, 3))
    place = np.clip((np.arange(6) + 0.5) / 2 - 0.5, 0, 2)
    weights = np.maximum(0, 1 - abs(place[:, None] - np.arange(3)))
    expected = weights @ means @ weights.T
    (refined,) = Affinity(share=1)(grey(6, 6), maps, torch.eye(9))
    np.testing.assert_allclose(refined, expected / expected.max(), rtol=1e-5)


def test_affinity_fills_what_is_alike_however_far_and_nothing_else() -> None:
    which = torch.tensor([[0, 1, 1, 0]] * 4).flatten()  # two stripes that do not touch
    alike = (which[:, None] == which).float()
    maps = torch.full((1, 4, 4), 1e-3)
    maps[0, :2, 0] = 1
    refined = Affinity(share=1)(grey(4, 4), maps, alike)[0].flatten()
    assert torch.allclose(refined[which == 0], torch.ones(8))
    assert (refined[which == 1] < 0.01).all()


def test_affinity_keeps_a_map_without_evidence() -> None:
    assert (Affinity()(grey(6, 5), torch.zeros(1, 6, 5), torch.rand(16, 16)) == 0).all()


# CRF


def test_crf_without_its_extra_is_one_line_that_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydensecrf", None)
    monkeypatch.setitem(sys.modules, "pydensecrf.densecrf", None)
    with pytest.raises(BeyondcamError) as caught:
        CRF()(grey(4, 4), torch.ones(1, 4, 4))
    assert "beyondcam[crf]" in str(caught.value)
    assert "\n" not in str(caught.value)


needs_crf = pytest.mark.skipif(
    importlib.util.find_spec("pydensecrf") is None, reason="pydensecrf is not installed: the extra `crf`"
)


@needs_crf
def test_crf_brings_a_blurred_map_to_the_photos_edge() -> None:
    """A bright square on dark; the evidence is shifted by 3 pixels, the posterior is not."""
    truth = np.zeros((40, 50), bool)
    truth[10:30, 15:40] = True
    rgb = np.where(truth, 230, 20).astype(np.uint8)
    photo = Photo.of(torch.from_numpy(np.stack([rgb] * 3)))
    shifted = np.roll(truth, (3, 3), (0, 1)) * 0.6 + 0.05
    posterior = CRF(colour_rgb=10)(photo, torch.from_numpy(shifted.astype(np.float32))[None])
    assert posterior.shape == (1, 40, 50)
    assert posterior.dtype == torch.float32
    assert 0 <= posterior.min() <= posterior.max() <= 1.0001
    before = ((shifted > 0.3) == truth).mean()
    after = ((posterior[0].numpy() > 0.5) == truth).mean()
    assert before < 0.95
    assert after > 0.99


@needs_crf
def test_crf_without_neighbours_is_the_share_of_each_score() -> None:
    """With kernels of next to no weight the posterior is v over the sum of all v and the background."""
    maps = random_maps(2, 8, 9)
    maps[0] *= 7
    posterior = CRF(background=0.4, smooth_weight=1e-9, colour_weight=1e-9)(grey(8, 9), maps)
    v = maps / maps.amax((1, 2), keepdim=True)
    assert torch.allclose(posterior, v / (v.sum(0) + 0.4), atol=1e-3)


@needs_crf
def test_crf_gives_an_absent_class_nothing() -> None:
    posterior = CRF()(grey(8, 9), torch.stack([torch.ones(8, 9), torch.zeros(8, 9)]))
    assert posterior[0].min() > 0.9
    assert posterior[1].max() < 0.01


# Settings


@pytest.mark.parametrize(
    ("refinement", "setting"),
    [
        (Smooth, {"sigma": 0}),
        (Smooth, {"sigma": -1.0}),
        (Smooth, {"sigma": float("inf")}),
        (CRF, {"colour_xy": float("inf")}),
        (Superpixels, {"number": 0}),
        (Superpixels, {"compactness": 0}),
        (Resolve, {"number": 0}),
        (CRF, {"background": 0}),
        (CRF, {"background": 1}),
        (CRF, {"steps": 0}),
        *((refinement, {"unknown": 1}) for refinement in REFINEMENTS.kinds.values()),
    ],
)
def test_setting_out_of_range_is_refused_by_name(refinement, setting: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(setting))):
        refinement(**setting)
