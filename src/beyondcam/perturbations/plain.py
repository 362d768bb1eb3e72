"""The image itself: once, or at several scales and mirrored."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from beyondcam.perturbations.base import Perturbation, Size, pixels
from beyondcam.perturbations.view import View


class Plain(Perturbation):
    """The whole image, once.

    Parameters
    ----------
    size : side of the network's input: up to 8 a multiple of the classifier's, else pixels.

    """

    kind: Literal["plain"] = "plain"
    size: Size = 1.0

    def views(self, image_id: str, height: int, width: int, side: int, seed: int) -> Iterator[View]:
        """Yield one view of the whole image."""
        del image_id, seed
        yield View((0, 0, height, width), pixels(self.size, side))


class Scales(Perturbation):
    """The whole image at several input sizes, and mirrored: the field's multi-scale and flip.

    Parameters
    ----------
    sizes : sides of the network's input, likewise.
    flip : show the mirror image too at each size.

    """

    kind: Literal["scales"] = "scales"
    sizes: Annotated[tuple[Size, ...], Field(min_length=1)] = (0.75, 1.0, 1.5)
    flip: bool = True

    def views(self, image_id: str, height: int, width: int, side: int, seed: int) -> Iterator[View]:
        """Yield the image at each size and, with `flip`, its mirror image too."""
        del image_id, seed
        for size in self.sizes:
            for flip in (False, True)[: 1 + self.flip]:
                yield View((0, 0, height, width), pixels(size, side), flip)
