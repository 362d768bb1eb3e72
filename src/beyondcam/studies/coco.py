"""The table of PASCAL VOC on data in COCO's format: every map at its best, chosen on the training split."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from beyondcam.data import LabelledImages, Masks, digits
from beyondcam.data.coco import instances
from beyondcam.files import write_json, write_whole
from beyondcam.metrics import METRICS, Scores, Training
from beyondcam.seeds import encoded
from beyondcam.studies.bench import Bench, Subject
from beyondcam.studies.contest import CAMS, MAPS, Contest, menu
from beyondcam.studies.finding import Finding, Table, cell, signed


def coco(bench: Bench) -> Finding:
    """The RUN's table and those of the RUNs beside it; without any, of canvases through two readers."""
    if bench.run is None:
        return through_both_readers(bench)
    contests, words = {}, []
    for each in (bench, *bench.beside):
        subject = each.subject()
        name = f"{each.run}"
        contests[name] = own = contest(each, subject, each.opened(subject.run, each.training_split))
        words.append(f"{name}: {verdict(own)} (classifier: {subject.quality}). {rests_on(subject)}")
    return Finding(" ".join(words), tables(contests))


def through_both_readers(bench: Bench) -> Finding:
    """The canvases written as COCO has them, and as `digits` has them: of one classifier the same figures."""
    data = write_canvases(bench)
    subject = bench.trained("classifier", data=data)
    bench.notes |= {"classifier": subject.quality, "data of the classifier": "the canvases in COCO's format"}
    train = bench.opened(subject.run, bench.training_split)
    contests, compared = {}, []
    for name, val, chosen_on in (("coco", subject, train), ("digits", as_digits(subject), as_digits(train))):
        contests[name] = contest(bench, val, chosen_on)
        compared.append(figures(contests[name].scores))
    ours, theirs = compared
    same = sum(ours[key] == theirs.get(key) for key in ours)
    statement = (
        f"{len(subject.images.ids)} canvases of digits, read as COCO and as digits, agree in {same} of "
        f"{len(ours)} figures, intervals among them. {verdict(contests['coco'])} "
        f"(classifier: {subject.quality})."
    )
    return Finding(statement, tables(contests))


def contest(bench: Bench, subject: Subject, train: Subject) -> Contest:
    """Map both splits by everything on the menu; choose on one and score the other."""
    recipes = menu()
    found, on_train = bench.mapped(subject, recipes), bench.mapped(train, recipes)
    scores = bench.scored(subject, found, training=Training(train.images, train.masks))
    return Contest.of(bench.scored(train, on_train), scores)


def verdict(contest: Contest) -> str:
    """The best map that is no CAM against the best CAM."""
    best = max((base for base in MAPS if base not in CAMS), key=lambda base: contest.row(base)["miou"])
    return (
        f"{contest.chosen[best]} less {contest.chosen[contest.best_cam]}, each the best of its kind on the "
        f"scored images, is {signed(contest.lead(best))} mIoU on {contest.row(best)['images']} images"
    )


def rests_on(subject: Subject) -> str:
    """How many classes the scored images show, and how many of those rest on one image."""
    counts = Counter(c for i in subject.images.ids for c in subject.images.labels[i])
    words = f"The images show {len(counts)} of {len(subject.images.classes)} classes"
    alone = sum(count == 1 for count in counts.values())
    if not alone:
        return f"{words}."
    return (
        f"{words}, {alone} of them in one image alone: an interval over images says how much the figures "
        "hang on these images, and nothing about others of such a class."
    )


def tables(contests: Mapping[str, Contest]) -> list[Table]:
    """All side by side, then those of each."""
    head = ["map", *(f"{name}: {what}" for name in contests for what in ("mIoU", "less the best CAM"))]
    rows = []
    for base in MAPS:
        cells = [
            text
            for own in contests.values()
            for text in (cell(own.row(base)), "–" if base == own.best_cam else signed(own.lead(base)))
        ]
        rows.append([base, *cells])
    found = [Table("mIoU, each map refined as is best on train, τ from there", head, rows)]
    for name, own in contests.items():
        found += [replace(each, title=f"{name}. {each.title}") for each in (own.by_recipe(), own.leads())]
    return found


def figures(scores: Scores) -> dict[tuple[str, str, str], Any]:
    """Every figure of some scores, by recipe, rule and name."""
    return {
        (row["recipe"], row["threshold_rule"], name): value
        for row in scores.rows
        for name, value in (
            *((name, row[name]) for name in ("threshold", *METRICS)),
            *((f"{name} interval", row["ci"].get(name)) for name in METRICS),
            *row["iou"].items(),
        )
    }


def write_canvases(bench: Bench) -> str:
    """The canvases in COCO's format, in the study's folder; returns the data's name."""
    root = bench.folder.resolve() / "canvases"
    for split in (bench.training_split, "val"):
        file = root / f"instances_{split}.json"
        if not file.exists():
            write_coco(digits.images("", split, None), digits.masks("", split, None), root / split, file)
    return f"coco:{root}/{{split}}:{root}/instances_{{split}}.json"


def write_coco(images: LabelledImages, masks: Masks, folder: Path, file: Path) -> None:
    """Images as PNGs and their masks as an instances file, which comes last."""

    def labelled() -> Iterator[tuple[int, str, NDArray[np.uint8]]]:
        for i in images.ids:
            name, pixels = f"{number(i):012}.png", images.read(i).pixels.permute(1, 2, 0).numpy()
            write_whole(folder / name, encoded(Image.fromarray(pixels), "PNG"))
            yield number(i), name, masks.read(i).numpy()

    write_json(file, instances(labelled(), images.classes))


def as_digits(subject: Subject) -> Subject:
    """The same canvases as `digits` has them, under COCO's ids: draws depend on the id."""
    split = subject.images.split
    images, masks = digits.images("", split, None), digits.masks("", split, None)
    own = {str(number(i)): i for i in images.ids}
    renamed = replace(
        images,
        ids=subject.images.ids,
        labels={i: images.labels[own[i]] for i in subject.images.ids},
        read=lambda i: images.read(own[i]),
    )
    return replace(subject, images=renamed, masks=replace(masks, read=lambda i: masks.read(own[i])))


def number(image_id: str) -> int:
    """A canvas's number, which is its id in COCO's format."""
    return int(image_id.partition("-")[2])
