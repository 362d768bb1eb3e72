"""The study of data in COCO's format."""

import shutil
from dataclasses import replace
from pathlib import Path

import torch

from beyondcam.classifier import read_config
from beyondcam.data import open_images
from beyondcam.data.masks import open_masks
from beyondcam.studies import Workspace
from beyondcam.studies.coco import class_counts, write_canvases
from beyondcam.studies.selection import candidate_recipes
from beyondcam.studies.workspace import mapping_cost
from studies.conftest import SMALL, TINY, Studied


def test_canvases_written_as_coco_are_read_as_the_same_photos_masks_and_labels(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, TINY, None, lambda _: None)
    data = write_canvases(workspace)
    for split in ("val", workspace.training_split):
        images, masks = open_images(data, split), open_masks(data, split)
        expected, truth = open_images("digits", split), open_masks("digits", split)
        assert len(images.ids) == len(expected.ids) == {"val": 200}.get(split, TINY.train)
        assert images.classes == expected.classes
        for i, digits_id in zip(images.ids, expected.ids, strict=True):
            assert images.labels[i] == expected.labels[digits_id]
            assert torch.equal(images.read(i).pixels, expected.read(digits_id).pixels)
            assert torch.equal(masks.read(i), truth.read(digits_id))


def test_without_a_run_coco_agrees_with_digits_in_every_figure(tmp_path: Path, studied: Studied) -> None:
    study = studied("coco", None, budget=replace(TINY, images=3), refinements=("",))
    (config, _) = read_config(tmp_path / "classifier")
    assert config.data.startswith("coco:")
    figures = 3 * 8 * (1 + 4 + 4 + 11)  # three rules, 8 maps; τ, metrics, their intervals, IoU by class
    assert f"agree in {figures} of {figures} figures" in study["statement"]
    assert "images seen in training" not in study["facts"]  # ids start anew in each file
    side_by_side, coco, _, digits, _ = study["tables"]
    assert coco["rows"] == digits["rows"]
    assert [row[1:3] for row in side_by_side["rows"]] == [row[3:] for row in side_by_side["rows"]]


def test_several_runs_are_compared(tmp_path: Path, run: Path, studied: Studied) -> None:
    other = tmp_path / "other"
    shutil.copytree(run, other)
    study = studied("coco", run, (other,))
    assert len(study["tables"]) == 1 + 2 * 2
    assert study["statement"].count(" images (classifier: ") == 2
    assert f"{other}: classifier" in study["facts"]
    workspace = Workspace(tmp_path / "alone", TINY, run, lambda _: None)
    setup = workspace.main_setup()
    splits = setup, workspace.open_setup(setup.run, workspace.training_split)
    recipes = candidate_recipes(SMALL["coco"]["refinements"]).values()
    each = sum(mapping_cost(split, recipes).forward for split in splits)
    assert study["facts"]["passes"].startswith(f"{2 * each:,} forward")


def test_classes_shown_by_a_single_image_are_counted(workspace: Workspace) -> None:
    setup = workspace.main_setup()
    labels = {"a": frozenset({0, 1}), "b": frozenset({0}), "c": frozenset({0, 1})}
    setup = replace(setup, images=replace(setup.images, labels=labels))
    assert "show 2 of 2 classes, 1 of them in a single image" in class_counts(setup.on_images("ab"))
    assert class_counts(setup.on_images("ac")) == "The images show 2 of 2 classes."
