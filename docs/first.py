"""The picture on the first screen of the README: a photo, two maps of it, and the mask that they become.

    python docs/first.py

The photo is scikit-image's `coffee` (Rachel Michetti, CC0). The classifier is the ImageNet one that
`beyondcam explain` takes, and the class its most probable one; no mask has a part in it.
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from skimage import data

import beyondcam as bc
from beyondcam.classifier import imagenet_classifier
from beyondcam.evidence import AdaptiveThreshold, Evidence
from beyondcam.label_images import overlay

RECIPES = {"cam": "CAM", "crops": "saliency, mean over crops", "best": "both, refined"}


def main() -> None:
    """Map and draw."""
    pixels = data.coffee()
    net = imagenet_classifier().eval()
    (name, _), *_ = bc.classify(net, pixels)
    maps = {recipe: bc.map_image(net, pixels, name, recipe=recipe) for recipe in RECIPES}
    size = pixels.shape[:2]
    evidence = Evidence.of(maps["best"], (0,), (), size)
    pale = np.repeat(130 + 0.45 * pixels.mean(-1, keepdims=True), 3, -1).astype(np.uint8)
    mask = overlay(pale, bc.seed_labels(evidence, AdaptiveThreshold()))

    figure = Figure((15, 2.35), layout="constrained")
    axes = figure.subplots(1, 2 + len(maps))
    axes[0].imshow(pixels)
    axes[0].set_title(f"photo: “{name}”, no mask")
    for axis, (recipe, shown) in zip(axes[1:], maps.items(), strict=False):
        axis.imshow(pixels.mean(-1), cmap="gray", alpha=0.5)
        axis.imshow((shown[0] / shown.max()).sqrt(), cmap="inferno", alpha=0.75)
        axis.set_title(RECIPES[recipe])
    axes[-1].imshow(mask)
    axes[-1].set_title("mask")
    for axis in axes:
        axis.set_axis_off()
    figure.savefig(Path(__file__).with_suffix(".jpg"), dpi=100, pil_kwargs={"quality": 85})


if __name__ == "__main__":
    main()
