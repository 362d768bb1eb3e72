"""A reader each, and sound files to mutate."""

import hashlib
import io
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from exchanged import EXCHANGED
from PIL import Image
from whole_run import RESULTS

from beyondcam.data import open_images, read_photo, recognised
from beyondcam.data.mask_file import read_mask
from beyondcam.data.masks import open_masks
from beyondcam.decode import read_header, read_thumbnail
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import Evidence, irn_bytes, open_shelf, read_evidence, read_irn, shelves, winners_of
from beyondcam.evidence.levels import targets_in
from beyondcam.label_images import LabelFolder
from beyondcam.metrics.predictions import read_prediction
from beyondcam.recipes import Cookbook

Read = Callable[[Path, bytes], None]


class Sample(NamedTuple):
    """Sound content of a file, and what reads it, given a folder to write it to."""

    reader: str
    content: bytes
    read: Read

    @property
    def is_json(self) -> bool:
        """Whether values can be changed, not bytes alone."""
        return self.content.startswith((b"{", b"[")) and b"}\n{" not in self.content


def written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


# Pictures


def read_picture(folder: Path, content: bytes) -> None:
    path = written(folder, "photo.jpg", content)
    photo = read_photo(path)
    assert max(read_thumbnail(path, 16).shape[:2]) <= 16
    header = read_header(path)
    assert photo.size == header.upright
    assert photo.pixels.shape[0] == 3


def read_index(folder: Path, content: bytes) -> None:
    read_mask(written(folder, "mask.png", content))


def pictures() -> list[Sample]:
    rng = np.random.default_rng(0)
    colours = Image.fromarray(rng.integers(0, 256, (24, 33, 3), dtype=np.uint8))
    block = Image.Exif()
    block[0x0112], block[0x010F], block[0x011A] = 6, "maker", 72.0
    made: list[Sample] = []
    for kind in ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"):
        for mode in ("RGB", "L", "P", "RGBA", "LA", "CMYK", "1", "I;16", "F"):
            picture = colours.convert("L" if mode in ("I;16", "F") else mode)
            if mode in ("I;16", "F"):
                picture = Image.fromarray(
                    np.asarray(picture).astype({"I;16": np.uint16, "F": np.float32}[mode])
                )
            for options in ({}, {"exif": block}, {"progressive": True}, {"compression": "tiff_lzw"}):
                out = io.BytesIO()
                try:
                    picture.save(out, kind, **options)
                except (OSError, KeyError, ValueError):
                    continue
                if options == {} or ("exif" in options) or kind in ("JPEG", "TIFF"):
                    made.append(Sample("photo", out.getvalue(), read_picture))
                if mode in ("L", "P", "1") and kind != "JPEG" and not options:
                    made.append(Sample("mask", out.getvalue(), read_index))
    return made


# Tables, XML, JSON


