"""How close the engine comes to the bare network.

    python benchmarks/engine.py --data voc:$BEYONDCAM_DATA/voc2012_animals [--part limit ...]

Each part is a section of docs/performance.md. Both sides of a ratio run the same network (EfficientNet-Lite0
with its ImageNet weights and a fresh head) in the same precision and memory format, in eval mode, asking for
gradients to the input only; its batch norms are folded, as `map_split` folds them.
"""

import argparse
import copy
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from operator import call
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import beyondcam as bc
from beyondcam.classifier import build
from beyondcam.data import LabelledImages
from beyondcam.evidence import mapper
from beyondcam.maps import CAM, run_forward
from beyondcam.perturbations import Crops
from beyondcam.recipes import Item, Recipe, Source, raw_maps
from inputs import on_device
from results import shown, table, write_section
from timing import Ratio, printed, ratio, resident, seconds_of

BATCH = 8
CLASSES = tuple("abcdefgh")
COCO = (1, 1, 2, 2, 3, 4, 5, 5)
"""Targets an image in a mix like COCO's: 2.9 in the mean."""

Measure = Callable[..., Ratio]


def main() -> None:
    """Measure the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", required=True)
    parser.add_argument("--part", action="append", choices=PARTS)
    parser.add_argument("--seconds", type=float, default=120, help="the longest one ratio may take")
    parser.add_argument("--map", nargs=2, type=int, help=argparse.SUPPRESS)
    parser.add_argument("--passes", nargs=2, type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    images = bc.open_images(arguments.data, "val")
    if arguments.map:
        map_some(images, *arguments.map)
        return
    if arguments.passes:
        time_passes(*arguments.passes)
        return
    for name in arguments.part or PARTS:
        title, part = PARTS[name]
        body = part(images, partial(ratio, seconds=arguments.seconds))
        command = f"python benchmarks/engine.py --data {shown(arguments.data)} --part {name}"
        write_section(name, title, command, f"{machine()}\n\n{body}", page="performance")


def machine() -> str:
    """Where the figures come from."""
    if torch.cuda.is_available():
        return f"On one {torch.cuda.get_device_name()}."
    return f"On a CPU, {torch.get_num_threads()} threads."


# What is measured against what


def network(size: int, *, fold: bool = True, keep: bool = True) -> bc.Classifier:
    """The network that all are given, trained at `size` pixels as it were.

    `fold` has its batch norms folded, `keep` its memory kept.
    """
    torch.manual_seed(0)
    built = build("tf_efficientnet_lite0", CLASSES, size, pretrained=True).eval().requires_grad_(False)
    built = bc.folded(built) if fold else built
    if keep:
        return on_device(built)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return built.to(device).to(memory_format=torch.channels_last)


def noise(classifier: bc.Classifier, count: int) -> Tensor:
    """A preprocessed batch of nothing: float32 (count, 3, S, S)."""
    x = torch.rand(count, 3, classifier.size, classifier.size, device=classifier.weight.device)
    return x.contiguous(memory_format=torch.channels_last)


def run_pass(classifier: bc.Classifier, x: Tensor, *, backward: bool) -> None:
    """A forward pass that keeps its graph and, where asked, the backward pass to the input."""
    leaf = x.detach().requires_grad_()
    scores = classifier(leaf).scores[:, 0].sum()
    if backward:
        torch.autograd.grad(scores, leaf)


def bare(
    classifier: bc.Classifier, x: Tensor, batches: int = 1, *, backward: bool = True
) -> Callable[[], None]:
    """So many times a batch forward and, where asked, backward, and nothing else."""

    def loop() -> None:
        for _ in range(batches):
            run_pass(classifier, x, backward=backward)
        wait()

    return loop


def wait() -> None:
    """Let a GPU finish."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def photo_path(images: LabelledImages) -> Path:
    """The file of the first photo."""
    return Path(images.data.removeprefix("voc:")) / "JPEGImages" / f"{images.ids[0]}.jpg"


def items(images: LabelledImages, targets: Sequence[int]) -> list[Item]:
    """The first photos, with so many targets each."""
    return [Item(i, images.read(i), tuple(range(k))) for i, k in zip(images.ids, targets, strict=False)]


def crops(n: int, of: str = "saliency") -> Recipe:
    """n crops, weighted by the score and divided by their means, as `crops` is."""
    return Recipe(source=Source(map=of, perturbation=Crops(n=n), weight="score", normalise=True))


def mapped(classifier: bc.Classifier, these: Sequence[Item], *recipes: Recipe) -> Callable[[], None]:
    """The raw maps of these images."""

    def work() -> None:
        raw_maps(classifier, these, recipes, batch=BATCH)

    return work


# The parts


