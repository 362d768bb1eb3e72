"""What the benchmarks of time run: a network, its inputs, bare passes, and mapping."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

import beyondcam as bc
from beyondcam.classifier import build_classifier
from beyondcam.data import LabelledImages
from beyondcam.maps import CAM, run_forward
from beyondcam.perturbations import Crops
from beyondcam.recipes import Item, Recipe, Source, raw_maps
from inputs import on_device

BATCH = 8
CLASSES = tuple("abcdefgh")


def machine() -> str:
    """The hardware that the figures are measured on."""
    if torch.cuda.is_available():
        return f"On one {torch.cuda.get_device_name()}."
    return f"On a CPU, {torch.get_num_threads()} threads."


def network(size: int, *, fold: bool = True, keep: bool = True) -> bc.Classifier:
    """The network that is measured, as if trained at `size` pixels.

    With `fold` its batch norms are folded, with `keep` the allocator keeps its memory.
    """
    torch.manual_seed(0)
    built = (
        build_classifier("tf_efficientnet_lite0", CLASSES, size, pretrained=True).eval().requires_grad_(False)
    )
    built = bc.folded(built) if fold else built
    if keep:
        return on_device(built)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return built.to(device).to(memory_format=torch.channels_last)


def random_batch(classifier: bc.Classifier, count: int, size: int | None = None) -> Tensor:
    """A random preprocessed batch: float32 (count, 3, size, size), by default of the training size."""
    size = size or classifier.size
    x = torch.rand(count, 3, size, size, device=classifier.weight.device)
    return x.contiguous(memory_format=torch.channels_last)


def run_pass(classifier: bc.Classifier, x: Tensor, *, backwards: int) -> None:
    """A forward pass that keeps its graph, and so many backward passes to the input."""
    leaf = x.detach().requires_grad_()
    scores = classifier(leaf).scores[:, 0].sum()
    for n in range(backwards):
        torch.autograd.grad(scores, leaf, retain_graph=n + 1 < backwards)


def bare_passes(
    classifier: bc.Classifier, x: Tensor, batches: int = 1, *, backward: bool = True
) -> Callable[[], None]:
    """Forward passes, and with `backward` backward passes, of some batches, and nothing else."""

    def loop() -> None:
        for _ in range(batches):
            run_pass(classifier, x, backwards=int(backward))
        wait()

    return loop


def wait() -> None:
    """Wait until a GPU has finished."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def photo_path(images: LabelledImages) -> Path:
    """The file of the first photo."""
    return Path(images.data.removeprefix("voc:")) / "JPEGImages" / f"{images.ids[0]}.jpg"


def items(images: LabelledImages, targets: Sequence[int]) -> list[Item]:
    """The first photos, with the given number of targets each."""
    return [Item(i, images.read(i), tuple(range(k))) for i, k in zip(images.ids, targets, strict=False)]


def crops(n: int, map_name: str = "saliency") -> Recipe:
    """N crops, weighted by the score and divided by their means, as in the recipe `crops`."""
    return Recipe(source=Source(map=map_name, perturbation=Crops(n=n), weight="score", normalise=True))


def mapping(classifier: bc.Classifier, images: Sequence[Item], *recipes: Recipe) -> Callable[[], None]:
    """Computing the raw maps of some images."""

    def work() -> None:
        raw_maps(classifier, images, recipes, batch=BATCH)

    return work


def cams(classifier: bc.Classifier, x: Tensor, targets: Tensor) -> Tensor:
    """CAMs of a preprocessed batch."""
    maps = CAM()(run_forward(classifier, x, targets, CAM().needs))
    wait()
    return maps
