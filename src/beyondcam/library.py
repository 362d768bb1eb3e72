"""What most who use the package as a library need: maps of a picture or of a batch, by any classifier."""

import operator
from collections.abc import Iterable, Set
from contextlib import suppress
from os import PathLike
from typing import Any, SupportsIndex

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from beyondcam.classifier import Classifier, evaluating, wrap
from beyondcam.data import MAX_SIDE, Photo, read_photo
from beyondcam.decode import pixels_of
from beyondcam.devices import full_float32
from beyondcam.errors import BeyondcamError, some_of
from beyondcam.maps import MAPS, Map, run_forward
from beyondcam.recipes import Cookbook, Item, Recipe, Source, as_recipe, classify_photos, map_items

Picture = Photo | str | PathLike[str] | Image.Image | np.ndarray[Any, Any] | Tensor
"""A photo in any of the forms that `as_photo` takes."""

TOP = 3
"""Classes that are told or mapped where none are named."""

Target = str | SupportsIndex
"""A class by name or index; the index may be Python's, NumPy's or torch's."""


def map_image(
    net: nn.Module,
    image: Picture,
    targets: Target | Iterable[Target] | None = None,
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
        classes by name or index, one or several, each once; None stands for those that `classify` names, in
        its order.
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
    float32 (k, H, W) on the CPU, not normalised, in the order of `targets` (of a set, ascending): the higher,
    the more evidence. It has the picture's size, turned upright as its EXIF says, reduced to 1,024 pixels on
    the longer side if that is larger, and depends on (seed, image_id, recipe, classifier) alone.

    Raises
    ------
    BeyondcamError
        If a class or recipe does not exist, the picture cannot be used, the network gives NaN, or a part of
        the recipe does not do what such a part must.

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
            chosen = [class_index(classifier, target) for target in _listed(targets)]
        item = Item(image_id, photo, tuple(chosen))
        (results,) = map_items(classifier, [item], {"": as_recipe(recipe)}, seed=seed, batch=batch)
    return results[""].maps


def classify(net: nn.Module, image: Picture, top: int = TOP) -> list[tuple[str, float]]:
    """Tell the most probable classes of a picture.

    Parameters
    ----------
    net, image
        as of `map_image`.
    top
        how many classes, at least 1, or all where there are fewer.

    Returns
    -------
    Names and probabilities (softmax, or sigmoid where an image may have several classes), highest first.

    Raises
    ------
    BeyondcamError
        Where the picture or the network cannot be used.

    """
    if top < 1:
        raise BeyondcamError(f"at least 1 is needed, not {top}", parameter="top")
    classifier, photo = _classifier(net), as_photo(image)
    with evaluating(classifier), torch.inference_mode(False):
        best = most_probable(classifier, photo, top)
    return [(classifier.classes[index], probability) for index, probability in best]


@full_float32()
def map_batch(
    net: nn.Module,
    inputs: Tensor,
    targets: Target | Iterable[Target] | None = None,
    map: str | Map = "saliency",  # noqa: A002  (its name in recipes)
) -> Tensor:
    """Map a batch as a network takes it, such as one from a `DataLoader`: one pass, no perturbation.

    Parameters
    ----------
    net
        as of `map_image`.
    inputs
        float (B, 3, H, W), normalised, on the network's device.
    targets
        a class for each input, by name or index; or bool (B, C), any number for each. None stands for the
        most probable ones, `classifier(inputs).scores.argmax(1)`.
    map
        a `Map`, or the name of one such as "cam", "saliency" or "gradcam". Recipes, which average maps and
        refine them, are for `map_image`.

    Returns
    -------
    float32 (P, H, W) on the network's device, one for each pair of an input and a target, by inputs and then
    by class.

    Raises
    ------
    BeyondcamError
        If inputs or targets have another shape, the map does not exist, or the network or the map gives NaN.

    """
    classifier = _classifier(net)
    if inputs.ndim != 4 or inputs.shape[1] != 3 or not inputs.is_floating_point():
        raise BeyondcamError(
            f"float (B, 3, H, W) is needed, not {inputs.dtype} {(*inputs.shape,)}", parameter="inputs"
        )
    if isinstance(map, str) and map not in MAPS and map in Cookbook().recipes:
        raise BeyondcamError(f"{map!r} is a recipe, which `map_image` takes", parameter="map")
    chosen: Map = Source(map=map).map
    with evaluating(classifier), torch.inference_mode(False):
        if targets is None:
            with torch.no_grad():
                targets = classifier(inputs).scores.argmax(1)
        pairs = _pairs(classifier, len(inputs), targets)
        forward = run_forward(classifier, inputs.clone(), pairs, chosen.needs)
        maps = chosen.of(forward)  # (P, h, w)
    for giver, numbers in (("network", forward.scores), (f"map {chosen.kind}", maps)):
        if not numbers.isfinite().all():
            raise BeyondcamError(f"{giver}: gives NaN or infinite numbers for these inputs")
    if maps.shape[1:] == inputs.shape[2:]:
        return maps
    if not len(maps):  # which torch does not resize
        return maps.new_zeros(0, *inputs.shape[2:])
    return F.interpolate(maps[None], inputs.shape[2:], mode="bilinear", antialias=True)[0]


def class_index(classifier: Classifier, target: Target) -> int:
    """The index of a class given by name or index. Raises `BeyondcamError`."""
    plain: Any = target.tolist() if isinstance(target, Tensor | np.generic | np.ndarray) else target
    if isinstance(plain, str) and plain in classifier.classes:
        return classifier.classes.index(plain)
    with suppress(TypeError):  # of what is no index
        if not isinstance(plain, bool) and 0 <= (index := operator.index(plain)) < len(classifier.classes):
            return index
    count, some = len(classifier.classes), some_of(classifier.classes, 5)
    raise BeyondcamError(
        f"no class {plain!r}; the classifier has {count}, from 0: {some}",
        parameter="targets",
    )


def as_photo(image: Picture) -> Photo:
    """A `Photo` of a path, a PIL picture, an array (H, W, 3) or (H, W), or a tensor (3, H, W)."""
    if isinstance(image, Photo):
        return image
    if isinstance(image, str | PathLike):
        return read_photo(image)
    if isinstance(image, Tensor):
        flat = image[0] if image.ndim == 4 and len(image) == 1 else image
        if flat.ndim != 3 or len(flat) not in (1, 3):
            raise BeyondcamError(
                f"a tensor is (3, H, W), not {(*image.shape,)}; `map_batch` takes batches", parameter="image"
            )
        flat = flat.float() if flat.is_floating_point() else flat  # NumPy has no bfloat16
        image = flat.detach().cpu().permute(1, 2, 0).numpy()
    if isinstance(image, np.ndarray):
        image = _picture(image)
    if not isinstance(image, Image.Image):
        raise BeyondcamError(
            f"a path, picture, array or tensor is needed, not a {type(image).__name__}", parameter="image"
        )
    rgb, size = pixels_of(image, MAX_SIDE)
    return Photo(torch.from_numpy(rgb).permute(2, 0, 1).contiguous(), size)


def _picture(array: np.ndarray[Any, Any]) -> Image.Image:
    """A picture of an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4): uint8, or floats in [0, 1]."""
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)) or not array.size:
        raise BeyondcamError(f"an array is (H, W, 3), not {array.shape}", parameter="image")
    if np.issubdtype(array.dtype, np.floating):
        if not (array.min() >= 0 and array.max() <= 1):
            raise BeyondcamError(
                "floats in [0, 1] are needed: divide those of 0 to 255 by 255; what a network takes goes to "
                "`map_batch`",
                parameter="image",
            )
        array = np.rint(array * 255).astype(np.uint8)
    if array.dtype != np.uint8:
        raise BeyondcamError(f"uint8 or floats in [0, 1] are needed, not {array.dtype}", parameter="image")
    return Image.fromarray(array[:, :, 0] if array.shape[2:] == (1,) else array)


