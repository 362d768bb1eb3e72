"""On a GPU that is not there: nothing is on the wrong device, and the numbers are the CPU's."""

from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import beyondcam as bc
from beyondcam.evidence import shelves
from beyondcam.perturbations import cut_at_once
from beyondcam.recipes import Item, classify_photos, map_items
from beyondcam.segmentation import Segmenter
from networks import photo, tiny
from pretend import GPU, pretend_gpu

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")

ITEMS = [Item("a", photo(), (0, 2)), Item("b", photo(30, 40, seed=1), (1,)), Item("c", photo(), ())]


RANKS = Item.ranks


@pytest.fixture(autouse=True)
def alike() -> Iterator[None]:
    """A CPU cuts views with other arithmetic than a GPU, and the pretended one takes no list as an index."""
    tensor = mock.patch.object(Item, "ranks", lambda item: torch.tensor(RANKS(item)))
    with mock.patch("beyondcam.recipes.batches._cut", cut_at_once), tensor:
        yield


def same(a: Tensor, b: Tensor) -> bool:
    return bool((a - b).abs().max() <= 1e-4 * b.abs().max())


def test_the_pretended_gpu_refuses_what_a_gpu_refuses() -> None:
    with pretend_gpu():
        x = torch.ones(2, 3).to(GPU)
        assert (x.device, x.is_cuda, torch.zeros(2, device="cuda").device) == (GPU, True, GPU)
        assert torch.equal((x @ x.mT + 1).cpu(), torch.full((2, 2), 4.0))
        assert x[torch.tensor([0])].device == GPU
        for wrong in (lambda: x + torch.ones(2, 3), lambda: torch.ones(2, 3)[x.long()]):
            with pytest.raises(RuntimeError, match="same device"):
                wrong()
        with pytest.raises(TypeError, match="numpy"):
            x.numpy()


@pytest.mark.parametrize("name", bc.Cookbook().recipes)
def test_maps_of_a_gpu_are_those_of_the_cpu(name: str) -> None:
    recipes = {name: bc.Cookbook().recipe(name)}
    theirs = list(map_items(tiny(), ITEMS, recipes))
    with pretend_gpu():
        ours = list(map_items(tiny().to(GPU), ITEMS, recipes))
    for a, b in zip(ours[:2], theirs, strict=False):
        assert same(a[name].maps, b[name].maps)
    assert ours[2][name].maps.shape == (0, 40, 56)


def test_a_network_is_wrapped_on_its_gpu_or_moved_there_later() -> None:
    def net() -> nn.Module:
        torch.manual_seed(0)
        pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
        return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), pool).eval()

    known = {"classes": list("abc"), "mean": (0.5,) * 3, "std": (0.5,) * 3, "size": 32}
    wanted = [
        bc.map_image(bc.wrap(net(), **known), photo(), 1, recipe=r) for r in ("cam", "gradcam+affinity")
    ]
    with pretend_gpu():
        there = bc.wrap(net().to(GPU), **known)
        moved = bc.wrap(net(), **known)
        moved.to(GPU)
        for classifier in (there, moved, bc.folded(there)):
            assert classifier.device == GPU
            for recipe, maps in zip(("cam", "gradcam+affinity"), wanted, strict=True):
                assert same(bc.map_image(classifier, photo(), 1, recipe=recipe), maps)


def test_a_classifier_of_parts_on_a_gpu_classifies_there() -> None:
    whole = tiny()
    wanted = classify_photos(whole, [photo()])
    with pretend_gpu():
        head = nn.Conv2d(*reversed(whole.weight.shape[:2]), 1, bias=False)
        head.weight = whole.weight
        apart = bc.Classifier(whole.backbone.to(GPU), head.to(GPU), whole.classes, size=whole.size)
        assert same(classify_photos(apart.eval(), [photo()]), wanted)


def test_a_split_is_mapped_and_refined_on_a_gpu(discs: str, tmp_path: Path) -> None:
    images, recipes = bc.open_images(discs, "all"), ("cam", "fast", "cam-ms+superpixels")
    network = tiny(classes=len(images.classes))
    network.classes = images.classes

    def levels(name: str) -> list[NDArray[np.int64]]:
        assert bc.map_split(network, images, recipes, tmp_path / name, batch=4) == {}
        found = shelves(tmp_path / name, images)
        return [shelf.read(i).levels.astype(np.int64) for shelf in found for i in images.ids]

    theirs = levels("cpu")
    with pretend_gpu():
        network.to(GPU)
        ours = levels("gpu")
    assert len(ours) == 3 * len(images.ids)
    assert all(abs(a - b).max(initial=0) <= 1 for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("options", [{}, {"tta": "scales"}, {"tile": 32}])
def test_a_segmentation_network_predicts_on_a_gpu(options: dict[str, object]) -> None:
    def segmenter() -> Segmenter:
        torch.manual_seed(0)
        return Segmenter(nn.Conv2d(3, 4, 3, padding=1), list("abc"), (0.5,) * 3, (0.5,) * 3, 32).eval()

    wanted = segmenter().predict(photo(), **options)
    with pretend_gpu():
        found = segmenter().to(GPU).predict(photo(), **options)
    assert same(found.probability, wanted.probability)
    assert (found.labels != wanted.labels).float().mean() < 0.01
