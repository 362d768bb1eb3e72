"""Maps that ask no network: by hand, and against slow plain versions."""

import math

import numpy as np
import pytest
import torch
from skimage.color import rgb2lab

from beyondcam.maps import Centre, Contrast, Map, SpectralResidual, run_forward
from beyondcam.recipes import Cookbook, Item, map_items
from beyondcam.refinements.superpixels import segments
from networks import photo, targets, tiny


def map_of(m: Map, pixels: torch.Tensor, *rows: list[int]) -> np.ndarray:
    """The maps (P, h, w) of pictures, uint8 (B, 3, H, W)."""
    classifier = tiny()
    return m(run_forward(classifier, classifier.normalise(pixels), targets(*rows), m.needs)).double().numpy()


def test_the_centre_prior_is_a_gaussian_of_the_distance_from_the_middle() -> None:
    found = map_of(Centre(sigma=0.5), torch.zeros(1, 3, 2, 4, dtype=torch.uint8), [0, 2])
    corner, inner = (math.exp(-(0.5**2 + x**2) / (2 * 0.5**2)) for x in (0.75, 0.25))
    row = [corner, inner, inner, corner]
    np.testing.assert_allclose(found, [[row, row]] * 2, rtol=1e-6)


def test_contrast_is_a_sum_over_all_pairs_of_superpixels() -> None:
    picture = photo(24, 32)
    labels = segments(picture, 12, 10.0)
    lab = rgb2lab(picture.pixels.permute(1, 2, 0).numpy())
    n = labels.max() + 1
    assert n > 4
    expected = np.zeros(labels.shape)
    for k in range(n):
        for i in range(n):
            (y, x), (v, u) = (np.argwhere(labels == j).mean(0) / labels.shape for j in (k, i))
            colour = math.dist(lab[labels == k].mean(0), lab[labels == i].mean(0))
            share = (labels == i).mean()
            expected[labels == k] += share * math.exp(-math.hypot(y - v, x - u) / 0.4) * colour
    found = map_of(Contrast(number=12), picture.pixels[None], [0, 1])
    np.testing.assert_allclose(found, [expected] * 2, rtol=1e-5)


def test_the_spectral_residual_is_the_papers_step_by_step() -> None:
    picture = photo(64, 64, seed=3)
    grey = picture.pixels.double().numpy().mean(0) / 255
    n = np.arange(64)
    fourier = np.exp(-2j * np.pi * np.outer(n, n) / 64)
    spectrum = fourier @ grey @ fourier.T
    amplitude = np.log(abs(spectrum) + 1e-9)
    around = [np.roll(amplitude, (y, x), (0, 1)) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    kept = np.exp(amplitude - np.mean(around, 0)) * spectrum / abs(spectrum)
    back = abs(fourier.conj() @ kept @ fourier.conj().T / 64**2) ** 2
    kernel = np.exp(-(np.arange(-10, 11) ** 2) / (2 * 2.5**2))
    kernel /= kernel.sum()
    padded = np.pad(back, 10, mode="symmetric")
    expected = [
        [kernel @ padded[y : y + 21, x : x + 21] @ kernel for x in range(64)] for y in range(64)
    ]  # of each pixel
    np.testing.assert_allclose(map_of(SpectralResidual(), picture.pixels[None], [1])[0], expected, rtol=1e-3)


@pytest.mark.parametrize("name", ["contrast", "spectral-residual"])
def test_a_thing_unlike_its_ground_stands_out(name: str) -> None:
    y, x = np.mgrid[:96, :96]
    disc = (y - 60) ** 2 + (x - 30) ** 2 < 12**2
    pixels = np.where(disc, np.array([200, 40, 40])[:, None, None], 120)
    noise = np.random.default_rng(0).normal(0, 4, pixels.shape)
    picture = torch.from_numpy((pixels + noise).clip(0, 255)).to(torch.uint8)
    source = Cookbook().recipe(name).source
    assert source is not None
    (found,) = map_of(source.map, picture[None], [0])
    inside = torch.from_numpy(disc)[None, None].double()
    shown = torch.nn.functional.interpolate(inside, found.shape, mode="area")[0, 0].numpy() > 0.5
    assert found[shown].mean() > 2 * found[~shown].mean()


@pytest.mark.parametrize("name", ["centre", "contrast", "spectral-residual"])
def test_no_class_changes_a_baseline_and_only_the_pass_for_the_scores_is_charged(name: str) -> None:
    recipe = Cookbook().recipe(name)
    (results,) = map_items(tiny(), [Item("a", photo(), (0, 2))], {name: recipe})
    first, second = results[name].maps
    assert torch.equal(first, second)
    assert first.max() > first.min()
    assert (results[name].cost.forward, results[name].cost.backward) == (1, 0)
