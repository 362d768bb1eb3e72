"""The comparison made on PASCAL VOC, on data in COCO's format: every map with its best refinement."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from beyondcam.data import LabelledImages, open_images
from beyondcam.data.coco import instances
from beyondcam.data.masks import Masks, open_masks
from beyondcam.files import write_json, write_whole
from beyondcam.label_images import encoded
from beyondcam.metrics import Scores, ThresholdSplit
from beyondcam.metrics.text import cell, signed
from beyondcam.studies.finding import Finding, Table
from beyondcam.studies.selection import REFINEMENTS, SALIENCIES, UNREFINED, Selection, candidate_recipes
from beyondcam.studies.workspace import Setup, Workspace


@dataclass(frozen=True)
class CocoSettings:
    """The refinements that each map is tried with."""

    refinements: Sequence[str] = REFINEMENTS


def study_coco(workspace: Workspace, settings: CocoSettings = CocoSettings()) -> Finding:
    """Compare maps on each RUN; without a RUN, on canvases of digits read through two data sources."""
    if workspace.run is None:
        return compare_readers(workspace, settings)
    selections, sentences = {}, []
    for each in (workspace, *workspace.others):
        setup = each.main_setup()
        train = each.open_setup(setup.run, each.training_split)
        selections[f"{each.run}"] = selection = select(each, setup, train, settings)
        classifier = f"(classifier: {setup.quality})"
        sentences.append(f"{each.run}: {verdict(selection)} {classifier}. {class_counts(setup)}")
    return Finding(" ".join(sentences), selection_tables(selections))


def compare_readers(workspace: Workspace, settings: CocoSettings) -> Finding:
    """Read the same canvases as COCO and as `digits`: the figures of a classifier should not differ."""
    data = write_canvases(workspace)
    setup = workspace.train_setup("classifier", data=data)
    workspace.notes |= {"classifier": setup.quality, "data of the classifier": "canvases in COCO's format"}
    train = workspace.open_setup(setup.run, workspace.training_split)
    selections = {
        "coco": select(workspace, setup, train, settings),
        "digits": select(workspace, as_digits(setup), as_digits(train), settings),
    }
    ours, theirs = (figures(selection.scores) for selection in selections.values())
    same = sum(ours[key] == theirs.get(key) for key in ours)
    statement = (
        f"{len(setup.images.ids)} canvases of digits, read as COCO and as digits, agree in {same} of "
        f"{len(ours)} figures, including intervals. {verdict(selections['coco'])} "
        f"(classifier: {setup.quality})."
    )
    return Finding(statement, selection_tables(selections))


def select(workspace: Workspace, setup: Setup, train: Setup, settings: CocoSettings) -> Selection:
    """Map both splits with all candidates; choose refinements on `train`, score them on the other."""
    recipes = candidate_recipes(settings.refinements)
    evidence, on_train = workspace.map_images(setup, recipes), workspace.map_images(train, recipes)
    scores = workspace.score(setup, evidence, threshold_split=ThresholdSplit(train.images, train.masks))
    return Selection.choose(workspace.score(train, on_train), scores, settings.refinements)


def verdict(selection: Selection) -> str:
    """The best saliency map against the best CAM."""
    best = max(SALIENCIES, key=lambda name: selection.row(name).miou)
    return (
        f"mIoU of {selection.chosen[best]} minus that of {selection.chosen[selection.best_cam]}, each the "
        f"best of its kind on the scored images, is {signed(selection.difference(best))} on "
        f"{selection.row(best).images} images"
    )


def class_counts(setup: Setup) -> str:
    """How many classes the scored images show, and how many of these are shown by a single image."""
    counts = Counter(c for i in setup.images.ids for c in setup.images.labels[i])
    text = f"The images show {len(counts)} of {len(setup.images.classes)} classes"
    single = sum(count == 1 for count in counts.values())
    if not single:
        return f"{text}."
    return (
        f"{text}, {single} of them in a single image: the intervals do not tell how other images of such a "
        "class would score."
    )


def selection_tables(selections: Mapping[str, Selection]) -> list[Table]:
    """One table of all selections side by side, then the tables of each."""
    columns = (f"{name}: {column}" for name in selections for column in ("mIoU", "minus the best CAM"))
    rows = []
    for recipe in UNREFINED:
        row = [recipe]
        for each in selections.values():
            change = "–" if recipe == each.best_cam else signed(each.difference(recipe))
            row += [cell(each.row(recipe)), change]
        rows.append(row)
    tables = [Table("mIoU, refinement and τ of each map chosen on train", ["map", *columns], rows)]
    for name, each in selections.items():
        own_tables = (each.score_table(), each.difference_table())
        tables += [replace(table, title=f"{name}. {table.title}") for table in own_tables]
    return tables


def figures(scores: Scores) -> dict[tuple[str, str, str], Any]:
    """Every figure of some scores, by recipe, rule and name."""
    named: dict[tuple[str, str, str], Any] = {}
    for row in scores.rows:
        intervals = {f"{metric} interval": row.ci.get(metric) for metric in row.metrics}
        values = {"threshold": row.threshold, **row.metrics, **intervals, **row.iou}
        named |= {(row.recipe, row.threshold_rule, name): value for name, value in values.items()}
    return named


def write_canvases(workspace: Workspace) -> str:
    """Write the canvases in COCO's format to the study's folder; return their data specification."""
    root = workspace.folder.resolve() / "canvases"
    for split in (workspace.training_split, "val"):
        file = root / f"instances_{split}.json"
        if not file.exists():
            write_coco(*read_digits(split), root / split, file)
    return f"coco:{root}/{{split}}:{root}/instances_{{split}}.json"


def write_coco(images: LabelledImages, masks: Masks, folder: Path, file: Path) -> None:
    """Write images as PNGs and their masks as an instances file; the file is written last."""

    def labelled() -> Iterator[tuple[int, str, NDArray[np.uint8]]]:
        for i in images.ids:
            name, pixels = f"{canvas_number(i):012}.png", images.read(i).pixels.permute(1, 2, 0).numpy()
            write_whole(folder / name, encoded(Image.fromarray(pixels), "PNG"))
            yield canvas_number(i), name, masks.read(i).numpy()

    write_json(file, instances(labelled(), images.classes))


def as_digits(setup: Setup) -> Setup:
    """The same canvases read as `digits`, under COCO's ids, since random draws depend on the id."""
    images, masks = read_digits(setup.images.split)
    by_number = {str(canvas_number(i)): i for i in images.ids}
    renamed = replace(
        images,
        ids=setup.images.ids,
        labels={i: images.labels[by_number[i]] for i in setup.images.ids},
        read=lambda i: images.read(by_number[i]),
    )
    return replace(setup, images=renamed, masks=replace(masks, read=lambda i: masks.read(by_number[i])))


def read_digits(split: str) -> tuple[LabelledImages, Masks]:
    """The canvases of a split, and their masks."""
    masks = open_masks("digits", split)
    assert masks is not None
    return open_images("digits", split), masks


def canvas_number(image_id: str) -> int:
    """The number of a canvas, which is its id in COCO's format."""
    return int(image_id.partition("-")[2])
