"""Maps of one photo as one picture."""

import io
from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from beyondcam.classifier import Classifier
from beyondcam.data import Photo
from beyondcam.files import write_whole
from beyondcam.library import most_probable
from beyondcam.plotting import DPI, draw_over, height_of
from beyondcam.recipes import Item, Recipe, map_items
from beyondcam.refinements import by_maximum


def explain_photo(
    classifier: Classifier,
    photo: Photo,
    recipes: Mapping[str, Recipe],
    out: Path,
    *,
    image_id: str = "image",
    top: int = 3,
    seed: int = 0,
    batch: int = 8,
) -> list[tuple[str, float]]:
    """Draw the maps of the `top` most probable classes, a row a class, and return these with probability."""
    best = most_probable(classifier, photo, top)
    item = Item(image_id, photo, tuple(index for index, _ in best))
    (results,) = map_items(classifier, [item], recipes, seed=seed, batch=batch)
    named = [(classifier.classes[index], probability) for index, probability in best]

    figure = Figure((3 * (1 + len(recipes)), height_of(photo) * len(named)), layout="constrained")
    axes = figure.subplots(len(named), 1 + len(recipes), squeeze=False)
    pixels = photo.pixels.permute(1, 2, 0).numpy()
    for row, (name, probability) in enumerate(named):
        axes[row, 0].imshow(pixels)
        axes[row, 0].set_title(f"{name}  {probability:.2f}", parse_math=False)
        for column, (recipe, result) in enumerate(results.items(), start=1):
            draw_over(axes[row, column], pixels, by_maximum(result.maps)[row].sqrt())
            axes[row, column].set_title(recipe)
    for axis in axes.flat:
        axis.set_axis_off()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    write_whole(out, buffer.getvalue())
    return named
