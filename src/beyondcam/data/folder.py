"""A folder of photos with a file of labels, `folder:PATH[:NEGATIVES]`, and perhaps `masks/`."""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from beyondcam.data.label_studio import uploads
from beyondcam.data.labels import label_files, read_label_file
from beyondcam.data.photo import SUFFIXES, UNREAD, read_photo
from beyondcam.data.rows import Row
from beyondcam.data.source import (
    MASK_FOLDERS,
    LabelledImages,
    choose_classes,
    index_labels,
    listed_name,
    place_of,
    split_folders,
    split_ids,
    without_negatives,
)
from beyondcam.data.table import read_classes
from beyondcam.errors import BeyondcamError
from beyondcam.files import path_below

WRITTEN = "written.json"
"""The file in a folder of masks that lists which were written there."""

HIDDEN = (".", "@eaDir")
"""What the names of folders begin with that programs keep for themselves, the latter for thumbnails."""


class Content(NamedTuple):
    """What a folder holds.

    Attributes
    ----------
    root : the folder.
    photos : the folder in which photos lie, where their names begin.
    files : id → photo; ids are names without their suffix, in subfolders with `/`.
    labels : id → names of classes, of the photos that are labelled.
    unlabelled : id → why a photo has no label.
    problems : id → what is wrong with the line that names it.
    known : all classes, in the order in which masks number them.
    form : what the file of labels was taken for, in words for people.

    """

    root: Path
    photos: Path
    files: Mapping[str, Path]
    labels: Mapping[str, frozenset[str]]
    unlabelled: Mapping[str, str]
    problems: Mapping[str, str]
    known: tuple[str, ...]
    form: str

    @property
    def ids(self) -> list[str]:
        """All photos, those among them that are only said to be there."""
        return sorted({*self.files, *self.labels, *self.problems})


def images(place: str, split: str, wanted: Sequence[str] | None, max_pixels: int) -> LabelledImages:
    """Images of a split (train, val or all). Photos that the file of labels leaves out are unlabelled.

    Without any such file all are, and the classes are the wanted ones.
    """
    path, negatives = place_of(place)
    data = f"folder:{path.resolve()}" + (f":{negatives}" if negatives else "")
    return labelled(read_folder(place, wanted), data, split, wanted, max_pixels)


def labelled(
    content: Content, data: str, split: str, wanted: Sequence[str] | None, max_pixels: int
) -> LabelledImages:
    """The images of a split of what a folder holds. Raises `BeyondcamError`."""
    files, labels, problems = content.files, content.labels, content.problems
    ids, classes = split_ids(content.ids, files, split, data), choose_classes(wanted, content.known)
    form = content.form
    if split == "all" and len(splits := split_folders(files)) > 1:
        form += f", {' and '.join(splits)} taken together, unless one is named (split)"

    def file_of(image_id: str) -> Path:
        if image_id in problems:
            raise BeyondcamError(problems[image_id])
        return files.get(image_id, content.photos / image_id)

    return LabelledImages(
        data=data,
        split=split,
        classes=classes,
        ids=ids,
        labels=index_labels({i: labels[i] for i in ids if i in labels}, classes),
        unlabelled={i: problems.get(i) or content.unlabelled[i] for i in ids if i not in labels},
        read=lambda i: read_photo(file_of(i), max_pixels=max_pixels),
        file_name=lambda i: file_of(i).relative_to(content.photos).as_posix(),
        path=file_of,
        form=form,
    )


