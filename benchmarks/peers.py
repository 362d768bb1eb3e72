"""Time and memory of maps, compared with other libraries: same network, images and number of samples.

    pip install -e '.[benchmark]'
    python benchmarks/peers.py --data voc:$BEYONDCAM_DATA/voc2012_animals

Writes the section `peers` of docs/performance.md.
"""

import argparse
from functools import partial
from operator import call

import numpy as np
import torch
import torch.nn.functional as F
from captum import attr
from numpy.typing import NDArray
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn
from torchcam.methods import CAM

import beyondcam as bc
from beyondcam.maps import Saliency, run_forward
from beyondcam.perturbations import Noise
from beyondcam.recipes import Recipe, Source
from results import shown, table, write_section
from timing import Ratio, forget_peak, printed, ratio, resident, seconds_of
from workload import BATCH, CLASSES, cams, items, machine, mapping, network, random_batch, wait

SAMPLES = 50
"""Samples of SmoothGrad, as in its paper."""


class PlainNetwork(nn.Module):
    """The same network as the other libraries need it: it returns scores, and its modules have names."""

    def __init__(self, classifier: bc.Classifier) -> None:
        super().__init__()
        self.features = classifier.backbone
        self.head = nn.Linear(classifier.weight.shape[1], len(CLASSES), bias=False)
        self.head.weight.data = classifier.weight.data[:, :, 0, 0]

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, C)."""
        return self.head(self.features(x).mean((2, 3)))


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", required=True)
    parser.add_argument("--seconds", type=float, default=120, help="the longest one ratio may take")
    parser.add_argument("--job", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    images = bc.open_images(arguments.data, "val")
    measure = partial(ratio, seconds=arguments.seconds)
    keep = arguments.job != ["captum", "seconds"]
    classifier, as_built = network(224, keep=keep), network(224, fold=False, keep=keep)
    x, image = random_batch(classifier, BATCH), random_batch(classifier, 1)
    plain, folded = PlainNetwork(as_built).eval(), PlainNetwork(classifier).eval()
    smoothgrad = mapping(
        classifier, items(images, (1,)), Recipe(source=Source(map="saliency", perturbation=Noise(n=SAMPLES)))
    )

    def tunnel(inner: int | None, net: nn.Module = plain) -> None:
        attr.NoiseTunnel(attr.Saliency(net)).attribute(
            image.detach().requires_grad_(), nt_type="smoothgrad", nt_samples=SAMPLES,
            nt_samples_batch_size=inner, stdevs=0.15, target=0,
        )  # fmt: skip
        wait()

    if arguments.job:
        library, quantity = arguments.job
        work = smoothgrad if library == "ours" else partial(tunnel, None)
        if quantity == "seconds":
            print(seconds_of(work))
            return
        plain(image)
        forget_peak()
        before = resident()
        work()
        print(resident() - before)
        return

    def ours(k: int) -> Tensor:
        return cams(classifier, x, (torch.arange(len(CLASSES)) < k).expand(BATCH, -1))

    def ours_scaled(k: int) -> NDArray[np.float32]:
        """In the form of pytorch-grad-cam: at the input's size, from 0 to 1, on the CPU."""
        maps = F.interpolate(ours(k)[:, None], x.shape[2:], mode="bilinear")[:, 0]
        low, high = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
        return ((maps - low) / (high - low + 1e-7)).cpu().numpy()

    def saliency() -> Tensor:
        maps = Saliency()(run_forward(classifier, x, one, Saliency().needs))
        wait()
        return maps

    def captum(net: nn.Module = plain) -> Tensor:
        gradient = attr.Saliency(net).attribute(x.detach().requires_grad_(), target=0)
        wait()
        return gradient

    def torchcam() -> list[Tensor]:
        with torch.no_grad():
            maps = extractor([0] * BATCH, plain(x), normalized=False)
        wait()
        return maps

    def grad_cam(k: int) -> list[NDArray[np.float32]]:
        return [gradient_cam(x, [ClassifierOutputTarget(c)] * BATCH) for c in range(k)]

    one = (torch.arange(len(CLASSES)) < 1).expand(BATCH, -1)
    torch.testing.assert_close(captum(folded).amax(1), saliency())
    best = min((1, 2, 4, 8, 16, SAMPLES), key=lambda inner: seconds_of(partial(tunnel, inner)))
    rows: list[tuple[object, ...]] = []

    def row(name: str, measured: Ratio, **bar: float) -> None:
        rows.append((name, measured, measured.judged(**bar)))

    row("saliency / captum", measure(saliency, captum, bar=1.05), at_most=1.05)
    default = measure(partial(tunnel, None), smoothgrad)
    row(f"captum's NoiseTunnel at its default, {SAMPLES} samples / SmoothGrad", default, at_least=2)
    at_best = measure(smoothgrad, partial(tunnel, best), bar=1.05)
    row(f"SmoothGrad / NoiseTunnel at its best inner batch, {best}", at_best, at_most=1.05)
    on_ours = measure(smoothgrad, partial(tunnel, best, folded), bar=1.05)
    row("the same, captum given the folded network", on_ours, at_most=1.05)
    job = partial(printed, __file__, "--data", images.data, "--job")
    theirs, mine = (partial(job, library, "seconds") for library in ("captum", "ours"))
    separate = ratio(theirs, mine, seconds=0, timed=call)
    name = "captum's NoiseTunnel at its default / SmoothGrad, in separate processes, captum's memory not kept"
    row(name, separate, at_least=2)
    mb = {library: job(library, "memory") for library in ("ours", "captum")}
    share = mb["ours"] / mb["captum"]
    name = f"memory, SmoothGrad at batch {BATCH} / NoiseTunnel at its default"
    verdict = "met" if share <= 0.25 else "missed"
    rows.append((name, f"{mb['ours']:.0f} MB / {mb['captum']:.0f} MB = {share:.2f}", f"≤ 0.25: {verdict}"))

    extractor = CAM(plain, target_layer="features", fc_layer="head")
    torch.testing.assert_close(torchcam()[0].relu(), cams(as_built, x, one), rtol=1e-4, atol=1e-5)
    row("CAM / torchcam", measure(partial(ours, 1), torchcam), at_most=1.05)
    extractor.remove_hooks()

    gradient_cam = GradCAM(plain.requires_grad_(), [plain.features])  # it needs gradients of the weights
    np.testing.assert_allclose(grad_cam(1)[0], ours_scaled(1), atol=0.02)  # it resizes with OpenCV
    for k, classes, bar in ((1, "one class", 2.2), (3, "three classes", 5)):
        time = measure(partial(grad_cam, k), partial(ours_scaled, k))
        row(f"pytorch-grad-cam, {classes} / CAM, both at the input's size", time, at_least=bar)
    command = f"pip install -e '.[benchmark]' && python benchmarks/peers.py --data {shown(arguments.data)}"
    kept = (
        "Memory is kept (`devices.keep_memory`) unless a row says otherwise. The other libraries run the "
        "network as built, and ours with its batch norms folded, except in one row."
    )
    body = f"{machine()} {kept}\n\n{table(*rows)}"
    write_section("peers", "Peers", command, body, page="performance")


if __name__ == "__main__":
    main()
