"""How the maps stand beside the field's libraries: same network, same images, same number of samples.

    pip install -e '.[benchmark]'
    python benchmarks/peers.py --data voc:$BEYONDCAM_DATA/voc2012_animals

Writes the section `peers` of docs/performance.md.
"""

import argparse
from collections.abc import Callable
from functools import partial

import torch
from captum.attr import NoiseTunnel, Saliency
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn
from torchcam.methods import CAM

import beyondcam as bc
from beyondcam.maps import MAPS, run_forward
from beyondcam.perturbations import Noise
from beyondcam.recipes import Recipe, Source
from engine import BATCH, CLASSES, cams, items, machine, mapped, network, noise, table, wait
from results import shown, write_section
from timing import peak_of, ratio, resident, seconds_of

N = 16
"""Samples of SmoothGrad."""


class Plainly(nn.Module):
    """The same network as the peers want it: scores alone, of modules with names."""

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
    parser.add_argument("--job", choices=("ours", "captum"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    images = bc.open_images(arguments.data, "val")
    measure = partial(ratio, seconds=arguments.seconds)
    classifier = network(224)
    x, image = noise(classifier, BATCH), noise(classifier, 1)
    plain = Plainly(classifier).eval()
    smoothgrad = mapped(
        classifier, items(images, (1,)), Recipe(source=Source(map="saliency", perturbation=Noise(n=N)))
    )

    def tunnel(inner: int | None) -> None:
        NoiseTunnel(Saliency(plain)).attribute(
            image.detach().requires_grad_(), nt_type="smoothgrad", nt_samples=N,
            nt_samples_batch_size=inner, stdevs=0.15, target=0,
        )  # fmt: skip
        wait()

    if arguments.job:
        plain(image)
        before = resident()
        (smoothgrad if arguments.job == "ours" else partial(tunnel, None))()
        print(before, resident())
        return

    def targets(k: int) -> Tensor:
        return (torch.arange(len(CLASSES)) < k).expand(BATCH, -1)

    def ours(k: int) -> Callable[[], Tensor]:
        return partial(cams, classifier, x, targets(k))

    def saliency() -> None:
        MAPS["saliency"].of(run_forward(classifier, x, targets(1), gradient=True))
        wait()

    attribution = Saliency(plain)

    def captum() -> None:
        attribution.attribute(x.detach().requires_grad_(), target=0)
        wait()

    extractor = CAM(plain, target_layer="features", fc_layer="head")

    def torchcam() -> None:
        with torch.no_grad():
            extractor([0] * BATCH, plain(x), normalized=False)
        wait()

    best = min((1, 2, 4, 8, 16), key=lambda inner: seconds_of(partial(tunnel, inner)))
    default = partial(tunnel, None)
    rows: list[tuple[object, ...]] = [
        ("CAM / torchcam", measure(ours(1), torchcam), "≤ 1.05"),
        ("saliency / captum", measure(saliency, captum), "≤ 1.05"),
        (
            f"captum's NoiseTunnel at its default, {N} samples / SmoothGrad",
            measure(default, smoothgrad),
            "≥ 2",
        ),
        (
            f"SmoothGrad / NoiseTunnel at its best inner batch, {best}",
            measure(smoothgrad, partial(tunnel, best)),
            "≤ 1.05",
        ),
    ]
    extractor.remove_hooks()
    over = {}
    for job in ("ours", "captum"):
        before, after = peak_of(__file__, "--data", images.data, "--job", job)
        over[job] = after - before
    figures = f"{over['ours']:.0f} MB / {over['captum']:.0f} MB = {over['ours'] / over['captum']:.2f}"
    what = f"memory beyond the network's: SmoothGrad at batch {BATCH} / NoiseTunnel at its default"
    rows.append((what, figures, "≤ 0.25"))

    grad_cam = GradCAM(plain.requires_grad_(), [plain.features])  # it has no gradients of frozen weights

    def theirs(k: int) -> None:
        for c in range(k):
            grad_cam(x, [ClassifierOutputTarget(c)] * BATCH)

    for k, name, bar in ((1, "one class", "≥ 2.2"), (3, "three classes", "≥ 5")):
        rows.append((f"pytorch-grad-cam, {name} / CAM", measure(partial(theirs, k), ours(k)), bar))
    command = f"pip install -e '.[benchmark]' && python benchmarks/peers.py --data {shown(arguments.data)}"
    write_section("peers", "Peers", command, f"{machine()}\n\n{table(*rows)}", page="performance")


if __name__ == "__main__":
    main()