def png(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


PHOTO = png(Image.new("RGB", (8, 6), "green"))
MASK = png(Image.fromarray(np.eye(6, 8, dtype=np.uint8)))


def read_everything(data: str, split: str) -> None:
    images = open_images(data, split)
    assert images.summary()
    assert {*images.labels, *images.unlabelled} >= {*images.ids}
    masks = open_masks(data, split)
    for i in images.ids[:5]:
        for read in (images.read, images.file_of, masks.read if masks else images.file_of):
            with suppress(BeyondcamError):
                read(i)


def read_folder(name: str) -> Read:
    def read(folder: Path, content: bytes) -> None:
        root = folder / f"folder-{name}"
        for i in "abc":
            written(root, f"images/{i}.png", PHOTO)
            written(root, f"masks/{i}.png", MASK)
        written(root, "labels.csv", TABLE)
        written(root, "classes.txt", CLASSES)
        written(root, name, content)
        read_everything(f"folder:{root}", "all")

    return read


def read_export(name: str, *, alone: bool = True) -> Read:
    """A file of labels beside the photos, which is the only one or one of several."""

    def read(folder: Path, content: bytes) -> None:
        root = folder / f"export-{name}"
        for i in "abc":
            written(root, f"{i}.png", PHOTO)
        file = written(root, name, content)
        assert recognised(str(root))
        read_everything(f"folder:{file if alone else root}", "all")

    return read


def read_voc(name: str) -> Read:
    def read(folder: Path, content: bytes) -> None:
        root = folder / f"voc-{name.replace('/', '-')}"
        for i in "ab":
            written(root, f"JPEGImages/{i}.png", PHOTO)
            written(root, f"SegmentationClass/{i}.png", MASK)
            written(root, f"Annotations/{i}.xml", XML)
        written(root, "ImageSets/Segmentation/train.txt", b"a\nb\n")
        written(root, name, content)
        read_everything(f"voc:{root}", "train")

    return read


def read_coco(folder: Path, content: bytes) -> None:
    for i in (1, 2):
        written(folder, f"coco/{i}.png", PHOTO)
    file = written(folder, "instances.json", content)
    read_everything(f"coco:{folder / 'coco'}:{file}", "all")


TABLE = b"image,labels\na.png,cat\nb.png,cat;dog\nc.png,\n"
CLASSES = b"cat\ndog\n"
COLUMNS = "image;gr\xf6\xdfe;dog\r\na.png;1;0\r\nb.png;WAHR;x\r\nc.png;;\r\n".encode("latin-1")
TASKS = [
    {
        "id": n,
        "annotations": [
            {
                "was_cancelled": False,
                "ground_truth": False,
                "result": [{"type": kind, "value": {kind: ["cat"]}}],
            }
        ],
        "file_upload": f"0a1b2c3d-{i}.png",
        "data": {"image": f"/data/upload/1/0a1b2c3d-{i}.png"},
    }
    for n, (i, kind) in enumerate((("a", "choices"), ("b", "rectanglelabels")))
]
BRIEF = [
    {
        "image": f"/data/upload/1/0a1b2c3d-{i}.png", "id": n, "choice": label, "annotator": 1,
        "annotation_id": n + 7, "created_at": "2026", "updated_at": "2026", "lead_time": 2.5,
    }
    for n, (i, label) in enumerate((("a", "cat"), ("b", {"choices": ["cat", "dog"]})))
]  # fmt: skip
EXPORTED = b"""annotation_id,annotator,choice,created_at,id,image,lead_time,updated_at
4,"1","cat","2026",1,"/data/upload/1/0a1b2c3d-a.png",2.5,"2026"
5,"1","{""choices"":[""cat"",""dog""]}","2026",2,"/data/upload/1/0a1b2c3d-b.png",2.5,"2026"
"""
METADATA = b"""{"file_name": "a.png", "label": "cat"}
{"file_name": "b.png", "labels": ["cat", "dog"]}
{"file_name": "c.png", "objects": {"bbox": [[1, 2, 3, 4]], "categories": ["dog"]}}
"""
CVAT = b"""<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version>
<image id="0" name="a.png" width="8" height="6"><tag label="cat" source="manual"></tag></image>
<image id="1" name="b.png"><box label="dog" xtl="0" ytl="0" xbr="2" ybr="2"></box></image></annotations>"""
XML = b'<?xml version="1.0" encoding="utf-8"?><annotation><object><name>cat</name></object></annotation>'
INSTANCES = {
    "images": [{"id": n, "file_name": f"{n}.png", "height": 6, "width": 8} for n in (1, 2)],
    "categories": [{"id": 3, "name": "cat", "supercategory": "animal"}, {"id": 5, "name": "dog"}],
    "annotations": [
        {
            "id": 1,
            "image_id": 1,
            "category_id": 3,
            "area": 9,
            "iscrowd": 0,
            "segmentation": [[0, 0, 4, 0, 4, 4]],
        },
        {"id": 2, "image_id": 2, "category_id": 5, "segmentation": {"size": [6, 8], "counts": [9, 30, 9]}},
        {"id": 3, "image_id": 2, "category_id": 3, "segmentation": {"size": [6, 8], "counts": "=N34O1"}},
    ],
}


# What this package writes itself


EVIDENCE = Evidence.of(
    torch.rand(2, 6, 8, generator=torch.Generator().manual_seed(0)), (0, 3), (0.5, 1), (12, 16)
)


def read_png(folder: Path, content: bytes) -> None:
    targets_in(content)
    winners = winners_of(read_evidence(written(folder, "evidence.png", content)))
    assert winners.labels.shape == winners.levels.shape


def read_npy(folder: Path, content: bytes) -> None:
    read_irn(written(folder, "a.npy", content), (12, 16), {0: 0, 3: 1})


def read_array(folder: Path, content: bytes) -> None:
    written(folder, "b.npy", content)
    read_prediction(folder, "b", (12, 16), ("cat", "dog"), ("cat", "dog"))


def array() -> bytes:
    out = io.BytesIO()
    np.save(out, np.ones((2, 12, 16), "f4"))
    return out.getvalue()


def tensors() -> bytes:
    out = io.BytesIO()
    content = {
        "keys": torch.tensor([0, 3]),
        "cam": torch.rand(2, 3, 4),
        "high_res": np.ones((2, 12, 16), "f4"),
    }
    np.save(out, np.array(content, object), allow_pickle=True)
    return out.getvalue()


def read_shelf(name: str) -> Read:
    """Files beside evidence; of another name than the manifest's they are lines of processes."""

    def read(folder: Path, content: bytes) -> None:
        run, data = folder / f"run-{name.replace('/', '-')}", folder / "shelf-data"
        written(run, "classifier.safetensors", b"weights")
        for i in "abc":
            written(data, f"images/{i}.png", PHOTO)
        written(data, "labels.csv", TABLE)
        images = open_images(f"folder:{data}", "all")
        shelf = open_shelf(
            run,
            images,
            targets="labels",
            precision="float32",
            name="cam",
            recipe=Cookbook().recipe("cam"),
            seed=0,
        )
        written(shelf.folder, "a.png", EVIDENCE.encode())
        written(shelf.folder, name, content)
        for each in shelves(run, images):
            each.cost()
            each.has("a", (0, 3), images.file_of("a"))
            with suppress(BeyondcamError):
                each.read("a")
        (shelf.folder / "manifest.json").unlink()

    return read


def read_index_of_seeds(folder: Path, content: bytes) -> None:
    written(folder, "out/written.json", content)
    LabelFolder(folder / "out", ("cat",)).begin("all", ["a", "b"])


MANIFEST = {
    "version": 2, "data": "folder:/x", "classes": ["cat", "dog"], "split": "all", "targets": "labels",
    "recipe": {}, "recipe_hash": "0123456789", "seed": 0, "precision": "float32", "name": "cam",
    "checkpoint": hashlib.sha256(b"weights").hexdigest()[:10],
}  # fmt: skip

SAMPLES: list[Sample] = [
    *pictures(),
    *[Sample("evidence", EVIDENCE.encode(), read_png)] * 4,
    *[Sample("npy", content, read_npy) for content in (irn_bytes(EVIDENCE, [0, 1, 2, 3]), tensors())] * 6,
    *[Sample("array", content, read_array) for content in (array(), tensors())] * 2,
    *[Sample("labels", TABLE, read_folder("labels.csv"))] * 4,
    *[Sample("columns", COLUMNS, read_export("labels.csv"))] * 2,
    *[Sample("label-studio", json.dumps(TASKS).encode(), read_export("export.json"))] * 4,
    *[Sample("json-min", json.dumps(BRIEF).encode(), read_export("export.json"))] * 2,
    *[Sample("exported", EXPORTED, read_export("export.csv"))] * 2,
    *[Sample("metadata", METADATA, read_export("metadata.jsonl"))] * 3,
    *[Sample("cvat", CVAT, read_export("annotations.xml"))] * 3,
    *[Sample("classes", CLASSES, read_folder("classes.txt"))] * 2,
    *[Sample("xml", XML, read_voc("Annotations/a.xml"))] * 4,
    *[Sample("xml", XML, read_export("a.xml", alone=False))] * 2,
    *[Sample("list", b"a\nb 1\n", read_voc("ImageSets/Segmentation/train.txt"))] * 2,
    *[Sample("coco", json.dumps(INSTANCES).encode(), read_coco)] * 16,
    *[Sample("manifest", json.dumps(MANIFEST).encode(), read_shelf("manifest.json"))] * 3,
    Sample("lines", b"a,0123456789abcdef,9,12,fedcba9876543210\n", read_shelf("photos/x.csv")),
    Sample("cost", b"1,2,3,0.5,0.25\n", read_shelf("cost-x.csv")),
    *[Sample(*parts) for parts in RESULTS],
    *[Sample(*parts) for parts in EXCHANGED],
    Sample("written", json.dumps({"a": "all", "b": "val"}).encode(), read_index_of_seeds),
]
