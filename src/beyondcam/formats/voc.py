"""PASCAL VOC: `SegmentationClass/NAME.png`, and the list of them in `ImageSets/Segmentation`.

VOC has twenty classes of its own; of others `classes.txt` and `labelmap.txt` (as CVAT and Datumaro read it)
say what the values and colours mean.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from beyondcam.data import PALETTE
from beyondcam.files import write_whole
from beyondcam.formats import png
from beyondcam.formats.base import Book, Entry, Labelled

MASKS = "SegmentationClass"


def write(masks: Iterable[Labelled], book: Book, out: Path) -> None:
    """Write VOC's folders, but for the photos, which go to `JPEGImages`."""
    listed: list[str] = []

    def noted() -> Iterator[Labelled]:
        for mask in masks:
            listed.append(book.stem(mask.image))
            yield mask

    png.write(noted(), book, out, MASKS)
    lines = "".join(f"{name}\n" for name in listed)
    write_whole(out / "ImageSets" / "Segmentation" / f"{book.images.split}.txt", lines.encode())
    # a colon parts the fields of labelmap.txt, and # begins a comment
    names = ("background", *(name.replace(":", " ").lstrip("#") for name in book.images.classes))
    colours = (",".join(map(str, PALETTE[3 * k : 3 * k + 3])) for k in range(len(names)))
    rows = (f"{name}:{colour}::\n" for name, colour in zip(names, colours, strict=True))
    write_whole(out / png.LABELMAP, "".join(["# label:color_rgb:parts:actions\n", *rows]).encode())


def read(path: Path, book: Book) -> Iterator[Entry]:
    """Read every mask of `SegmentationClass`."""
    return png.read(path, book, MASKS)
