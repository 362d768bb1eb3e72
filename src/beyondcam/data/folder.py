"""A folder of photos: `folder:PATH` with `images/`, `labels.csv` and, if there are any, `masks/`."""

import csv
import io
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from beyondcam.data.photo import SUFFIXES, read_mask, read_photo
from beyondcam.data.source import LabelledImages, Masks, choose_classes, index_labels, keep_classes, own_split
from beyondcam.errors import BeyondcamError
from beyondcam.files import read_text


def images(place: str, split: str, wanted: Sequence[str] | None) -> LabelledImages:
    """Images of a split (train, val or all). Photos that `labels.csv` leaves out are unlabelled.

    Without any `labels.csv` all are, and the classes are the wanted ones.
    """
    root = Path(place)
    files = _files(root)
    names = _label_table(root)
    ids = own_split(sorted(files.keys() | names.keys()), split, f"folder:{place}")
    if not ids:
        raise BeyondcamError(f"folder:{place}: the split {split} is empty")
    classes = choose_classes(wanted, _classes(root, names, wanted))
    return LabelledImages(
        data=f"folder:{root.resolve()}",
        split=split,
        classes=classes,
        ids=ids,
        labels=index_labels({i: names[i] for i in ids if i in names}, classes),
        unlabelled={i: f"{root / 'labels.csv'}: has no line for {i}" for i in ids if i not in names},
        read=lambda i: read_photo(files.get(i, root / "images" / i)),
        file_name=lambda i: files[i].name,
    )


def masks(place: str, split: str, wanted: Sequence[str] | None) -> Masks | None:
    """The index masks of `masks/`, or None where there is no such folder."""
    root = Path(place)
    folder = root / "masks"
    if not folder.is_dir():
        return None
    own_split((), split, f"folder:{place}")
    files = {_composed(path.stem): path for path in folder.glob("*.png")}
    names = _label_table(root)
    known = _classes(root, names, wanted)
    used = set().union(*names.values())
    if used and used < set(known) and not (root / "classes.txt").is_file():
        raise BeyondcamError(
            f"{root / 'classes.txt'}: is needed, since labels.csv names {len(used)} of {len(known)} classes, "
            "and which the masks number is not clear"
        )
    classes = choose_classes(wanted, known)

    def read(image_id: str) -> Tensor:
        path = files.get(image_id, folder / f"{image_id}.png")
        return keep_classes(read_mask(path), classes, known, str(path))

    return Masks(classes, read)


def _files(root: Path) -> dict[str, Path]:
    folder = root / "images"
    if not folder.is_dir():
        raise BeyondcamError(f"{folder}: no such folder of images")
    files: dict[str, Path] = {}
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES):
        name = _composed(path.stem)
        if name in files:
            raise BeyondcamError(f"{path}: has the same name as {files[name].name}; rename one")
        files[name] = path
    return files


def _composed(name: str) -> str:
    """A name with its accents as most write them: some systems take files' apart (é is e and an accent)."""
    return unicodedata.normalize("NFC", name)


def _label_table(root: Path) -> dict[str, set[str]]:
    path = root / "labels.csv"
    try:
        reader = csv.DictReader(io.StringIO(read_text(path), newline=""))
        rows = [(reader.line_num, row) for row in reader]
    except FileNotFoundError:
        return {}
    except csv.Error as error:
        raise BeyondcamError(f"{path}: not readable as CSV ({error})") from None
    table: dict[str, set[str]] = {}
    for line, row in rows:
        image, labels = row.get("image"), row.get("labels")
        if image is None or labels is None or None in row:
            raise BeyondcamError(f"{path}, line {line}: write image,labels with labels joined by ;")
        image = _composed(image.strip())
        stem = image[: -len(Path(image).suffix)] if Path(image).suffix.lower() in SUFFIXES else image
        if stem in table:
            raise BeyondcamError(f"{path}, line {line}: {image} stands here twice")
        table[stem] = {name.strip() for name in labels.split(";") if name.strip()}
    return table


def _classes(root: Path, names: dict[str, set[str]], wanted: Sequence[str] | None) -> Sequence[str]:
    """The classes of `classes.txt`, else the label names in sorted order, else those asked for.

    Labels may also show some of the asked for only, as those of a few more photos for a trained classifier.
    """
    path = root / "classes.txt"
    used = sorted(set().union(*names.values()))
    if not path.is_file():
        if not used and not wanted:
            raise BeyondcamError(f"{root / 'labels.csv'}: names no class; its header is image,labels")
        if wanted and set(used) <= set(wanted):
            return sorted(set(wanted)) if used else wanted
        return used
    classes = [line.strip() for line in read_text(path).rstrip().splitlines()]
    for line, name in enumerate(classes, start=1):
        if not name or classes.index(name) < line - 1:
            raise BeyondcamError(
                f"{path}, line {line}: " + (f"{name} stands here twice" if name else "no class")
            )
    strays = sorted(set(used) - set(classes))
    if strays:
        raise BeyondcamError(f"{root / 'labels.csv'}: label {strays[0]!r} is not in classes.txt")
    return classes