def read_folder(place: str, wanted: Sequence[str] | None) -> Content:
    """The photos, labels and classes of `PATH[:NEGATIVES]`, a folder or the file of labels in it.

    Photos lie in `images/`, or without such a folder beside the file. Raises `BeyondcamError`.
    """
    path, negatives = place_of(place)
    if not path.exists():
        raise BeyondcamError(f"{path}: no such folder or file", parameter="data")
    root, tables = (path.parent, [path]) if path.is_file() else (path, label_files(path))
    photos = root / "images" if (root / "images").is_dir() else root
    files = files_by_name(photos, SUFFIXES, but=MASK_FOLDERS)
    if photos == root and not (tables and files):
        raise BeyondcamError(f"{root}: has no folder images/; say where it is", parameter="data")
    listed = read_classes(root / "classes.txt")
    given = [*(listed or wanted or ()), *([negatives] if negatives else ())]
    read = [read_label_file(table, root, given) for table in tables]
    table = tables[0] if tables else root / "labels.csv"
    names, problems = dict[str, frozenset[str]](), dict[str, str]()
    unlabelled = dict.fromkeys(files, f"{table}: has no line for it")
    for file, part in zip(tables, read, strict=True):
        found = _by_photo(file, photos, part.rows, files)
        names |= found[0]
        unlabelled |= found[1]
        problems |= found[2]
    labels = without_negatives(names, negatives, str(table))
    form = f"photos in {photos.name}/, {read[0].form}" if read else "photos without a file of labels"
    if negatives:
        form += f", {negatives} for those of none"
    if gone := sorted({*names, *problems} - files.keys()):
        form += f"; {len(gone)} of its photos are not there, such as {gone[0]}"
    form += left_alone(photos)
    if problems and not any(labels.values()):
        raise BeyondcamError(next(iter(problems.values())))
    classes = _classes(table, listed, sorted(frozenset().union(*labels.values())), wanted)
    return Content(root, photos, files, labels, unlabelled, problems, classes, form)


def composed(name: str) -> str:
    """A name with its accents composed; control characters and what cannot be written as UTF-8 are quoted.

    Some systems take é apart, into e and an accent.
    """
    quoted = re.sub("[\x00-\x1f\x7f\ud800-\udfff]", lambda c: f"%{ord(c[0]) & 0xFF:02X}", name)
    return unicodedata.normalize("NFC", quoted)


def bare_name(name: str) -> str:
    """The name of a photo without its suffix."""
    suffix = Path(name).suffix
    return name.removesuffix(suffix) if suffix.lower() in SUFFIXES else name


def files_by_name(folder: Path, suffixes: Sequence[str], but: Collection[str] = ()) -> dict[str, Path]:
    """Name without its suffix, in a subfolder with `/` → file, of all with such a suffix in a folder.

    Subfolders called as in `but`, in whatever case, are passed over. Raises `BeyondcamError` where two files
    have the same name.
    """
    files: dict[str, Path] = {}
    for path in files_below(folder, suffixes):
        key = composed(path.relative_to(folder).with_suffix("").as_posix())
        if not {part.lower() for part in key.split("/")[:-1]}.isdisjoint(but):
            continue
        if key in files:
            raise BeyondcamError(f"{path}: has the same name as {files[key].name}; rename one")
        files[key] = path
    return files


def files_below(folder: Path, suffixes: Sequence[str]) -> Iterator[Path]:
    """The files with such a suffix in a folder and its subfolders, in order, but for hidden ones.

    Subfolders that masks were written to are passed over: overlays are no photos.
    Links to folders are followed, but for those that lead back to where they lie. Raises `BeyondcamError`
    where a folder cannot be looked into.
    """

    def refuse(error: OSError) -> None:
        if folder.exists():
            raise BeyondcamError(f"{error.filename}: could not be read ({error.strerror})") from error

    def leads_back(path: Path) -> bool:
        return path.is_symlink() and path.resolve() in {parent.resolve() for parent in path.parents}

    for parent, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        inside = sorted(name for name in folders if not name.startswith(HIDDEN))
        paths = {name: Path(parent, name) for name in inside}
        folders[:] = [n for n, path in paths.items() if not (leads_back(path) or (path / WRITTEN).exists())]
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in suffixes:
                yield Path(parent, name)


def left_alone(folder: Path) -> str:
    """What is said of the photos in a folder that are not read; empty where there are none."""
    counts = Counter(path.suffix.lower() for path in files_below(folder, UNREAD))
    some = ", ".join(f"{count} {suffix}" for suffix, count in sorted(counts.items()))
    return f"; {some} not read (save them as JPEG)" if some else ""


