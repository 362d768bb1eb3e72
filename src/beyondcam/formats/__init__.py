"""Masks out to other programs, and back: a file for each format, with `write` and `read`."""

from beyondcam.formats import coco, cvat, label_studio, png, voc, yolo
from beyondcam.formats.base import Book, Entry, Format, Labelled

FORMATS = {
    "coco": Format(coco.write, coco.read),
    "voc": Format(voc.write, voc.read, void=True),
    "yolo-seg": Format(yolo.write, yolo.read),
    "label-studio": Format(label_studio.write, label_studio.read),
    "cvat": Format(cvat.write, cvat.read),
    "png": Format(png.write, png.read, void=True),
}

__all__ = ["FORMATS", "Book", "Entry", "Labelled"]
