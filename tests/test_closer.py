"""`closer` against a slow plain version of itself, and on things of known size and place."""

import pickle
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from beyondcam.data import Photo
from beyondcam.recipes import Recipe, Source
from beyondcam.refinements import Affinity, Closer, Walk

CAM = Source(map="cam")
QUICK = Closer(walk=Walk(steps=2, reach=(1, 3)), least=8)

Pixel = tuple[int, int]
Rectangle = tuple[int, int, int, int]  # top, left, bottom, right; the last two lie outside


def noise(height: int, width: int, seed: int = 0) -> Photo:
    pixels = np.random.default_rng(seed).integers(0, 256, (3, height, width), np.uint8)
    return Photo.of(torch.from_numpy(pixels))


def bumps(height: int, width: int, *places: tuple[float, float, float, float]) -> Tensor:
    """A map (H, W): the highest of Gaussians of (y, x, sigma, height)."""
    y, x = np.mgrid[:height, :width]
    each = [p * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * s**2)) for cy, cx, s, p in places]
    return torch.from_numpy(np.max(each, 0).astype(np.float32))


# The plain version


def components(v: np.ndarray, level: float) -> Iterator[set[Pixel]]:
    """Flood fill from every pixel above the level that no earlier fill has reached."""
    left = {(y, x) for y, x in np.ndindex(*v.shape) if v[y, x] > level}
    for start in sorted(left):
        if start not in left:
            continue
        left.remove(start)
        filled, todo = set(), [start]
        while todo:
            y, x = todo.pop()
            filled.add((y, x))
            for near in [(y + a, x + b) for a in (-1, 0, 1) for b in (-1, 0, 1)]:
                if near in left:
                    left.remove(near)
                    todo.append(near)
        yield filled


def rectangle(pixels: set[Pixel], shape: tuple[int, ...], closer: Closer) -> Rectangle:
    """The window around some pixels."""
    ys, xs = [y for y, _ in pixels], [x for _, x in pixels]
    longer = max(max(ys) - min(ys), max(xs) - min(xs)) + 1
    side = max(closer.least, round(longer * (1 + 2 * closer.margin)))
    ends = []
    for low, high, extent in ((min(ys), max(ys) + 1, shape[0]), (min(xs), max(xs) + 1, shape[1])):
        length = min(side, extent)
        start = round((low + high - length) / 2)
        while start + length > extent:
            start -= 1
        while start < 0:
            start += 1
        ends.append((start, start + length))
    (top, bottom), (left, right) = ends
    return top, left, bottom, right


def inside(window: Rectangle) -> set[Pixel]:
    return {(y, x) for y in range(window[0], window[2]) for x in range(window[1], window[3])}


def plain_windows(v: np.ndarray, closer: Closer) -> list[tuple[Rectangle, float]]:
    """The windows and the peaks of what is in them."""
    strong = [c for c in components(v, closer.level) if max(v[p] for p in c) >= closer.peak]
    strong.sort(key=lambda c: -max(v[p] for p in c))
    groups: list[set[Pixel]] = []
    for component in strong:
        groups.append(component)
        while True:
            area = inside(rectangle(groups[-1], v.shape, closer))
            touched = [g for g in groups[:-1] if area & inside(rectangle(g, v.shape, closer))]
            if not touched:
                break
            groups.remove(touched[0])
            groups[-1] = groups[-1] | touched[0]
    return [(rectangle(g, v.shape, closer), float(max(v[p] for p in g))) for g in groups]


def plainly(photo: Photo, m: Tensor, w: Tensor, r: Tensor, closer: Closer) -> Tensor:
    """One class's map, looked at closer."""
    out = r / r.max() if r.max() > 0 else r.clone()
    windows = plain_windows((w / w.max()).numpy(), closer) if w.max() > 0 else []
    covered = set().union(*(inside(window) for window, _ in windows))
    if len(covered) > closer.most * w.numel():
        return out
    for (top, left, bottom, right), peak in windows:
        part = Photo.of(photo.pixels[:, top:bottom, left:right].clone())
        walked = closer.walk(part, m[None, top:bottom, left:right].clone())[0]
        for y in range(top, bottom):
            for x in range(left, right):
                out[y, x] = peak * walked[y - top, x - left] / walked.max()
    return out / out.max() if out.max() > 0 else out


places = st.tuples(
    st.floats(-2, 42), st.floats(-2, 62), st.sampled_from([0.7, 1.5, 3.0, 12.0]), st.floats(0.5, 1.0)
)


@settings(max_examples=60)
@given(st.lists(st.lists(places, min_size=1, max_size=5), min_size=1, max_size=3))
def test_closer_is_what_its_definition_says(classes: list[list[tuple[float, float, float, float]]]) -> None:
    photo = noise(40, 60)
    m = torch.stack([bumps(40, 60, *c) for c in classes])
    w, r = m**0.8, m**0.5
    found = QUICK(photo, r, [m, w, r])
    for each, *given_maps in zip(found, m, w, r, strict=True):
        torch.testing.assert_close(each, plainly(photo, *given_maps, QUICK), rtol=1e-5, atol=1e-6)


