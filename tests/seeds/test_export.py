"""Seeds and evidence as files for other programs."""

import json
import re
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from shelves import evidence_of, shelf_of

import beyondcam as bc
from beyondcam.cli.options import classes_of_keys
from beyondcam.evidence import import_irn, irn_bytes, open_shelf, read_irn, write_evidence
from beyondcam.seeds import write_coco, write_npy, write_seeds
from conftest import make_folder, shelf_for


def test_coco_file_read_back_gives_the_seeds(discs: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    levels = {f"p{n:02d}": rng.integers(0, 256, (48, 48)) for n in (1, 2)}
    shelf, images = shelf_of(discs, tmp_path / "run", levels)
    seeds = tmp_path / "seeds"
    written = write_seeds(images, shelf, 0.25, seeds)
    path = write_coco(images, written.left_out, seeds)
    told = [(image["id"], image["file_name"]) for image in json.loads(path.read_text())["images"]]
    assert [name for _, name in told] == ["p01.png", "p02.png"]
    spec = f"coco:{tmp_path / 'discs' / 'images'}:{path}"
    again, masks = bc.open_images(spec, "all"), bc.open_masks(spec, "all")
    assert masks is not None
    assert again.classes == images.classes
    for number, i in ((str(number), name.removesuffix(".png")) for number, name in told):
        assert np.array_equal(masks.read(number), np.asarray(Image.open(seeds / "masks" / f"{i}.png")))
        assert torch.equal(again.read(number).pixels, images.read(i).pixels)


def test_coco_files_of_several_splits_can_be_put_together(tmp_path: Path) -> None:
    """Ids of images and annotations are the same whatever else is in the split, and no two are the same."""
    discs = f"folder:{make_folder(tmp_path / 'discs')}"
    levels = {f"p{n:02d}": np.full((48, 48), 200) for n in range(24)}
    _, images = shelf_of(discs, tmp_path / "run", {})
    content = {}
    for split in ("train", "val", "all"):
        shelf = shelf_for(tmp_path / "run", bc.open_images(discs, split), "own", recipe="cam")
        own = bc.open_images(discs, split)
        for i in own.ids:
            if own.labels[i] == {0}:
                write_evidence(shelf, i, evidence_of(levels[i][None], (0,)))
        seeds = tmp_path / split
        path = write_coco(own, write_seeds(own, shelf, 0.25, seeds).left_out, seeds)
        content[split] = json.loads(path.read_text())
    together = {key: content["train"][key] + content["val"][key] for key in ("images", "annotations")}
    for key, entries in together.items():
        ids = [entry["id"] for entry in entries]
        assert ids
        assert len(set(ids)) == len(ids)
        assert max(ids) < 2**53  # beyond which JSON's numbers are not exact
        assert sorted(ids) == sorted(entry["id"] for entry in content["all"][key])
    (tmp_path / "both.json").write_text(json.dumps(together | {"categories": content["all"]["categories"]}))
    both = bc.open_images(
        f"coco:{Path(discs.removeprefix('folder:')) / 'images'}:{tmp_path / 'both.json'}", "all"
    )
    named = {both.file_name(i).removesuffix(".png"): i for i in both.ids}
    assert {i: both.labels[named[i]] for i in named} == {i: images.labels[i] for i in named}


def test_npy_files_hold_what_irn_expects(discs: str, tmp_path: Path) -> None:
    levels = np.random.default_rng(2).integers(0, 256, (48, 48))
    shelf, images = shelf_of(discs, tmp_path / "run", {"p01": levels})
    write_npy(images, ["green", *images.classes], shelf, set(images.ids) - {"p01"}, tmp_path)
    assert [path.name for path in (tmp_path / "npy").iterdir()] == ["p01.npy"]
    content = np.load(tmp_path / "npy" / "p01.npy", allow_pickle=True).item()  # as IRN's code reads it
    assert content["keys"].tolist() == [1]  # as the data's own classes count, not the RUN's
    assert content["cam"].numpy().shape == (1, 12, 12)  # a tensor, as step/make_sem_seg_labels.py takes it
    np.testing.assert_allclose(content["high_res"][0], (levels / 255) ** 2, rtol=1e-5)
    again = read_irn(tmp_path / "npy" / "p01.npy", (48, 48), {1: 0})
    assert np.array_equal(again.levels, np.rint(levels / levels.max() * 255)[None])
    named = re.findall(rb"c(\w[\w.]*)\n", (tmp_path / "npy" / "p01.npy").read_bytes())
    assert b"numpy.core.multiarray" in named  # NumPy of IRN's time knows no numpy._core
    assert not any(b"_core" in name for name in named)


def test_what_is_written_is_taken_up_again_where_few_classes_are_kept(discs: str, tmp_path: Path) -> None:
    _, every = shelf_of(discs, tmp_path / "run", {})
    images = bc.open_images(discs, "all", ["red"])
    shelves = [
        open_shelf(
            tmp_path / "run", images, targets="labels", precision="float32", name=name, recipe=recipe, seed=0
        )
        for name, recipe in (("own", "own"), ("again", "again, read from .npy files"))
    ]
    write_evidence(shelves[0], "p00", evidence_of(np.arange(48**2).reshape(1, 48, 48) % 256, (0,)))
    others = {*images.ids} - {"p00"}
    write_npy(images, every.classes, shelves[0], others, tmp_path)
    assert import_irn(tmp_path / "run", images, every.classes, tmp_path / "npy", "again").keys() == others
    own, again = (shelf.read("p00") for shelf in shelves)
    assert own.targets == again.targets == (0,)
    assert np.array_equal(own.levels, again.levels)


def test_keys_count_the_classes_of_the_data_where_it_knows_them_all(discs: str, tmp_path: Path) -> None:
    assert classes_of_keys(bc.open_images(discs, "all", ["red"])) == ("blue", "red")
    (tmp_path / "discs" / "labels.csv").write_text("image,labels\np01.png,blue\n")  # of a RUN that knows more
    assert classes_of_keys(bc.open_images(discs, "all", ["red", "blue"])) == ("red", "blue")
    (tmp_path / "discs" / "labels.csv").unlink()
    assert classes_of_keys(bc.open_images(discs, "all", ["red", "blue"])) == ("red", "blue")


def test_an_image_of_no_class_has_a_file_of_no_maps(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(irn_bytes(evidence_of(np.zeros((0, 6, 9)), ()), [0]))
    content = np.load(tmp_path / "a.npy", allow_pickle=True).item()
    assert (content["cam"].shape, content["high_res"].shape) == ((0, 2, 3), (0, 6, 9))
    assert read_irn(tmp_path / "a.npy", (6, 9), {0: 0}).levels.shape == (0, 6, 9)
