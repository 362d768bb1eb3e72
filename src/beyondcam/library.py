"""What most who use the package as a library need: maps of a picture or of a batch, by any classifier."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor, nn

from beyondcam.classifier import Classifier, evaluating, wrap
from beyondcam.data import MAX_SIDE, Photo, read_photo
from beyondcam.errors import BeyondcamError, one_line
from beyondcam.maps import MAPS, Map, run_forward
from beyondcam.recipes import Cookbook, Item, Recipe, classify_photos, map_items

Picture = Photo | str | PathLike[str] | Image.Image | np.ndarray[Any, Any] | Tensor
"""A photo in any of the forms that `as_photo` takes."""

Target = str | int

TOP = 3
"""How many classes are mapped where none is named."""


def map_image(
    net: nn.Module,
    image: Picture,
    targets: Target | Sequence[Target] | None = None,
    recipe: str | Recipe = "crops+smooth",
    *,
    seed: int = 0,
    image_id: str = "image",
    batch: int = 8,
) -> Tensor:
    """Map one picture for some classes.

    Parameters
    ----------
    net
        a classifier of `wrap` or `load_classifier`, or a network that `wrap` takes without further arguments,
        such as timm's. It runs in evaluation mode, on its device, and is left as it is. For many pictures,
        `folded(classifier)` makes the passes faster.
    image
        a path, a PIL picture, an array (H, W, 3), a tensor (3, H, W) or a `Photo`; uint8, or floats in [0,
        1].
    targets
        classes by name or index, one or several, each once; by default those that `classify` gives.
    recipe
        by name, such as "cam", "saliency" or "best", or a `Recipe` of your own.
    seed
        of every random draw.
    image_id
        names the random draws of this picture.
    batch
        views a pass.

    Returns
    -------
    float32 (k, H, W), not normalised, in the order of `targets`: the higher, the more evidence. It has the
    picture's size, reduced to 1,024 pixels on the longer side if that is larger, and depends on (seed,
    image_id, recipe, classifier) alone.

    Raises
    ------
    BeyondcamError
        If a class or recipe does not exist, the picture cannot be used, or the network gives NaN.

    Examples
    --------
    >>> import timm, torch
    >>> net = timm.create_model("resnet18", num_classes=10)
    >>> map_image(wrap(net, list("abcdefghij"), size=64), torch.rand(3, 48, 64), "b", "cam").shape
    torch.Size([1, 48, 64])

    """
    classifier, photo = _classifier(net), as_photo(image)
    with evaluating(classifier), torch.inference_mode(False):
        if targets is None:
            chosen = [index for index, _ in most_probable(classifier, photo, TOP)]
        else:
            listed = [targets] if isinstance(targets, str | int) else targets
            chosen = [class_index(classifier, target) for target in listed]
        cooked = Cookbook().recipe(recipe) if isinstance(recipe, str) else recipe
        (results,) = map_items(
            classifier, [Item(image_id, photo, tuple(chosen))], {"": cooked}, seed=seed, batch=batch
        )
    maps = results[""].maps
    if not maps.isfinite().all():
        raise BeyondcamError("network: gives NaN or infinite numbers for this picture")
    return maps


def classify(net: nn.Module, image: Picture, top: int = TOP) -> list[tuple[str, float]]:
    """Tell the most probable classes of a picture.

    Parameters
    ----------
    net, image
        as of `map_image`.
    top
        how many classes, or all where there are fewer.

    Returns
    -------
    Names and probabilities (softmax, or sigmoid where an image may have several classes), highest first.

    Raises
    ------
    BeyondcamError
        Where the picture or the network cannot be used.

    """
    classifier = _classifier(net)
    with evaluating(classifier), torch.inference_mode(False):
        best = most_probable(classifier, as_photo(image), top)
    return [(classifier.classes[index], probability) for index, probability in best]


def map_batch(
    net: nn.Module,
    inputs: Tensor,
    targets: Tensor | Sequence[Target] | None = None,
    method: str | Map = "saliency",
) -> Tensor:
    """Map a batch as a network takes it, such as one from a `DataLoader`: one pass, no perturbation.

    Parameters
    ----------
    net
        as of `map_image`.
    inputs
        float (B, 3, H, W), normalised, on the network's device.
    targets
        a class for each input, by name or index; or bool (B, C), any number for each; by default the one
        with the highest score.
    method
        a map, or the name of one such as "cam", "saliency" or "gradcam".

    Returns
    -------
    float32 (P, H, W), one for each pair of an input and a target, by inputs and then by class.

    Raises
    ------
    BeyondcamError
        If inputs or targets have another shape, or the map does not exist.

    """
    classifier = _classifier(net)
    if inputs.ndim != 4 or inputs.shape[1] != 3 or not inputs.is_floating_point():
        raise BeyondcamError(f"inputs: float (B, 3, H, W) is needed, not {inputs.dtype} {(*inputs.shape,)}")
    try:
        chosen = MAPS.find(method)(kind=method) if isinstance(method, str) else method
    except ValueError as error:
        raise BeyondcamError(one_line(error), parameter="method") from None
    with evaluating(classifier), torch.inference_mode(False):
        pairs = _pairs(classifier, inputs, targets)
        maps = chosen(run_forward(classifier, inputs.clone(), pairs, chosen.needs)).float()  # (P, h, w)
    if maps.shape[1:] == inputs.shape[2:]:
        return maps
    return F.interpolate(maps[None], inputs.shape[2:], mode="bilinear", antialias=True)[0]


def class_index(classifier: Classifier, target: Target) -> int:
    """The index of a class given by name or index. Raises `BeyondcamError`."""
    if isinstance(target, str) and target in classifier.classes:
        return classifier.classes.index(target)
    if isinstance(target, int) and not isinstance(target, bool) and 0 <= target < len(classifier.classes):
        return target
    some = ", ".join(classifier.classes[:5]) + (", …" if len(classifier.classes) > 5 else "")
    raise BeyondcamError(
        f"targets: no class {target!r}; the classifier has {len(classifier.classes)}, from 0: {some}"
    )


def as_photo(image: Picture) -> Photo:
    """A `Photo` of a path, a PIL picture, an array (H, W, 3) or (H, W), or a tensor (3, H, W)."""
    if isinstance(image, Photo):
        return image
    if isinstance(image, str | PathLike):
        return read_photo(Path(image))
    if isinstance(image, Tensor):
        flat = image[0] if image.ndim == 4 and len(image) == 1 else image
        if flat.ndim != 3 or len(flat) not in (1, 3):
            raise BeyondcamError(
                f"image: a tensor is (3, H, W), not {(*image.shape,)}; `map_batch` takes batches"
            )
        image = flat.detach().cpu().permute(1, 2, 0).numpy()
    if isinstance(image, np.ndarray):
        image = _picture(image)
    if not isinstance(image, Image.Image):
        raise BeyondcamError(
            f"image: a path, picture, array or tensor is needed, not a {type(image).__name__}"
        )
    picture = ImageOps.exif_transpose(image).convert("RGBA")
    picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    width, height = picture.size
    ratio = MAX_SIDE / max(width, height)
    if ratio < 1:
        smaller = max(1, round(width * ratio)), max(1, round(height * ratio))
        picture = picture.resize(smaller, Image.Resampling.BOX)
    return Photo(torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous(), (height, width))


def _picture(array: np.ndarray[Any, Any]) -> Image.Image:
    """A picture of an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4): uint8, or floats in [0, 1]."""
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)) or not array.size:
        raise BeyondcamError(f"image: an array is (H, W, 3), not {array.shape}")
    if np.issubdtype(array.dtype, np.floating):
        if not (array.min() >= 0 and array.max() <= 1):
            raise BeyondcamError(
                "image: floats in [0, 1] are needed, not what a network takes; `map_batch` takes such inputs"
            )
        array = np.rint(array * 255).astype(np.uint8)
    if array.dtype != np.uint8:
        raise BeyondcamError(f"image: uint8 or floats in [0, 1] are needed, not {array.dtype}")
    return Image.fromarray(array[:, :, 0] if array.shape[2:] == (1,) else array)


def _classifier(net: nn.Module) -> Classifier:
    return net if isinstance(net, Classifier) else wrap(net)


def most_probable(classifier: Classifier, photo: Photo, top: int) -> list[tuple[int, float]]:
    """The classes of a photo, highest probability first: `top` indices with their probabilities."""
    probabilities = classifier.probabilities(classify_photos(classifier, [photo])[0])  # (C,)
    best = probabilities.topk(min(top, len(probabilities)))
    return list(zip(best.indices.tolist(), best.values.tolist(), strict=True))


def _pairs(classifier: Classifier, inputs: Tensor, targets: Tensor | Sequence[Target] | None) -> Tensor:
    """Targets as bool (B, C)."""
    shape = len(inputs), len(classifier.classes)
    if isinstance(targets, Tensor) and targets.dtype == torch.bool:
        return targets
    if targets is None:
        with torch.no_grad():
            targets = classifier(inputs).scores.argmax(1)
    listed = targets.tolist() if isinstance(targets, Tensor) else targets
    if isinstance(listed, str) or len(listed) != len(inputs):
        raise BeyondcamError(f"targets: one for each of {len(inputs)} inputs, or bool {shape}, is needed")
    chosen = torch.tensor([class_index(classifier, target) for target in listed])
    return torch.zeros(shape, dtype=torch.bool).scatter_(1, chosen[:, None], value=True)
