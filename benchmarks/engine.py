"""The engine's time and memory, compared with the bare network.

    python benchmarks/engine.py --data voc:$BEYONDCAM_DATA/voc2012_animals [--part limit ...]

Each part writes a section of docs/performance.md. Both sides of a ratio run the same network
(EfficientNet-Lite0 with its ImageNet weights and a new head) in the same precision and memory format, in eval
mode, with gradients to the input only. Its batch norms are folded, as `map_split` does.
"""

import argparse
import copy
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from operator import call
from pathlib import Path
from time import process_time

import numpy as np
import torch
from torch import Tensor

import beyondcam as bc
from beyondcam.classifier import build_classifier
from beyondcam.data import LabelledImages
from beyondcam.evidence import mapper
from beyondcam.recipes import Recipe, Source, finish, raw_maps
from inputs import on_device
from results import shown, table, write_section
from timing import Ratio, printed, ratio, resident, seconds_of
from workload import (
    BATCH,
    CLASSES,
    bare_passes,
    cams,
    crops,
    items,
    machine,
    mapping,
    network,
    photo_path,
    random_batch,
    wait,
)

COCO = (1, 1, 2, 2, 3, 4, 5, 5)
"""Numbers of targets per image in a mix like COCO's, with a mean of 2.9."""

Measure = Callable[..., Ratio]


def main() -> None:
    """Measure the requested parts."""
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


def limit(images: LabelledImages, measure: Measure) -> str:
    """Crops of saliency, from the file to the map, compared with as many bare passes."""
    rows = []
    for size in (384, 224):
        classifier, path, recipe = network(size), photo_path(images), crops(32)

        def ours(classifier: bc.Classifier = classifier, recipe: Recipe = recipe, path: Path = path) -> None:
            bc.map_image(classifier, bc.read_photo(path), [CLASSES[0]], recipe, batch=BATCH)

        bare = bare_passes(classifier, random_batch(classifier, BATCH), 32 // BATCH)
        time = measure(ours, bare, bar=1.08)
        rows.append((f"32 crops at {size} px, one class / as many passes", time, time.judged(at_most=1.08)))
    return table(*rows)


def several(images: LabelledImages, measure: Measure) -> str:
    """Several targets per image: one forward pass, and one backward pass for each target."""
    classifier, recipe = network(224), crops(8)
    x = random_batch(classifier, BATCH)
    share = measure(bare_passes(classifier, x, backward=False), bare_passes(classifier, x)).value
    rows = []
    for targets in ((1, 1), (2, 2), (3, 3), COCO):
        together = mapping(classifier, items(images, targets), recipe)
        apart = mapping(classifier, items(images, [1] * sum(targets)), recipe)
        predicted = sum(share + k * (1 - share) for k in targets) / sum(targets)
        time = measure(together, apart, bar=1.05 * predicted)
        verdict = time.judged(at_most=1.05 * predicted)
        rows.append((", ".join(map(str, targets)), time, verdict, f"{predicted:.3f}"))
    one, three = ((torch.arange(len(CLASSES)) < k).expand(BATCH, -1) for k in (1, 3))
    of_cam = measure(partial(cams, classifier, x, three), partial(cams, classifier, x, one))
    head = ("targets of each image", "together / one target at a time", "bar: 1.05 × predicted", "predicted")
    return (
        f"A forward pass takes {share:.3f} of a forward and a backward pass.\n\n{table(*rows, head=head)}\n\n"
        f"CAM of three classes / of one: {of_cam}."
    )


def no_gradient(images: LabelledImages, measure: Measure) -> str:
    """CAMs compared with a forward pass, and four recipes compared with the most expensive of them."""
    classifier = network(224)
    x = random_batch(classifier, BATCH)
    targets = (torch.arange(len(CLASSES)) < 1).expand(BATCH, -1)

    def forward() -> None:
        with torch.no_grad():
            classifier(x)
        wait()

    two = items(images, (1, 1))
    alone = crops(32)
    four = (alone, crops(32, "cam"), *(Recipe(source=Source(map=name)) for name in ("cam", "saliency")))
    of_cam = measure(partial(cams, classifier, x, targets), forward)
    of_four = measure(mapping(classifier, two, *four), mapping(classifier, two, alone))
    return table(
        ("CAM of a preprocessed batch / a forward pass", of_cam, of_cam.judged(at_most=1.05)),
        (
            "`cam`, `saliency`, `crops`, `crops-cam` together / `crops` alone",
            of_four,
            of_four.judged(at_most=1.10),
        ),
    )


def memory(images: LabelledImages, measure: Measure) -> str:
    """Peak resident memory of `map_split`, measured in separate processes."""
    del measure
    jobs = ((4, 16), (4, 256), (10, 4), (200, 4))
    peak = {job: printed(__file__, "--data", images.data, "--map", *job) for job in jobs}
    rows = [(count, n, f"{mb:.0f} MB") for (count, n), mb in peak.items()]
    by_crops, by_images = peak[4, 256] / peak[4, 16], peak[200, 4] / peak[10, 4]
    return (
        f"{table(*rows, head=('images', 'crops', 'peak resident memory'))}\n\n"
        f"256 crops / 16: {by_crops:.3f}; 200 images / 10: {by_images:.3f} (bars: ≤ 1.05)."
    )


def map_some(images: LabelledImages, count: int, n: int) -> None:
    """Map some images with n crops, and print the peak resident memory."""
    classifier = on_device(
        build_classifier("tf_efficientnet_lite0", images.classes, 224, pretrained=True).eval()
    )
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "classifier.safetensors").touch()
        images = bc.open_images(images.data, "train_aug")
        # images of one class, so that only their number differs
        of_one_class = [i for i in images.ids if len(images.labels[i]) == 1]
        chosen = replace(images, ids=tuple(of_one_class[:count]))
        bc.map_split(classifier, chosen, {"crops": crops(n)}, Path(folder), batch=BATCH)
    print(resident())


