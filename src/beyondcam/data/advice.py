"""What photos and labels show before hours are spent on them: why masks will be wrong, and what to do."""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from beyondcam.data.source import LabelledImages, evenly
from beyondcam.decode import read_header, read_thumbnail
from beyondcam.outcome import LeftOut, attempt, attempts

FEW = 15
"""Photos of a class, fewer than which are seldom enough."""

LOOKED_AT = 1000
"""Photos of a part that are compared with those of another."""

THUMBNAIL, ALIKE = 32, 0.9
"""Side of what is compared, pixels, and the correlation from which two photos are nearly the same.

Of the animals' and the digits' splits no photos come closer than 0.43 and 0.22; those of a magnetic tile
that was taken several times do.
"""

MUCH_LARGER = 4
"""How many times larger photos are than what the network sees before things in them are likely to be lost."""

LOST = 12
"""Pixels of what the network sees, fewer than which a thing has to be large to be found."""


def advice(
    images: LabelledImages,
    trained: Sequence[str],
    judging: Sequence[tuple[LabelledImages, Sequence[str]]],
    size: int,
) -> Iterator[str]:
    """Lines for people on what will go wrong, each with what to do; none where nothing will.

    Parameters
    ----------
    images, trained
        the data, and the ids that are trained on.
    judging
        other images, with the ids that training is judged by.
    size
        side of the network's square input, pixels.

    """
    yield from _of_labels(images)
    yield from _of_sizes(images, size)
    yield from _of_twins(images, trained, judging)


def _of_labels(images: LabelledImages) -> Iterator[str]:
    """Classes with few photos, in every photo, or always together."""
    labelled = [images.labels[i] for i in images.ids if i in images.labels]
    shown = {name: {n for n, own in enumerate(labelled) if c in own} for c, name in enumerate(images.classes)}
    if few := [f"{name} ({len(photos)})" for name, photos in shown.items() if len(photos) < FEW]:
        yield (
            f"few photos: {', '.join(few)}; masks of a class with fewer than about {FEW} are seldom "
            "right: add photos of it, or leave it out by naming the others (classes)"
        )
    for name, photos in shown.items():
        if labelled and len(photos) == len(labelled):
            yield (
                f"in every photo: {name}; nothing tells it from what is around it: add photos without it, "
                "which may show no class at all (negatives)"
            )
    together: dict[frozenset[int], list[str]] = {}
    for name, photos in shown.items():
        if 0 < len(photos) < len(labelled):
            together.setdefault(frozenset(photos), []).append(name)
    for names in together.values():
        if len(names) > 1:
            yield (
                f"never apart: {', '.join(names)}; nothing tells one from the other: add photos that "
                "show one of them, or make them one class"
            )


def _of_sizes(images: LabelledImages, size: int) -> Iterator[str]:
    """Photos much larger than what the network sees of them."""
    files = [file for i in evenly(images.ids, 9) if (file := images.file_of(i))]
    headers = [header for header in map(attempt(read_header), files) if not isinstance(header, LeftOut)]
    if not headers:
        return
    height, width = np.median([header.upright for header in headers], 0)
    times = min(height, width) / size
    if times >= MUCH_LARGER:
        yield (
            f"large photos: of {width:.0f}×{height:.0f} the network sees {size}×{size}, so that things of "
            f"less than about {LOST * times:.0f} pixels are lost: if yours are, cut the photos into pieces "
            "first, or take a larger input (size)"
        )


def _of_twins(
    images: LabelledImages, trained: Sequence[str], judging: Sequence[tuple[LabelledImages, Sequence[str]]]
) -> Iterator[str]:
    """Photos that judge a training, but are nearly the same as photos that are trained on."""
    own, ids = _patterns(images, evenly(trained, LOOKED_AT))
    for others, judges in judging:
        theirs, judged = _patterns(others, evenly(judges, LOOKED_AT))
        if not ids or not judged:
            continue
        alike = theirs @ own.T  # (judged, trained)
        closest = alike.max(1)
        twins = (closest.values > ALIKE).nonzero().flatten().tolist()
        if twins:
            pair = f"{judged[twins[0]]} and {ids[closest.indices[twins[0]]]}"
            yield (
                f"nearly the same: {len(twins)} of {len(judged)} photos that training is judged by and "
                f"photos trained on, such as {pair}; figures on them flatter: put photos of one thing "
                "into one split, or keep one of each"
            )


def _patterns(images: LabelledImages, ids: Sequence[str]) -> tuple[Tensor, list[str]]:
    """Edges of photos as vectors of length 1, (N, 2·32·31), and the ids of those that can be read.

    Their product is a correlation, whatever the photos' brightness, contrast and size.
    """
    seen = attempts(partial(_thumbnail, images), ids)
    read = {i: small for i, small in seen if not isinstance(small, LeftOut)}
    if not read:
        return torch.empty(0, 0), []
    grey = torch.stack(list(read.values()))  # (N, 32, 32)
    edges = torch.cat([grey.diff(dim=1).flatten(1), grey.diff(dim=2).flatten(1)], 1)
    return F.normalize(edges - edges.mean(1, keepdim=True)), list(read)


def _thumbnail(images: LabelledImages, image_id: str) -> Tensor:
    """A photo in grey, float32 (32, 32)."""
    file = images.file_of(image_id)
    if file is None:
        pixels = images.read(image_id).pixels.permute(1, 2, 0)
    else:
        pixels = torch.from_numpy(read_thumbnail(file, 2 * THUMBNAIL))
    return F.adaptive_avg_pool2d(pixels.float().mean(2)[None, None], THUMBNAIL)[0, 0]
