"""Each protocol against a plain version of its definition, on files as the field's programs write them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import beyondcam as bc
from beyondcam.data.masks import Masks
from beyondcam.metrics import evaluate, sample_weights
from conftest import Command, complaint, make_folder, one_line

VOID = 255
CLASSES = ("cat", "dog", "cow", "emu")
SIZE = (11, 8)
IDS = ("a", "b", "c")

Labels = Mapping[str, np.ndarray]


@pytest.fixture
def truth() -> dict[str, np.ndarray]:
    """Masks with void, in which no emu is."""
    rng = np.random.default_rng(0)
    return {
        i: rng.choice([0, 1, 2, 3, VOID], SIZE, p=[0.4, 0.2, 0.2, 0.1, 0.1]).astype(np.uint8) for i in IDS
    }


def masks_of(truth: Labels, classes: Sequence[str] = CLASSES) -> Masks:
    return Masks(tuple(classes), lambda i: torch.from_numpy(truth[i]))


def guesses(truth: Labels, seed: int = 1) -> dict[str, np.ndarray]:
    """The truth with a third of its pixels, and all void ones, drawn anew; b is taken for an emu's."""
    rng = np.random.default_rng(seed)
    drawn = {}
    for i, mask in truth.items():
        anew = (rng.random(SIZE) < 1 / 3) | (mask == VOID)
        drawn[i] = np.where(anew, rng.integers(0, 5 if i == "b" else 4, SIZE), mask).astype(np.uint8)
    return drawn


def confusion(truth: np.ndarray, labels: np.ndarray, size: int = 5) -> np.ndarray:
    """Pixels by true and predicted label, one at a time."""
    counts = np.zeros((size, size))
    for own, label in zip(truth.ravel(), labels.ravel(), strict=True):
        if own != VOID:
            counts[own, label] += 1
    return counts