@settings(max_examples=60)
@given(st.lists(places, min_size=1, max_size=8), st.sampled_from([1, 4, 8, 30, 100]))
def test_windows_are_inside_apart_and_around_every_strong_component(
    bumped: list[tuple[float, float, float, float]], least: int
) -> None:
    v = bumps(40, 60, *bumped).numpy()
    v /= max(v.max(), 1e-30)
    closer = Closer(least=least)
    windows = closer.windows(v)
    found = [((top, left, top + h, left + w), peak) for top, left, h, w, peak in windows]
    assert found == plain_windows(v, closer)
    times = np.zeros(v.shape, int)
    for (top, left, bottom, right), _ in found:
        assert 0 <= top < bottom <= 40
        assert 0 <= left < right <= 60
        times[top:bottom, left:right] += 1
    assert times.max(initial=0) <= 1
    for component in components(v, 0.4):
        if max(v[p] for p in component) >= 0.7:
            assert all(times[p] == 1 for p in component)


# What it leaves alone


def test_a_thing_that_fills_the_picture_is_left_as_it_was() -> None:
    photo, m = noise(200, 300), bumps(200, 300, (100, 150, 60, 1.0))[None]
    r = m**0.5
    assert torch.equal(Closer()(photo, r, [m, m, r]), r)


def test_each_class_is_judged_by_itself() -> None:
    """Beside a thing that fills the picture, a small one is looked at closer all the same."""
    photo = noise(200, 300)
    m = torch.stack([bumps(200, 300, (100, 150, 60, 1.0)), bumps(200, 300, (30, 40, 4, 1.0))])
    large, small = Closer()(photo, m**0.5, [m, m, m**0.5])
    assert torch.equal(large, m[0] ** 0.5)
    assert (small > 0.5).sum() < 0.7 * (m[1] ** 0.5 > 0.5).sum()
    assert torch.equal(small[100:], (m[1] ** 0.5)[100:])  # outside the window


def test_windows_that_together_cover_more_than_most_of_the_picture_are_all_left() -> None:
    photo = noise(128, 256)
    two = bumps(128, 256, (30, 30, 3, 1.0), (90, 200, 3, 1.0))[None]  # two windows of 64²: a quarter
    r = two**0.5
    assert torch.equal(Closer()(photo, r, [two, two, r]), r)
    assert not torch.allclose(Closer(most=0.25)(photo, r, [two, two, r]), r, atol=0.1)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (5, 7), (64, 64), (200, 300)])
def test_a_map_without_evidence_stays_without_and_pictures_of_any_size_are_taken(
    shape: tuple[int, int],
) -> None:
    m = torch.stack([torch.zeros(shape), bumps(*shape, (0, 0, 2, 3.0))])
    found = Closer()(noise(*shape), m, [m])
    assert found.shape == m.shape
    assert (found[0] == 0).all()
    assert found[1].max() == 1
    assert found.isfinite().all()


def test_a_map_of_thousands_of_speckles_becomes_one_window() -> None:
    speckles = np.random.default_rng(0).random((300, 400), np.float32) ** 8
    assert [window[:4] for window in Closer().windows(speckles / speckles.max())] == [(0, 0, 300, 400)]


# What it is for


@pytest.mark.parametrize("size", [6, 16, 24])
def test_a_small_thing_gets_a_tighter_map(size: int) -> None:
    """IoU at one τ of a square whose evidence is a blurred spot; the affinity's grid is coarser than it."""
    truth = np.zeros((480, 640), bool)
    truth[150 : 150 + size, 60 : 60 + size] = True
    pixels = np.where(truth, 130, 90) + np.random.default_rng(0).integers(-15, 16, (3, 480, 640))
    photo = Photo.of(torch.from_numpy(pixels.astype(np.uint8)))
    m = bumps(480, 640, (150 + size / 2, 60 + size / 2, size, 1.0))[None]
    affinities = {1.67: torch.eye(20 * 20)}  # each place is like itself alone
    steps = (Walk(), Affinity())
    ious = []
    for refine in (steps, (*steps, Closer())):
        v = Recipe(source=CAM, refine=refine).finish(photo, {CAM: m}, affinities)[0].numpy()
        seed = v / v.max() > 0.6
        ious.append((seed & truth).sum() / (seed | truth).sum())
    assert ious[0] < 0.95
    assert ious[1] > 0.99


def test_a_thing_at_the_border_gets_the_peak_of_its_component() -> None:
    photo = noise(200, 300)
    m = bumps(200, 300, (0, 299, 5, 1.0), (199, 0, 5, 0.8))[None]
    (found,) = Closer()(photo, m, [m])
    assert [window[:4] for window in Closer().windows(m[0].numpy())] == [(0, 236, 64, 64), (136, 0, 64, 64)]
    assert found[:64, 236:].max() == 1
    assert found[136:, :64].max() == pytest.approx(0.8)


# Any batch, any worker


def test_a_map_does_not_depend_on_its_company_or_on_what_was_refined_before() -> None:
    photo = noise(200, 300)
    m = torch.stack([bumps(200, 300, (y, x, 5, 1.0)) for y, x in ((40, 60), (100, 250), (180, 20))])
    together = Closer()(photo, m**0.5, [m, m, m**0.5])
    for seed in range(6):  # other photos' weights take the place of this one's in the cache
        Closer()(noise(200, 300, seed), m, [m])
    sent, n = pickle.loads(pickle.dumps(photo)), pickle.loads(pickle.dumps(m))
    for k in range(3):
        alone = Closer()(sent, n[k : k + 1] ** 0.5, [each[k : k + 1] for each in (n, n, n**0.5)])
        assert torch.equal(alone[0], together[k])