def _classifier(net: nn.Module) -> Classifier:
    return net if isinstance(net, Classifier) else wrap(net)


def most_probable(classifier: Classifier, photo: Photo, top: int) -> list[tuple[int, float]]:
    """The classes of a photo, highest probability first: `top` indices with their probabilities."""
    probabilities = classifier.probabilities(classify_photos(classifier, [photo])[0])  # (C,)
    if not probabilities.isfinite().all():
        raise BeyondcamError("gives NaN or infinite numbers for this picture", parameter="network")
    best = probabilities.topk(min(top, len(probabilities)))
    return list(zip(best.indices.tolist(), best.values.tolist(), strict=True))


def _listed(targets: Target | Iterable[Target]) -> list[Target]:
    """One target or several as a list; those of a set in ascending order."""
    plain = targets.tolist() if isinstance(targets, Tensor | np.ndarray) else targets
    if isinstance(plain, Set):
        plain = sorted(plain, key=lambda target: (isinstance(target, str), target))
    return [*plain] if isinstance(plain, Iterable) and not isinstance(plain, str) else [plain]


def _pairs(classifier: Classifier, inputs: int, targets: Target | Iterable[Target]) -> Tensor:
    """Targets of so many inputs as bool (B, C)."""
    if isinstance(targets, np.ndarray) and targets.dtype == np.bool_:
        targets = torch.from_numpy(targets)
    if isinstance(targets, Tensor) and targets.dtype == torch.bool:
        return targets
    shape, listed = (inputs, len(classifier.classes)), _listed(targets)
    if len(listed) != inputs:
        raise BeyondcamError(
            f"one for each of {inputs} inputs, or bool {shape}, is needed", parameter="targets"
        )
    pairs = torch.zeros(shape, dtype=torch.bool)
    for row, target in zip(pairs, listed, strict=True):
        row[class_index(classifier, target)] = True
    return pairs
