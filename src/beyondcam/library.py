"""The one call that most who use the package as a library need."""

from collections.abc import Sequence

from torch import Tensor

from beyondcam.classifier import Classifier
from beyondcam.data import Photo
from beyondcam.errors import BeyondcamError
from beyondcam.recipes import Cookbook, Item, Recipe, map_items


def map_image(
    classifier: Classifier,
    photo: Photo,
    targets: Sequence[str],
    recipe: str | Recipe = "crops+smooth",
    *,
    seed: int = 0,
    image_id: str = "image",
    batch: int = 8,
) -> Tensor:
    """Map one photo for some classes, by name: float32 (k, H, W), raw, in the order of `targets`.

    The classifier is run as it is; for many photos, `folded(classifier)` makes the passes faster.
    The result depends on (seed, image_id, recipe, classifier) alone. Raises `BeyondcamError` for a class the
    classifier does not have or an unknown recipe.
    """
    for name in targets:
        if name not in classifier.classes:
            raise BeyondcamError(f"targets: the classifier has no class {name!r}")
    item = Item(image_id, photo, tuple(classifier.classes.index(name) for name in targets))
    chosen = Cookbook().recipe(recipe) if isinstance(recipe, str) else recipe
    (results,) = map_items(classifier, [item], {"asked": chosen}, seed=seed, batch=batch)
    return results["asked"].maps