def ious(counts: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return np.diag(counts) / (counts.sum(0) + counts.sum(1) - np.diag(counts))


def save_png(folder: Path, labels: Labels) -> None:
    folder.mkdir()
    for i, values in labels.items():
        Image.fromarray(values).save(folder / f"{i}.png")


def save_npy(folder: Path, content: Mapping[str, object]) -> None:
    folder.mkdir()
    for i, values in content.items():
        np.save(folder / f"{i}.npy", values, allow_pickle=True)


def maps_of(truth: Labels) -> dict[str, dict[int, np.ndarray]]:
    """Maps of the classes of each image, float32 with two digits, so that some are equal to a threshold."""
    rng = np.random.default_rng(2)
    maps = {}
    for i, mask in truth.items():
        numbers = [int(n) for n in np.unique(mask) if 0 < n < VOID]
        maps[i] = {
            n - 1: (0.5 * (mask == n) + 0.5 * rng.random(SIZE)).round(2).astype(np.float32) for n in numbers
        }
    return maps


def test_voc_is_one_confusion_matrix_of_what_is_not_void(tmp_path: Path, truth: Labels) -> None:
    labels = guesses(truth)
    save_png(tmp_path / "masks", labels)
    found = evaluate(tmp_path / "masks", IDS, masks_of(truth))
    expected = ious(sum(confusion(truth[i], labels[i]) for i in IDS))
    assert list(found.iou.values()) == pytest.approx(list(expected))
    assert found.miou == pytest.approx(expected.mean())
    assert expected[4] == 0  # the emu that is not there
    assert (found.threshold, found.sweep, found.images, found.left_out) == (None, {}, 3, {})
    low, high = found.interval
    assert low < found.miou < high


def test_irn_pads_maps_with_a_background_of_0_15_and_leaves_out_what_is_nowhere(
    tmp_path: Path, truth: Labels
) -> None:
    maps = maps_of(truth)
    save_npy(
        tmp_path / "cams",
        {
            i: {"keys": np.array(list(m)), "high_res": np.stack(list(m.values())), "cam": np.zeros((1, 2, 2))}
            for i, m in maps.items()
        },
    )
    counts = np.zeros((5, 5))
    for i, m in maps.items():
        padded = np.pad(np.stack(list(m.values())), ((1, 0), (0, 0), (0, 0)), constant_values=0.15)
        keys = np.array([0, *(key + 1 for key in m)])
        counts += confusion(truth[i], keys[padded.argmax(0)])
    found = evaluate(tmp_path / "cams", IDS, masks_of(truth), "irn")
    assert found.miou == pytest.approx(np.nanmean(ious(counts)))
    assert found.iou["emu"] is None
    assert (found.threshold, found.sweep) == (0.15, {})


def test_maps_of_clip_es_are_read_by_their_name(tmp_path: Path, truth: Labels) -> None:
    maps = maps_of(truth)
    arrays = {i: (np.array(list(m)), np.stack(list(m.values())).astype(np.float16)) for i, m in maps.items()}
    for name in ("attn_highres", "high_res"):
        save_npy(tmp_path / name, {i: {"keys": keys, name: m} for i, (keys, m) in arrays.items()})
    clip_es, irn = (evaluate(tmp_path / n, IDS, masks_of(truth), "irn") for n in ("attn_highres", "high_res"))
    assert clip_es == irn


def test_a_threshold_turns_maps_into_labels_under_any_protocol(tmp_path: Path, truth: Labels) -> None:
    maps = maps_of(truth)
    arrays = {i: {"keys": np.array(list(m)), "cam": np.stack(list(m.values()))} for i, m in maps.items()}
    save_npy(tmp_path / "cams", arrays)  # without `high_res`
    save_png(tmp_path / "masks", {
        i: np.where(a["cam"].max(0) > 0.3, a["keys"][a["cam"].argmax(0)] + 1, 0).astype(np.uint8)
        for i, a in arrays.items()
    })  # fmt: skip
    for protocol in ("voc", "per-image"):
        found = evaluate(tmp_path / "cams", IDS, masks_of(truth), protocol, threshold=0.3)
        expected = evaluate(tmp_path / "masks", IDS, masks_of(truth), protocol)
        assert (found.miou, found.iou, found.threshold) == (expected.miou, expected.iou, 0.3)


def test_a_key_of_no_class_is_refused(tmp_path: Path, truth: Labels) -> None:
    """As in SEAM's files after a CRF, where 0 is background; passed over, wrong maps would score as right."""
    one = np.ones(SIZE, np.float32)
    for number in (len(CLASSES), -1):
        folder = tmp_path / str(number)
        save_npy(folder, {i: {0: one, number: one} for i in IDS})
        complaint(
            lambda f=folder: evaluate(f, IDS, masks_of(truth), "irn"), ".npy", f"key {number}", "no class"
        )


def test_a_photo_without_any_map_is_background(tmp_path: Path, truth: Labels) -> None:
    """As IRN writes it; SEAM's kind of file, with nothing in it, is taken likewise."""
    save_npy(tmp_path / "seam", {i: {} for i in IDS})
    save_npy(tmp_path / "irn", {i: {"keys": np.zeros(0, int), "cam": np.zeros((0, *SIZE))} for i in IDS})
    expected = np.nanmean(ious(sum(confusion(mask, 0 * mask) for mask in truth.values())))
    for name in ("seam", "irn"):
        found = evaluate(tmp_path / name, IDS, masks_of(truth), "irn")
        assert (found.images, found.left_out) == (3, {})
        assert found.miou == pytest.approx(expected)


def test_seam_takes_the_best_of_60_backgrounds_and_counts_what_is_nowhere_as_0(
    tmp_path: Path, truth: Labels
) -> None:
    maps = maps_of(truth)
    save_npy(tmp_path / "cams", maps)
    mious = []
    for n in range(60):
        counts = np.zeros((5, 5))
        for i, m in maps.items():
            tensor = np.zeros((5, *SIZE), np.float32)
            for key, values in m.items():
                tensor[key + 1] = values
            tensor[0] = n / 100
            counts += confusion(truth[i], tensor.argmax(0))
        union = counts.sum(0) + counts.sum(1) - np.diag(counts)
        mious.append((np.diag(counts) / (union + 1e-10)).mean())
    found = evaluate(tmp_path / "cams", IDS, masks_of(truth), "seam")
    assert list(found.sweep) == [n / 100 for n in range(60)]
    assert list(found.sweep.values()) == pytest.approx(mious)
    assert found.miou == pytest.approx(max(mious))
    assert found.threshold == np.argmax(mious) / 100
    fixed = evaluate(tmp_path / "cams", IDS, masks_of(truth), "seam", threshold=0.3)
    assert (fixed.miou, fixed.threshold) == (pytest.approx(mious[30]), 0.3)


def test_per_image_is_a_mean_of_means(tmp_path: Path, truth: Labels) -> None:
    labels = guesses(truth)
    save_png(tmp_path / "masks", labels)
    found = evaluate(tmp_path / "masks", IDS, masks_of(truth), "per-image")
    expected = np.mean([np.nanmean(ious(confusion(truth[i], labels[i]))) for i in IDS])
    assert found.miou == pytest.approx(expected)
    assert abs(expected - evaluate(tmp_path / "masks", IDS, masks_of(truth)).miou) > 0.01


def test_the_interval_of_per_image_is_of_means_of_resampled_images(tmp_path: Path, truth: Labels) -> None:
    labels = guesses(truth)
    save_png(tmp_path / "masks", labels)
    each = [np.nanmean(ious(confusion(truth[i], labels[i]))) for i in IDS]
    means = sample_weights(len(IDS))[1:] @ each / len(IDS)
    found = evaluate(tmp_path / "masks", IDS, masks_of(truth), "per-image")
    assert found.interval == pytest.approx(tuple(np.quantile(means, (0.025, 0.975))))


def test_per_image_leaves_out_an_image_that_is_void_throughout(tmp_path: Path, truth: Labels) -> None:
    save_png(tmp_path / "masks", guesses(truth))
    void = {**truth, "c": np.full(SIZE, VOID, np.uint8)}
    with_void = evaluate(tmp_path / "masks", IDS, masks_of(void), "per-image")
    assert with_void.miou == pytest.approx(
        evaluate(tmp_path / "masks", IDS[:2], masks_of(truth), "per-image").miou
    )


@pytest.mark.parametrize("protocol", ["voc", "per-image"])
def test_what_is_void_throughout_has_no_part_in_resamples(
    tmp_path: Path, truth: Labels, protocol: str
) -> None:
    """Of a perfect image and one of void, each resample that draws the first has a mean IoU of 1."""
    void = {**truth, "b": np.full(SIZE, VOID, np.uint8)}
    save_png(tmp_path / "masks", {i: mask % VOID for i, mask in truth.items()})
    found = evaluate(tmp_path / "masks", ["a", "b"], masks_of(void), protocol)
    assert (found.miou, found.interval) == (1, (1, 1))
    complaint(lambda: evaluate(tmp_path / "masks", ["b"], masks_of(void), protocol), "all void")


def test_masks_arrays_of_labels_and_probabilities_of_the_same_labels_score_the_same(
    tmp_path: Path, truth: Labels
) -> None:
    labels = guesses(truth)
    save_png(tmp_path / "masks", labels)
    save_npy(tmp_path / "labels", {i: values.astype(np.int64) for i, values in labels.items()})
    save_npy(tmp_path / "turned", {i: np.asfortranarray(v.astype(">i2")) for i, v in labels.items()})
    one_hot = {i: 0.2 + 0.6 * (np.arange(5)[:, None, None] == v) for i, v in labels.items()}
    save_npy(tmp_path / "probabilities", one_hot)
    of_masks, *others = (
        evaluate(tmp_path / name, IDS, masks_of(truth))
        for name in ("masks", "labels", "turned", "probabilities")
    )
    assert all(other == of_masks for other in others)


def test_maps_of_all_classes_are_scored_as_those_of_the_classes_there(tmp_path: Path, truth: Labels) -> None:
    maps = maps_of(truth)
    save_npy(tmp_path / "cams", maps)
    whole = {i: np.stack([m.get(k, np.zeros(SIZE)) for k in range(4)]) for i, m in maps.items()}
    save_npy(tmp_path / "whole", whole)
    some, every = (evaluate(tmp_path / name, IDS, masks_of(truth), "seam") for name in ("cams", "whole"))
    assert some == every


def test_files_may_number_more_classes_than_are_scored(tmp_path: Path, truth: Labels) -> None:
    """Files have cow third of four; what is scored is cow alone."""
    only = {i: np.where(m == 3, 1, np.where(m == VOID, VOID, 0)).astype(np.uint8) for i, m in truth.items()}
    cows = {i: np.where(m == 3, 3, 0).astype(np.uint8) for i, m in truth.items()}
    save_png(tmp_path / "masks", cows)
    assert evaluate(tmp_path / "masks", IDS, masks_of(only, ["cow"]), known=CLASSES).miou == 1
    save_npy(tmp_path / "cams", maps_of(truth))
    found = evaluate(tmp_path / "cams", IDS, masks_of(only, ["cow"]), "irn", known=CLASSES)
    assert found.iou.keys() == {"background", "cow"}


def test_what_is_of_other_classes_is_background(tmp_path: Path, truth: Labels) -> None:
    only = {i: np.where(m == 3, 1, np.where(m == VOID, VOID, 0)).astype(np.uint8) for i, m in truth.items()}
    every = {i: np.where(m == VOID, 0, m).astype(np.uint8) for i, m in truth.items()}
    save_png(tmp_path / "masks", every)
    save_npy(tmp_path / "shares", {i: np.eye(5)[m].transpose(2, 0, 1) for i, m in every.items()})
    for name in ("masks", "shares"):
        assert evaluate(tmp_path / name, IDS, masks_of(only, ["cow"]), known=CLASSES).miou == 1
    complaint(
        lambda: evaluate(tmp_path / "masks", IDS, masks_of(only, ["cow"]), known=["cat"]), "known: ", "cow"
    )


def test_what_no_protocol_can_score_is_named(tmp_path: Path, truth: Labels) -> None:
    masks = masks_of(truth)
    save_png(tmp_path / "masks", {"a": truth["a"], "b": np.where(truth["b"] == VOID, 0, truth["b"])})
    left_out = evaluate(tmp_path / "masks", IDS, masks).left_out
    assert left_out["a"].endswith("a.png: label 255 is of no class; every pixel needs one, or 0")
    assert left_out["c"].endswith("masks: has no c.png or .npy")
    odd = {
        "a": {"keys": np.array([0]), "high_res": np.zeros((1, 4, 4), np.float32)},
        "b": {0: np.full(SIZE, np.nan, np.float32)},
        "c": np.zeros((7, *SIZE)),
    }
    save_npy(tmp_path / "odd", odd)
    for i, words in (("a", "4×4"), ("b", "finite"), ("c", "(7, 11, 8)")):
        complaint(lambda i=i: evaluate(tmp_path / "odd", [i], masks, "irn"), f"{i}.npy", words)
    save_npy(tmp_path / "cams", maps_of(truth))
    complaint(lambda: evaluate(tmp_path / "cams", IDS, masks), "voc needs a threshold")
    save_npy(
        tmp_path / "high", {i: {k: 255 * m for k, m in maps.items()} for i, maps in maps_of(truth).items()}
    )
    for protocol in ("irn", "seam"):
        complaint(
            lambda p=protocol: evaluate(tmp_path / "high", IDS, masks, p), "from 0 to 1; divide each map"
        )
    save_npy(tmp_path / "floats", {i: truth[i].astype(float) for i in IDS})
    complaint(lambda: evaluate(tmp_path / "floats", IDS, masks), "whole numbers, not float64")
    save_png(tmp_path / "labels", guesses(truth))
    complaint(lambda: evaluate(tmp_path / "labels", IDS, masks, "irn"), "holds labels", "irn takes maps")
    complaint(lambda: evaluate(tmp_path / "labels", IDS, masks, threshold=0.3), "no threshold changes")
    complaint(lambda: evaluate(tmp_path / "none", IDS, masks), "none: no such folder")
    complaint(lambda: evaluate(tmp_path, IDS, masks, "coco"), "protocol: ", "per-image")


def test_the_command_scores_the_truth_by_itself(here: Command, tmp_path: Path) -> None:
    root = make_folder(tmp_path / "discs", 8)
    words = ("--data", f"folder:{root}", "--split", "all")
    shown = here("evaluate", root / "masks", *words, "--out", tmp_path / "scores.json").stdout
    assert "mIoU 1.000 [1.000, 1.000]" in shown
    assert "protocol voc" in shown
    assert "images: 8" in shown
    content = json.loads((tmp_path / "scores.json").read_text())
    assert content["iou"] == {"background": 1, "blue": 1, "red": 1}
    (root / "masks-of-mine").mkdir()
    assert "has no p00.png" in one_line(here("evaluate", root / "masks-of-mine", *words, status=2))


def test_the_library_has_it_under_its_own_name(tmp_path: Path, truth: Labels) -> None:
    save_png(tmp_path / "masks", guesses(truth))
    assert isinstance(bc.evaluate(tmp_path / "masks", IDS, masks_of(truth)), bc.Evaluation)
