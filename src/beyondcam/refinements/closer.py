"""Small things are refined again, each in a window that it fills."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from beyondcam.data import Photo
from beyondcam.refinements.base import Refinement, by_maximum
from beyondcam.refinements.walk import Walk

Share = Annotated[float, Field(gt=0, le=1)]


class Closer(Refinement):
    r"""Replace a refined map, where the thing is small, by a walk at the scale of the thing.

    A place of `affinity`'s grid may be larger than a small thing, and `walk` goes over a large photo at a
    reduced size, so both blur what is small. Therefore a window W is put around each strong component of the
    walked map, and inside it the refined map r becomes

    .. math:: r_W = p \cdot \frac{\mathrm{walk}(m_W)}{\max \mathrm{walk}(m_W)},

    where m_W is the unrefined map inside W, walked on that part of the photo, and p is the component's peak
    as a share of the map's maximum. Outside the windows r stays, and so does the whole map of a thing that
    fills the picture: nothing is done for a class whose windows cover more than `most` of it.

    The windows are found in the map that the recipe's first refinement gives (`walk` in the built-in
    recipes), or in the unrefined map if there is none. The network is not run again.

    Parameters
    ----------
    level, peak : components (8-connected) lie above `level` of the map's maximum; those count whose own
        maximum is at least `peak` of it.
    margin : on each side of a window, as a share of the longer side of the component's bounding box.
    least : least side of a window, in pixels. Windows are square and inside the photo; those that overlap
        become one window around their components.
    most : largest share of the photo that a class's windows may cover together.
    walk : the walk inside a window.

    Notes
    -----
    The method is ours. The constants were chosen on the masks of training images: 60 magnetic tiles with a
    defect, and 48 photos of VOC animals.

    """

    takes_stages: ClassVar[bool] = True

    kind: Literal["closer"] = "closer"
    level: Share = 0.4
    peak: Share = 0.7
    margin: Annotated[float, Field(ge=0)] = 0.1
    least: Annotated[int, Field(ge=1)] = 64
    most: Share = 0.2
    walk: Walk = Walk()

    def __call__(self, photo: Photo, maps: Tensor, stages: Sequence[Tensor]) -> Tensor:
        """Refine maps (k, H, W) again; `stages` are the unrefined maps and those after each refinement.

        The result is divided by its maximum.
        """
        unrefined, refined = stages[0], by_maximum(maps)
        first = by_maximum(stages[:2][-1])
        for m, w, r in zip(unrefined, first, refined, strict=True):
            windows = self.windows(w.cpu().numpy())
            if sum(window.height * window.width for window in windows) > self.most * w.numel():
                continue
            for top, left, height, width, peak in windows:
                rows, columns = slice(top, top + height), slice(left, left + width)
                part = photo.pixels[:, rows, columns].to(m.device)
                r[rows, columns] = peak * by_maximum(self.walk.within(part, m[None, rows, columns]))[0]
        return by_maximum(refined)

    def windows(self, v: NDArray[np.float32]) -> list["Window"]:
        """Disjoint windows around the strong components of v (H, W), whose maximum is 1."""
        disjoint: dict[Box, Window] = {}
        for box in self._components(v):
            merged, window = box, self._window(box, v.shape)
            while touched := next((b for b, other in disjoint.items() if window.overlaps(other)), None):
                del disjoint[touched]
                merged = merged.around(touched)
                window = self._window(merged, v.shape)
            disjoint[merged] = window
        return list(disjoint.values())

    def _components(self, v: NDArray[np.float32]) -> list["Box"]:
        """The bounding boxes of the strong components, that with the highest peak first."""
        from scipy.ndimage import find_objects, label

        labels, _ = label(v > self.level, np.ones((3, 3)))
        strong = np.unique(labels[(v >= self.peak) & (labels > 0)])
        places = find_objects(labels)
        boxes = []
        for number in strong:
            rows, columns = places[number - 1]
            peak = v[rows, columns][labels[rows, columns] == number].max()
            boxes.append(Box(rows.start, columns.start, rows.stop, columns.stop, float(peak)))
        return sorted(boxes, key=lambda box: -box.peak)

    def _window(self, box: "Box", shape: tuple[int, ...]) -> "Window":
        """The square around a box, pushed inside the photo; cut where the photo is smaller."""
        longer = max(box.bottom - box.top, box.right - box.left)
        side = max(self.least, round(longer * (1 + 2 * self.margin)))
        height, width = (min(side, extent) for extent in shape)
        top = round((box.top + box.bottom - height) / 2)
        left = round((box.left + box.right - width) / 2)
        top, left = min(max(top, 0), shape[0] - height), min(max(left, 0), shape[1] - width)
        return Window(top, left, height, width, box.peak)


class Box(NamedTuple):
    """The bounding box of a component, or of several; `bottom` and `right` lie outside."""

    top: int
    left: int
    bottom: int
    right: int
    peak: float

    def around(self, other: "Box") -> "Box":
        """The box around both."""
        return Box(*map(min, self[:2], other[:2]), *map(max, self[2:], other[2:]))


class Window(NamedTuple):
    """A part of the photo, and the peak of what is in it."""

    top: int
    left: int
    height: int
    width: int
    peak: float

    def overlaps(self, other: "Window") -> bool:
        """Whether they share a pixel."""
        apart = self.top >= other.top + other.height or other.top >= self.top + self.height
        return not (apart or self.left >= other.left + other.width or other.left >= self.left + self.width)