def _by_photo(
    path: Path, folder: Path, rows: Sequence[Row], files: dict[str, Path]
) -> tuple[dict[str, frozenset[str]], dict[str, str], dict[str, str]]:
    """Id → names of classes; id → why there are none; id → what is wrong with the row that names it.

    Photos whose suffix is not among those that are looked for are added to `files`.
    """
    labels: dict[str, frozenset[str]] = {}
    unlabelled: dict[str, str] = {}
    problems: dict[str, str] = {}
    seen: dict[str, Row] = {}
    names = [listed_name(folder, composed(row.photo)) for row in rows]
    for row, name, found in zip(rows, names, _ids_of(names, tuple(files)), strict=True):
        image_id = found
        try:
            if image_id not in files and (own := path_below(folder, name)).is_file():
                files[name], image_id = own, name
        except BeyondcamError as error:
            whole = re.match("/|[A-Za-z]:", name) and ".." not in name.split("/")  # of another machine
            nowhere = f"there is no such photo below {folder}"
            problems[image_id] = f"{path}, {row.where}: {nowhere if whole else error}"
            continue
        if row.problem:
            unlabelled[image_id] = f"{path}, {row.where}: {row.problem}"
            continue
        first = seen.setdefault(image_id, row)
        alike = first.photo == row.photo
        if not (alike and (first.labels == row.labels or len(first.labels) == len(row.labels) == 1)):
            raise BeyondcamError(f"{path}, {row.where}: {row.photo} stands here twice")
        labels[image_id] = labels.get(image_id, frozenset()) | row.labels
    return labels, unlabelled, problems


def _ids_of(names: Sequence[str], there: Sequence[str]) -> list[str]:
    """The photos that a file of labels names, whether they are `there` or not.

    Of two names of one photo the one with less in front is meant; and where a folder of a name is there, its
    photo is looked for in no other.
    """
    by_case = {name.casefold(): name for name in there} | {name: name for name in there}
    bare = dict[str, str]()  # name without folder → id, where one photo alone is called so
    for name in there:
        last = name.rpartition("/")[2]
        bare[last] = name if last not in bare else ""
    uploaded = uploads((name.rpartition("/")[2], name) for name in by_case.values())
    found = [_id_of(name, by_case, uploaded) for name in names]
    least: dict[str, int] = {}  # id → length of what stands in front of it
    for image_id, front in found:
        least[image_id] = min(least.get(image_id, len(front)), len(front))
    folders = {name.partition("/")[0] for name in there if "/" in name}

    def chosen(name: str, image_id: str, front: str) -> str:
        meant = len(front) == least[image_id] and front.partition("/")[0] not in folders
        return image_id if meant else bare_name(name)

    ids = (chosen(name, *own) for name, own in zip(names, found, strict=True))
    return [bare.get(i) or i for i in ids]


def _id_of(name: str, by_case: Mapping[str, str], uploaded: Callable[[str], str | None]) -> tuple[str, str]:
    """The photo that a file of labels names: by its path, or the end of one, as on another machine.

    `by_case` gives the ids there are by their names, as they are and in lower case. What stood in front of
    the end is returned too.
    """
    whole = bare_name(name)
    parts = whole.split("/")
    ends = [] if ".." in parts else ["/".join(parts[n:]) for n in range(len(parts))]
    for end in ends:
        image_id = by_case.get(end, by_case.get(end.casefold()))
        if image_id is not None:
            return image_id, whole.removesuffix(end)
    return next(filter(None, map(uploaded, ends[-1:])), whole), ""


def _classes(
    table: Path, listed: Sequence[str], used: Sequence[str], wanted: Sequence[str] | None
) -> tuple[str, ...]:
    """The classes of `classes.txt`, else the label names in sorted order, else those asked for.

    Labels may also show only some of those asked for, as those of a few more photos for a trained classifier.
    """
    if strays := sorted(set(used) - set(listed)) if listed else []:
        raise BeyondcamError(f"{table}: label {strays[0]!r} is not in classes.txt")
    if listed:
        return tuple(listed)
    if not used and not wanted:
        there = (
            "names no class; say of some photos what is on them, or write imagefolder:PATH where folders do"
        )
        problem = there if table.exists() else "not there; its header is image,labels"
        raise BeyondcamError(f"{table}: {problem}")
    if wanted and set(used) <= set(wanted):
        return tuple(sorted(set(wanted)) if used else wanted)
    return tuple(used)