def growth(images: LabelledImages, measure: Measure) -> str:
    """Time by number of crops and of images, and a line fitted to it."""
    del measure
    classifier = network(224)
    by_crops = {n: seconds_of(mapping(classifier, items(images, (1,)), crops(n))) for n in (16, 32, 64, 128)}
    by_images = {n: seconds_of(mapping(classifier, items(images, [1] * n), crops(16))) for n in (2, 4, 8, 16)}
    rows = []
    for unit, seconds in (("crops of one image", by_crops), ("images of 16 crops", by_images)):
        n, t = np.array(list(seconds)), np.array(list(seconds.values()))
        slope, start = np.polyfit(n, t, 1, w=1 / t)
        off = np.abs(start + slope * n - t) / t
        rows.append((unit, ", ".join(f"{k}: {v:.2f}" for k, v in seconds.items()),
                     f"{slope * 1e3:.1f} ms each + {start * 1e3:.0f} ms", f"{off.max():.1%}"))  # fmt: skip
    return table(*rows, head=("number of", "seconds", "line", "largest deviation"))


def refining(images: LabelledImages, measure: Measure) -> str:
    """Maps with three refinements in a worker process, compared with maps alone."""
    # With chunks of one image, the refinement after the last maps weighs as much as it does for 128 images
    # in chunks of 16, of which two processes share the last.
    mapper.CHUNK = 1
    chosen = replace(images, ids=images.ids[:16])
    classifier = on_device(
        build_classifier("tf_efficientnet_lite0", images.classes, 224, pretrained=True).eval()
    )
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
        time = measure(partial(work, refined, 1), partial(work, alone, 0), bar=1.10)
        verdict = time.judged(at_most=1.10) if count < threads else "reported"
        rows.append((f"network on {count} of {threads} cores", time, verdict))
    return table(*rows)


def refinement(images: LabelledImages, measure: Measure) -> str:
    """The processor time of refining `fast`, and of scoring's whole-image pass and its other passes."""
    classifier, recipe = network(384), bc.Cookbook().recipe("fast")
    photos = items(images, [len(images.labels[i]) for i in images.ids[:8]])
    raws = raw_maps(classifier, photos, [recipe], batch=BATCH, scored=True)

    def refine() -> None:
        for item, raw in zip(photos, raws, strict=True):
            finish(recipe, replace(item, photo=replace(item.photo)), raw)  # a photo that nothing is known of

    def passes() -> None:
        raw_maps(classifier, photos, [recipe], batch=BATCH, scored=True)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    time = measure(refine, passes, bar=0.15, clock=process_time)
    torch.set_num_threads(threads)
    return table(
        ("refinement of `fast` / its passes, processor time of one thread", time, time.judged(at_most=0.15))
    )


def allocator(images: LabelledImages, measure: Measure) -> str:
    """Passes in separate processes, with memory kept and with the allocator's default."""
    del measure
    alone = partial(printed, __file__, "--data", images.data, "--passes", 384)
    time = ratio(partial(alone, 0), partial(alone, 1), seconds=0, timed=call)
    head = ("forward and backward", "allocator's default / memory kept (`devices.keep_memory`)")
    return table(("384 px", time), head=head)


def time_passes(size: int, kept: int) -> None:
    """Print the seconds of a forward and backward pass of a batch."""
    classifier = network(size, keep=bool(kept))
    print(seconds_of(bare_passes(classifier, random_batch(classifier, BATCH))))


def settings(images: LabelledImages, measure: Measure) -> str:
    """The effect of folding, precision, memory format and compiling on the bare network."""
    del images
    classifier = network(224)
    x = random_batch(classifier, BATCH)

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
        ("batch norms folded into convolutions / separate", measure(plain, apart)),
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
    "refinement": ("Refinement beside the network's passes", refinement),
    "memory": ("Memory", memory),
    "growth": ("Growth", growth),
    "allocator": ("Memory that is kept", allocator),
    "settings": ("Folding, precision, memory format, compiling", settings),
}

if __name__ == "__main__":
    main()