def limit(images: LabelledImages, measure: Measure) -> str:
    """Crops of saliency, from the file to the map."""
    rows = []
    for size in (384, 224):
        classifier, path, recipe = network(size), photo_path(images), crops(32)

        def ours(classifier: bc.Classifier = classifier, recipe: Recipe = recipe, path: Path = path) -> None:
            bc.map_image(classifier, bc.read_photo(path), [CLASSES[0]], recipe, batch=BATCH)

        found = measure(ours, bare(classifier, noise(classifier, BATCH), 32 // BATCH), bar=1.08)
        rows.append((f"32 crops at {size} px, one class / as many passes", found, found.judged(at_most=1.08)))
    return table(*rows)


def several(images: LabelledImages, measure: Measure) -> str:
    """Several targets an image: one forward pass, and a backward pass each."""
    classifier, recipe = network(224), crops(8)
    x = noise(classifier, BATCH)
    share = measure(bare(classifier, x, backward=False), bare(classifier, x)).value
    rows = []
    for targets in ((1, 1), (2, 2), (3, 3), COCO):
        together = mapped(classifier, items(images, targets), recipe)
        apart = mapped(classifier, items(images, [1] * sum(targets)), recipe)
        predicted = sum(share + k * (1 - share) for k in targets) / sum(targets)
        found = measure(together, apart, bar=1.05 * predicted)
        rows.append(
            (", ".join(map(str, targets)), found, found.judged(at_most=1.05 * predicted), f"{predicted:.3f}")
        )
    one, three = ((torch.arange(len(CLASSES)) < k).expand(BATCH, -1) for k in (1, 3))
    of_cam = measure(partial(cams, classifier, x, three), partial(cams, classifier, x, one))
    head = ("targets of the images", "together / one target at a time", "bar: 1.05 × predicted", "predicted")
    return (
        f"A forward pass takes {share:.3f} of a forward and a backward pass.\n\n{table(*rows, head=head)}\n\n"
        f"CAM of three classes / of one: {of_cam}."
    )


def cams(classifier: bc.Classifier, x: Tensor, targets: Tensor) -> Tensor:
    """CAMs of a preprocessed batch."""
    maps = CAM()(run_forward(classifier, x, targets, CAM().needs))
    wait()
    return maps


def no_gradient(images: LabelledImages, measure: Measure) -> str:
    """CAMs at the price of a forward pass, and four recipes at about the price of the dearest."""
    classifier = network(224)
    x = noise(classifier, BATCH)
    targets = (torch.arange(len(CLASSES)) < 1).expand(BATCH, -1)

    def forward() -> None:
        with torch.no_grad():
            classifier(x)
        wait()

    these = items(images, (1, 1))
    alone = crops(32)
    four = (alone, crops(32, "cam"), *(Recipe(source=Source(map=name)) for name in ("cam", "saliency")))
    of_cam = measure(partial(cams, classifier, x, targets), forward)
    of_four = measure(mapped(classifier, these, *four), mapped(classifier, these, alone))
    return table(
        ("CAM of a preprocessed batch / a forward pass", of_cam, of_cam.judged(at_most=1.05)),
        (
            "`cam`, `saliency`, `crops`, `crops-cam` together / `crops` alone",
            of_four,
            of_four.judged(at_most=1.10),
        ),
    )


def memory(images: LabelledImages, measure: Measure) -> str:
    """Peak resident memory of `map_split`, each in a process of its own."""
    del measure
    jobs = ((4, 16), (4, 256), (10, 4), (200, 4))
    of = {job: printed(__file__, "--data", images.data, "--map", *job) for job in jobs}
    rows = [(count, n, f"{mb:.0f} MB") for (count, n), mb in of.items()]
    return (
        f"{table(*rows, head=('images', 'crops', 'peak resident memory'))}\n\n"
        f"256 crops / 16: {of[4, 256] / of[4, 16]:.3f}; 200 images / 10: {of[200, 4] / of[10, 4]:.3f} "
        "(bars: ≤ 1.05)."
    )


def map_some(images: LabelledImages, count: int, n: int) -> None:
    """Map some images by n crops, and print the peak resident memory."""
    classifier = on_device(build("tf_efficientnet_lite0", images.classes, 224, pretrained=True).eval())
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "classifier.safetensors").touch()
        images = bc.open_images(images.data, "train_aug")
        # of one class each, so that only their number differs
        of_one_class = [i for i in images.ids if len(images.labels[i]) == 1]
        chosen = replace(images, ids=tuple(of_one_class[:count]))
        bc.map_split(classifier, chosen, {"crops": crops(n)}, Path(folder), batch=BATCH)
    print(resident())


def growth(images: LabelledImages, measure: Measure) -> str:
    """Time against the number of crops and of images, and the line through it."""
    del measure
    classifier = network(224)
    by_crops = {n: seconds_of(mapped(classifier, items(images, (1,)), crops(n))) for n in (16, 32, 64, 128)}
    by_images = {n: seconds_of(mapped(classifier, items(images, [1] * n), crops(16))) for n in (2, 4, 8, 16)}
    rows = []
    for what, found in (("crops of one image", by_crops), ("images of 16 crops", by_images)):
        n, t = np.array(list(found)), np.array(list(found.values()))
        slope, start = np.polyfit(n, t, 1, w=1 / t)
        off = np.abs(start + slope * n - t) / t
        rows.append((what, ", ".join(f"{k}: {v:.2f}" for k, v in found.items()),
                     f"{slope * 1e3:.1f} ms each + {start * 1e3:.0f} ms", f"{off.max():.1%}"))  # fmt: skip
    return table(*rows, head=("number of", "seconds", "line", "furthest from it"))


def refining(images: LabelledImages, measure: Measure) -> str:
    """Maps with three refinements, in a worker process, against maps alone."""
    # The one image refined after the last maps weighs as in 128 images and chunks of 16, of which two
    # processes share the last.
    mapper.CHUNK = 1
    chosen = replace(images, ids=images.ids[:16])
    classifier = on_device(build("tf_efficientnet_lite0", images.classes, 224, pretrained=True).eval())
    alone = {"crops": crops(32)}
    book = bc.Cookbook()
    steps = [book.recipe(f"crops+{name}").refine[0] for name in ("smooth", "superpixels")]
    refined = {
        f"refined{n}": alone["crops"].model_copy(update={"refine": chain})
        for n, chain in enumerate(((steps[0],), (steps[1],), tuple(steps)))
    }

    def work(recipes: dict[str, Recipe], workers: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "classifier.safetensors").touch()
            bc.map_split(classifier, chosen, recipes, Path(folder), batch=BATCH, workers=workers)

    rows = []
    threads = torch.get_num_threads()
    for count in (max(1, threads - 1), threads):
        torch.set_num_threads(count)
        found = measure(partial(work, refined, 1), partial(work, alone, 0), bar=1.10)
        rows.append(
            (
                f"network on {count} of {threads} cores",
                found,
                found.judged(at_most=1.10) if count < threads else "reported",
            )
        )
    return table(*rows)


def allocator(images: LabelledImages, measure: Measure) -> str:
    """Passes in fresh processes by turns, one with its memory kept, one with the allocator as it comes."""
    del measure
    alone = partial(printed, __file__, "--data", images.data, "--passes", 384)
    found = ratio(partial(alone, 0), partial(alone, 1), seconds=0, timed=call)
    head = ("forward and backward", "memory as the allocator has it / kept (`devices.keep_memory`)")
    return table(("384 px", found), head=head)


def time_passes(size: int, kept: int) -> None:
    """Print the seconds of a batch forward and backward."""
    classifier = network(size, keep=bool(kept))
    print(seconds_of(bare(classifier, noise(classifier, BATCH))))


def settings(images: LabelledImages, measure: Measure) -> str:
    """What folding, precision, memory format and compiling do to the bare network."""
    del images
    classifier = network(224)
    x = noise(classifier, BATCH)

    def loop(net: Callable[[Tensor], tuple[Tensor, Tensor]], given: Tensor, *, bf16: bool = False) -> None:
        leaf = given.detach().requires_grad_()
        with torch.autocast(given.device.type, torch.bfloat16, enabled=bf16):
            scores, _ = net(leaf)
        torch.autograd.grad(scores[:, 0].sum(), leaf)
        wait()

    plain = partial(loop, classifier, x)
    compiled = torch.compile(classifier)
    contiguous = copy.deepcopy(classifier).to(memory_format=torch.contiguous_format)
    apart = partial(loop, network(224, fold=False), x)
    return table(
        ("batch norms folded into convolutions / apart", measure(plain, apart)),
        ("bf16 / float32", measure(partial(loop, classifier, x, bf16=True), plain)),
        ("contiguous / channels_last", measure(partial(loop, contiguous, x.contiguous()), plain)),
        ("torch.compile / eager, once compiled", measure(partial(loop, compiled, x), plain)),
        head=("forward and backward", "measured"),
    )


PARTS = {
    "limit": ("The limit: the bare network", limit),
    "several": ("Several classes of an image", several),
    "no-gradient": ("Maps that need no gradient, and passes that are shared", no_gradient),
    "refining": ("Refinement while the network runs", refining),
    "memory": ("Memory", memory),
    "growth": ("Growth", growth),
    "allocator": ("Memory that is kept", allocator),
    "settings": ("Folding, precision, memory format, compiling", settings),
}

if __name__ == "__main__":
    main()
