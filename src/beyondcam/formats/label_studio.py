"""Label Studio's JSON: `tasks.json`, with masks as its brush leaves them, and `config.xml`, its labels."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from beyondcam.data import PALETTE
from beyondcam.data.label_studio import file_at, uploads
from beyondcam.decode import read_json
from beyondcam.errors import BeyondcamError
from beyondcam.files import write_whole
from beyondcam.formats.base import Book, Entry, Labelled, file_in
from beyondcam.formats.brush import decode_brush, encode_brush
from beyondcam.formats.polygons import fill

FILE = "tasks.json"

PLACE = "/data/local-files/?d="
"""Where Label Studio serves files: by their paths from its document root on, above their folder."""

ASIDE = ("choices", "datetime", "number", "pairwise", "rating", "taxonomy", "textarea")
"""Kinds of results that say something of a region, and are none."""


def write(masks: Iterable[Labelled], book: Book, out: Path) -> None:
    """Write `out/tasks.json`, a human's masks as annotations, others as predictions, and `out/config.xml`."""
    labels = "".join(
        f'    <Label value={quoteattr(name)} background="#{bytes(PALETTE[3 * k : 3 * k + 3]).hex()}"/>\n'
        for k, name in enumerate(book.images.classes, 1)
    )
    view = f'  <Image name="image" value="$image"/>\n  <BrushLabels name="mask" toName="image">\n{labels}'
    write_whole(out / "config.xml", f"<View>\n{view}  </BrushLabels>\n</View>\n".encode())
    tasks = json.dumps([_task(mask, book) for mask in masks])  # indented, each byte would take a line
    write_whole(out / FILE, tasks.encode())


def _task(mask: Labelled, book: Book) -> dict[str, Any]:
    height, width = mask.labels.shape
    result = [
        {
            "id": f"mask-{k}", "type": "brushlabels", "from_name": "mask", "to_name": "image",
            "original_width": width, "original_height": height, "image_rotation": 0,
            "value": {
                "format": "rle", "rle": encode_brush(mask.labels == k),
                "brushlabels": [book.images.classes[k - 1]],
            },
        }
        for k in mask.present
    ]  # fmt: skip
    name, folder = book.images.file_name(mask.image), book.images.folder_of(mask.image)
    place = f"{folder.name}/{name}" if folder else name
    image = PLACE + quote(place, errors="surrogateescape")
    whose = "annotations" if mask.facts else "predictions"
    model = {} if mask.facts else {"model_version": "beyondcam"}
    return {"data": {"image": image, **mask.facts}, whose: [{"result": result, **model}]}


def read(path: Path, book: Book) -> Iterator[Entry]:
    """Read the last annotation of each task that was not cancelled: brush and polygons, in their order."""
    file = file_in(path, FILE)
    tasks = read_json(file, "a JSON export of Label Studio")
    if not isinstance(tasks, list) or not all(isinstance(task, dict) and "data" in task for task in tasks):
        raise BeyondcamError(f"{file}: not as Label Studio exports JSON; choose 'JSON', not 'JSON-MIN'")
    uploaded = uploads((PurePosixPath(book.file_name(i)).stem, i) for i in book.images.ids)
    for n, task in enumerate(tasks):
        name = _name(task["data"], book, uploaded) or f"task {n}"
        yield Entry(name, partial(_painted, task, name, book))


def _name(data: Any, book: Book, uploaded: Callable[[str], str | None]) -> str | None:
    """The photo of a task: the value called image, else the one that names a photo."""
    texts = {k: v for k, v in data.items() if isinstance(v, str)} if isinstance(data, Mapping) else {}
    for text in [texts["image"]] if "image" in texts else texts.values():
        name = file_at(text)
        try:
            book.find(name)
        except BeyondcamError:
            if found := uploaded(PurePosixPath(name).stem):
                return book.file_name(found)
        else:
            return name
    return texts.get("image")


def _painted(task: Mapping[str, Any], name: str, book: Book) -> NDArray[np.uint8] | None:
    done = [a for a in task.get("annotations") or () if not a.get("was_cancelled")]
    results = done[-1]["result"] if done else ()
    shapes = [r for r in results if "original_width" in r and r["type"] not in ASIDE]
    if not shapes:
        return None
    mask = book.canvas(name, (shapes[0]["original_height"], shapes[0]["original_width"]))
    for shape in shapes:
        kind, value = shape["type"], shape["value"]
        if kind not in ("brushlabels", "polygonlabels"):
            raise ValueError(f"{kind} are neither brush nor polygons")
        if len(value[kind]) != 1:
            raise ValueError(f"a region has {len(value[kind])} labels, where a pixel has one")
        label = book.label(value[kind][0])
        if kind == "brushlabels":
            mask[decode_brush(value["rle"], mask.shape)] = label
        else:  # in percent
            fill(mask, np.array(value["points"], np.float64) / 100 * mask.shape[::-1], label)
    return mask
