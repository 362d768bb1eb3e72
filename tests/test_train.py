"""Training a classifier: what it sees, what it keeps, that it repeats and goes on after a kill."""

import hashlib
import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from pydantic import ValidationError
from sklearn.metrics import average_precision_score
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from beyondcam import files as files_module
from beyondcam.classifier import (
    Classifier,
    TrainConfig,
    build_classifier,
    load,
    load_classifier,
    mean_average_precision,
    train_classifier,
    train_run,
    training,
)
from beyondcam.classifier.config import PERTURB, digits_config
from beyondcam.classifier.evaluation import Scored, alike, doubt, labelled_samples, poor_classes, score_photos
from beyondcam.data import LabelledImages, Photo, open_images
from beyondcam.devices import to_device
from beyondcam.errors import BeyondcamError
from beyondcam.files import write_whole
from beyondcam.perturbations import augmented, generator
from beyondcam.segmentation import SegmentConfig
from beyondcam.training import checkpoint
from beyondcam.training.checkpoint import CHECKPOINT, alone_in
from beyondcam.training.loop import learning_rate
from beyondcam.training.samples import Batch, draw_batches, random_view
from conftest import Command, complaint, make_folder

CPU = Fabric(accelerator="cpu", devices=1)


def config(spec: str, **changes: object) -> TrainConfig:
    settings = {"data": spec, "backbone": "convnet", "kernel": 3, "size": 32, "epochs": 2, "batch": 4}
    return TrainConfig.model_validate(settings | changes)


def quiet(message: str) -> None:
    del message


def train(images: LabelledImages, settings: TrainConfig, run: Path) -> dict[str, str]:
    return train_classifier(images, settings, run, fabric=CPU, log=quiet)


def read(run: Path) -> dict:
    return json.loads((run / "training.json").read_text())


def content(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.iterdir()}


def sha(file: bytes) -> str:
    return hashlib.sha256(file).hexdigest()[:10]


@pytest.fixture
def spec(tmp_path: Path) -> str:
    return f"folder:{make_folder(tmp_path / 'discs', 12)}"


# what is trained


def test_the_weights_are_those_of_a_plain_loop_with_a_scheduler_of_torch(spec: str, tmp_path: Path) -> None:
    """One image at a time read in this thread, `LambdaLR` for the schedule, all else written out."""
    images = open_images(spec, "all")
    settings = config(spec, epochs=3, perturb="mask", ema=0.7, warmup=0.3)
    train(images, settings, tmp_path / "run")
    order = np.random.default_rng(0).permutation(12)
    kept = [images.ids[n] for n in sorted(order[1:])]
    torch.manual_seed(0)
    net = to_device(build_classifier("convnet", images.classes, 32, kernel=3), CPU)
    averaged = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.7), use_buffers=True)
    groups = [{"params": net.backbone.parameters()}, {"params": [net.weight], "lr": 30 * 1e-4}]
    optimizer = torch.optim.AdamW(groups, 1e-4, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda n: learning_rate(n, 9, 0.3))
    saved = {}
    for epoch in range(3):
        net.train()
        order = generator(0, "order", epoch).permutation(11)
        for rows in (order[:4], order[4:8], order[8:]):
            inputs = []
            for i in (kept[n] for n in rows):
                rng = generator(0, "augment", epoch, i)
                view = augmented(rng, 48, 48, 32, (0.4, 1.0), flip=True)
                x = view.altered(net.normalise(view.cut(images.read(i).pixels)))
                inputs.append(PERTURB["mask"].alter(x, rng))
            y = torch.tensor([[float(c in images.labels[kept[n]]) for c in range(2)] for n in rows])
            x = torch.stack(inputs).contiguous(memory_format=torch.channels_last)
            optimizer.zero_grad()
            nn.functional.binary_cross_entropy_with_logits(net(x).scores, y).backward()
            optimizer.step()
            schedule.step()
            averaged.update_parameters(net)
        saved[epoch] = {k: v.clone() for k, v in averaged.module.state_dict().items()}
    maps = [epoch["held_out_map"] for epoch in read(tmp_path / "run")["epochs"]]
    best = max(range(3), key=lambda n: (maps[n], n))
    found = load_classifier(tmp_path / "run").state_dict()
    for name, value in saved[best].items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=0)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(spec: str, tmp_path: Path) -> None:
    images = open_images(spec, "all")
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(images, config(spec, seed=seed), tmp_path / name)
    a, b, c = (content(tmp_path / name) for name in "abc")
    assert a == b
    assert a["classifier.safetensors"] != c["classifier.safetensors"]


def test_config_json_is_enough_to_repeat_a_run(spec: str, tmp_path: Path) -> None:
    images = open_images(spec, "all")
    train(images, config(spec, perturb="mask", optimizer="sgd", lr=0.01), tmp_path / "a")
    written = json.loads((tmp_path / "a" / "config.json").read_text())["train"]
    train(images, TrainConfig.model_validate(written), tmp_path / "b")
    assert content(tmp_path / "a") == content(tmp_path / "b")


@pytest.mark.parametrize(("images", "epochs"), [(861, 4), (800, 4), (784, 5), (466, 7), (16, 200), (1, 200)])
def test_small_data_get_more_passes_by_default(images: int, epochs: int) -> None:
    """The first number is VOC's animals, which stay at 4 epochs: 54 batches of 16 each."""
    assert TrainConfig(data="folder:x").epochs_for(images) == epochs
    steps = [math.ceil(images / 16) * passes for passes in (epochs, epochs - 1)]
    assert steps[0] >= 200
    assert epochs == 4 or steps[1] < 200
    assert TrainConfig(data="folder:x", epochs=3).epochs_for(images) == 3
    assert digits_config().epochs == 28


def test_config_json_states_the_number_of_epochs_where_none_was_given(spec: str, tmp_path: Path) -> None:
    images = open_images(spec, "all")
    settings = config(spec, epochs=None, batch=1)
    train(images, settings, tmp_path)
    written = json.loads((tmp_path / "config.json").read_text())["train"]
    assert written["epochs"] == len(read(tmp_path)["epochs"]) == 19  # of 11 images: 12 less the held-out one
    assert (settings.split, written["split"]) == ("train", "all")  # that of the images


def test_a_classifier_is_tuned_from_where_another_ended(spec: str, tmp_path: Path) -> None:
    images = open_images(spec, "all")
    train(images, config(spec, seed=3), tmp_path / "first")
    tuned = config(spec, start=tmp_path / "first", lr=1e-9, head_lr=1)
    train(images, tuned, tmp_path / "second")
    first, second = (load_classifier(tmp_path / name) for name in ("first", "second"))
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=0)
    assert any(not torch.equal(a, b) for a, b in zip(first.buffers(), second.buffers(), strict=True))
    for word in ("kernel", "size"):
        other = tuned.model_copy(update={word: 7})
        complaint(lambda c=other: train(images, c, tmp_path / "third"), "start: ", word)
    two = replace(images, classes=images.classes[::-1])
    complaint(lambda: train(two, tuned, tmp_path / "third"), "start: ", "classes")
    written = json.loads((tmp_path / "first" / "config.json").read_text())
    written["train"]["backbone"], written["adopted"] = "mine:make", {}
    (tmp_path / "first" / "config.json").write_text(json.dumps(written))
    complaint(lambda: train(images, tuned, tmp_path / "third"), "start: ", "adopted")
    assert not (tmp_path / "third").exists()


def test_the_weights_kept_are_of_the_epoch_with_the_best_held_out_map(
    spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, torch.Tensor]] = []

    def scripted(classifier: Classifier, *_: object) -> tuple[float, dict[str, str]]:
        seen.append({k: v.clone() for k, v in classifier.state_dict().items()})
        return (0.2, 0.9, 0.5)[len(seen) - 1], {}

    monkeypatch.setattr(training, "mean_average_precision", scripted)
    train(open_images(spec, "all"), config(spec, epochs=3), tmp_path)
    kept = load_classifier(tmp_path).state_dict()
    assert all(torch.equal(kept[k], seen[1][k]) for k in kept)
    assert not all(torch.equal(kept[k], seen[2][k]) for k in kept)


def test_a_held_out_photo_that_cannot_be_read_is_left_out_and_the_last_epoch_kept(
    spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[dict[str, torch.Tensor]] = []
    average = training.mean_average_precision

    def watched(
        classifier: Classifier, images: LabelledImages, ids: list[str]
    ) -> tuple[float | None, dict[str, str]]:
        kept.append({k: v.clone() for k, v in classifier.state_dict().items()})
        for i in ids:
            (Path(spec.removeprefix("folder:")) / "images" / f"{i}.png").write_bytes(b"no photo")
        return average(classifier, images, ids)

    monkeypatch.setattr(training, "mean_average_precision", watched)
    left_out = train(open_images(spec, "all"), config(spec, epochs=3), tmp_path)
    assert len(left_out) == 1
    assert [epoch["held_out_map"] for epoch in read(tmp_path)["epochs"]] == [None] * 3
    found = load_classifier(tmp_path).state_dict()
    assert all(torch.equal(found[k], kept[2][k]) for k in found)


def test_images_that_choose_the_epoch_are_not_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = open_images(f"folder:{make_folder(tmp_path / 'discs', 40)}", "all")
    chosen_by: set[str] = set()
    trained_on: set[str] = set()
    monkeypatch.setattr(
        training, "mean_average_precision", lambda _c, _i, ids: (chosen_by.update(ids) or 0.5, {})
    )

    def watched(image_id: str) -> Photo:
        trained_on.add(image_id)
        return images.read(image_id)

    train(replace(images, read=watched), config(images.data, epochs=1), tmp_path / "run")
    assert len(chosen_by) == 4
    assert trained_on == set(images.ids) - chosen_by


def test_a_training_whose_photos_cannot_be_read_makes_no_classifier(spec: str, tmp_path: Path) -> None:
    images = open_images(spec, "all")
    place = Path(spec.removeprefix("folder:")) / "images"
    for i in images.ids[:6]:
        (place / f"{i}.png").write_bytes(b"no photo")
    assert len(train(images, config(spec), tmp_path / "half")) == 6
    assert read(tmp_path / "half")["images"] in (5, 6)  # one of the 12 is held out
    for i in images.ids:
        (place / f"{i}.png").unlink()
    complaint(lambda: train(images, config(spec), tmp_path / "none"), "none of the images", "p0")
    assert not content(tmp_path / "none")


def test_batch_norm_keeps_the_statistics_of_any_weights_that_it_starts_from() -> None:
    frozen = {
        "": config("d", backbone="resnet18"),
        "weights": config("d", backbone="resnet18", pretrained=False, weights="r.pth"),
        "asked": config("d", freeze_bn=True),
    }
    assert all(settings.frozen_bn for settings in frozen.values())
    assert not config("d", backbone="resnet18", pretrained=False).frozen_bn
    assert not config("d").frozen_bn
    assert not config("d", backbone="resnet18", freeze_bn=False).frozen_bn


@pytest.mark.parametrize(("batch", "updates"), [(5, 2), (1, 0)])
def test_a_batch_of_one_value_a_channel_goes_by_the_statistics_that_batch_norm_has(
    batch: int, updates: int, spec: str, tmp_path: Path
) -> None:
    """The last layers of this network see 1 × 1 pixels: 11 images are batches of 5, 5 and 1, or of 1 each."""
    settings = config(spec, backbone="resnet10t", pretrained=False, epochs=1, batch=batch, ema=0)
    train(open_images(spec, "all"), settings, tmp_path)
    state = load_classifier(tmp_path).state_dict()
    last = state["backbone.layer4.0.bn2.num_batches_tracked"]
    first = state["backbone.bn1.num_batches_tracked"]
    assert (first, last) == (-(-11 // batch), updates)


# what survives


class Killed(BaseException):
    """A kill, as far as one can be had inside a process."""


@pytest.fixture
def kill_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """`kill_at(n)` kills whoever is about to write the n-th file from now, the first being 0."""
    left = [1000]

    def write(path: Path, content: bytes) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        write_whole(path, content)

    for module in (checkpoint, files_module):
        monkeypatch.setattr(module, "write_whole", write)
    return lambda count: left.__setitem__(0, count)


def test_a_training_killed_at_any_write_goes_on_and_ends_with_the_bytes_of_an_undisturbed_run(
    spec: str, tmp_path: Path, kill_at: Callable[[int], None]
) -> None:
    """In the place of another classifier, whose files stay whole until those of the new one are there."""
    images, settings = open_images(spec, "all"), config(spec, epochs=3)
    train(images, config(spec, seed=1), tmp_path / "old")
    train(images, settings, tmp_path / "whole")
    old, whole = content(tmp_path / "old"), content(tmp_path / "whole")
    assert old.keys() == whole.keys() == {"classifier.safetensors", "config.json", "training.json"}
    for count in range(6):  # three checkpoints, settings, weights, facts
        run = tmp_path / str(count)
        shutil.copytree(tmp_path / "old", run)
        kill_at(count)
        with pytest.raises(Killed):
            train(images, settings, run)
        kill_at(1000)
        found = content(run)
        assert (CHECKPOINT in found) == (count > 0)
        found.pop(CHECKPOINT, None)
        if count < 3:
            assert found == old
        elif count < 5:
            complaint(lambda run=run: load_classifier(run), "is not finished", "`beyondcam train` again")
        else:
            assert load_classifier(run).checkpoint == sha(whole["classifier.safetensors"])
        train(images, settings, run)
        assert content(run) == whole


def test_a_resumed_training_reads_no_epoch_again_and_no_weights_to_start_from(
    spec: str, tmp_path: Path, kill_at: Callable[[int], None]
) -> None:
    images, settings = open_images(spec, "all"), config(spec, epochs=3)
    train(images, config(spec, seed=3), tmp_path / "start")
    settings = settings.model_copy(update={"start": tmp_path / "start"})
    train(images, settings, tmp_path / "whole")
    kill_at(2)
    with pytest.raises(Killed):
        train(images, settings, tmp_path / "killed")
    kill_at(1000)
    shutil.rmtree(tmp_path / "start")
    reads: list[str] = []
    watched = replace(images, read=lambda i: reads.append(i) or images.read(i))
    train(watched, settings, tmp_path / "killed")
    # the third epoch with its held-out image, those that the classifier is doubted by, nine for their size
    assert len(reads) == 12 + 11 + 9
    assert content(tmp_path / "killed") == content(tmp_path / "whole")


def test_a_checkpoint_of_other_settings_or_images_is_not_gone_on_from(
    spec: str, tmp_path: Path, kill_at: Callable[[int], None]
) -> None:
    images, settings = open_images(spec, "all"), config(spec)
    labels = {**images.labels, "p00": frozenset({0, 1})}
    others = ((images, config(spec, seed=1)), (replace(images, labels=labels), settings))
    for n, (data, other) in enumerate(others):
        run = tmp_path / str(n)
        kill_at(1)
        with pytest.raises(Killed):
            train(images, settings, run)
        kill_at(1000)
        train(data, other, run)
        train(data, other, tmp_path / f"{n}-alone")
        assert content(run) == content(tmp_path / f"{n}-alone")


def test_a_damaged_checkpoint_is_named_and_runs_no_code(spec: str, tmp_path: Path) -> None:
    class Code:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"key": Code()}, tmp_path / CHECKPOINT)
    complaint(
        lambda: train(open_images(spec, "all"), config(spec), tmp_path), f"{CHECKPOINT}: not a checkpoint"
    )
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("error", [AttributeError("no dtype"), MemoryError(), IndexError("pop")])
def test_whatever_torch_raises_on_a_checkpoint_is_one_line(
    tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(torch, "load", broken)
    complaint(
        lambda: checkpoint.read_checkpoint(tmp_path, "key"), f"{CHECKPOINT}: not a checkpoint", "delete it"
    )


def test_a_killed_first_training_is_not_taken_for_finished(
    spec: str, tmp_path: Path, kill_at: Callable[[int], None], beyondcam: Command
) -> None:
    kill_at(1)
    with pytest.raises(Killed):
        train(open_images(spec, "all"), config(spec), tmp_path / "run")
    for words in (
        ("map", "--recipe", "cam"),
        ("score",),
        ("seed", "--recipe", "cam", "--out", tmp_path / "s"),
    ):
        command, *rest = words
        done = beyondcam(command, tmp_path / "run", *rest, status=2)
        assert "run: training is not finished; run `beyondcam train` again to go on" in done.stderr
    assert set(content(tmp_path / "run")) == {CHECKPOINT}


def test_a_training_that_fails_leaves_the_classifier_that_was_there(spec: str, tmp_path: Path) -> None:
    images = open_images(spec, "all")
    train(images, config(spec), tmp_path / "run")
    before = content(tmp_path / "run")
    place = Path(spec.removeprefix("folder:")) / "images"
    with pytest.raises(BeyondcamError, match=r"^lr: .* epoch \d; lower it$"):
        train(images, config(spec, lr=1e18, epochs=5), tmp_path / "run")
    complaint(lambda: train(images, config(spec, backbone="resnet19"), tmp_path / "run"), "resnet19")
    with pytest.raises(ValidationError, match=r"lr\n.*finite"):
        config(spec, lr=np.inf)
    for path in place.iterdir():
        path.write_bytes(b"no photo")
    complaint(lambda: train(images, config(spec, seed=4), tmp_path / "run"), "none of the images")
    after = content(tmp_path / "run")
    after.pop(CHECKPOINT, None)
    assert after == before


def test_a_second_training_in_the_same_folder_is_refused_while_the_first_is_at_work(
    spec: str, tmp_path: Path
) -> None:
    images = open_images(spec, "all")
    with alone_in(tmp_path / "run", CPU):
        complaint(lambda: train(images, config(spec), tmp_path / "run"), "run: another training is at work")
        assert not content(tmp_path / "run")
    train(images, config(spec), tmp_path / "run")


def test_a_classifier_that_is_trained_anew_while_it_is_loaded_is_not_mixed(
    spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = open_images(spec, "all")
    train(images, config(spec), tmp_path)
    restore = load.restore

    def late(*words: object) -> str:
        train(images, config(spec, seed=1), tmp_path)
        return restore(*words)

    monkeypatch.setattr(load, "restore", late)
    complaint(lambda: load_classifier(tmp_path), "another training has just ended")


# scores, schedule and draws


def test_train_run_scores_the_labelled_images_of_val(spec: str, tmp_path: Path) -> None:
    said: list[str] = []
    assert train_run(config(spec), tmp_path / "run", CPU, said.append) == {}
    val = open_images(spec, "val")
    expected, _ = mean_average_precision(load_classifier(tmp_path / "run"), val, val.ids)
    assert read(tmp_path / "run")["val_map"] == expected
    assert said[-1] == f"mAP on val: {expected:.4f}"
    said.clear()
    train_run(config(spec, split="all"), tmp_path / "all", CPU, said.append)
    assert read(tmp_path / "all")["val_map"] is None
    assert said[2] == "no mAP on val: it has no labelled image that was not trained on"


def test_map_is_the_mean_of_average_precision_over_present_classes(spec: str) -> None:
    images = open_images(spec, "all")
    (Path(spec.removeprefix("folder:")) / "images" / "p11.png").write_bytes(b"no photo")
    classifier = build_classifier("convnet", images.classes, 32, kernel=3).eval()
    found, left_out = mean_average_precision(classifier, images, images.ids, batch=5)
    assert left_out.keys() == {"p11"}
    scores, truth = [], []
    for i in images.ids[:11]:
        pixels = torch.nn.functional.interpolate(
            images.read(i).pixels[None], (32, 32), mode="bilinear", antialias=True
        )
        with torch.no_grad():
            scores.append(classifier((pixels.float() / 255 - 0.5) / 0.5).scores[0].numpy())
        truth.append([c in images.labels[i] for c in range(2)])
    s, t = np.array(scores), np.array(truth)
    assert found == pytest.approx(np.mean([average_precision_score(t[:, c], s[:, c]) for c in range(2)]))
    assert mean_average_precision(classifier, images, ["p11"])[0] is None
    with torch.no_grad():
        classifier.weight.fill_(np.nan)
    complaint(lambda: mean_average_precision(classifier, images, images.ids), "not finite")


@pytest.mark.parametrize(
    ("score", "labels", "word"),
    [
        (lambda n: n % 2, lambda n: n % 2, None),
        (lambda n: n % 2 + n % 3, lambda n: n % 2, None),
        (lambda _: 0, lambda n: n % 2, "chance (area under the ROC curve 0.50)"),
        (lambda n: n % 5, lambda n: n % 2, "chance"),
        (lambda n: n % 2, lambda n: 1 - n % 2, "chance (area under the ROC curve 0.00)"),
    ],
)
def test_a_classifier_that_has_learnt_nothing_is_doubted(score, labels, word, spec: str) -> None:
    """One class; its score is that of the photo's own brightness."""
    ids = [f"i{n:02d}" for n in range(30)]
    photos = {i: Photo.of(torch.full((3, 8, 8), 8 * score(n), dtype=torch.uint8)) for n, i in enumerate(ids)}
    present = {i: frozenset({0} if labels(n) else ()) for n, i in enumerate(ids)}
    images = LabelledImages("d", "train", ("a",), tuple(ids), present, photos.__getitem__)
    classifier = Classifier(nn.Identity(), nn.Conv2d(3, 1, 1), ["a"], size=8)
    classifier.weight.data.fill_(1)
    said = doubt(score_photos(classifier, images, ids), "train")
    assert (said is None) if word is None else (word in said)
    assert doubt(score_photos(classifier, images, ids[:8]), "train") is None


@pytest.mark.parametrize(("labels", "same"), [([1, 1], True), ([0, 0], True), ([1, 0], False), ([], False)])
def test_photos_of_the_same_labels_teach_nothing(labels: list[int], *, same: bool) -> None:
    truth = np.array([[label, 1] for label in labels], bool).reshape(-1, 2)
    scored = Scored(np.zeros(truth.shape, np.float32), truth, {})
    assert bool(alike(scored)) is same
    assert doubt(scored, "val") is None


def test_photos_of_no_class_have_no_mean_average_precision() -> None:
    scores = np.zeros((3, 2), np.float32)
    assert Scored(scores, np.zeros((3, 2), bool), {}).mean_precision() is None
    assert Scored(scores, np.eye(3, 2, dtype=bool), {}).mean_precision() is not None


def test_a_class_of_low_average_precision_is_named() -> None:
    """Of ten photos each class has five; those of the first rank highest, of the second lowest."""
    truth = np.repeat([[True, False, True], [False, True, False]], 5, 0)
    truth[0, 2] = False
    scores = np.column_stack([truth[:, 0], truth[:, 0], truth[:, 1]]) + np.linspace(0, 0.1, 10)[:, None]
    said = poor_classes(Scored(scores.astype(np.float32), truth, {}), ("good", "poor", "rare"), "of val")
    expected = np.mean([n / (5 + n) for n in range(1, 6)])
    assert said is not None
    assert said.startswith(f"low average precision on 10 photos of val: poor ({expected:.2f});")
    assert poor_classes(Scored(scores[:, :1].astype(np.float32), truth[:, :1], {}), ("good",), "") is None


def test_the_learning_rate_rises_linearly_and_falls_as_a_cosine() -> None:
    rates = [learning_rate(step, 100, 0.1) for step in range(100)]
    np.testing.assert_allclose(rates[:10], np.arange(1, 11) / 11)
    assert rates[10] == 1
    assert rates[55] == pytest.approx(0.5)
    assert rates[99] == pytest.approx(0.5 * (1 + np.cos(np.pi * 89 / 90)))


def test_an_epoch_shows_each_image_once_in_an_order_of_its_own_and_shards_share_its_batches() -> None:
    ids = [f"p{n}" for n in range(11)]
    epochs = [draw_batches(ids, 4, 0, epoch, (0, 1)) for epoch in (0, 1, 1)]
    assert epochs[0] != epochs[1] == epochs[2]
    for n, batches in enumerate(epochs[:2]):
        assert [len(batch) for batch in batches] == [4, 4, 3]
        assert sorted(i for batch in batches for _, i in batch) == sorted(ids)
        assert {epoch for batch in batches for epoch, _ in batch} == {n}
    assert draw_batches(ids, 4, 0, 1, (0, 1), full=True) == epochs[1][:2]
    shards = [draw_batches(ids, 4, 0, 1, (index, 2)) for index in range(2)]
    for whole, *parts in zip(epochs[1], *shards, strict=True):
        assert whole[0::2] == parts[0]
        assert whole[1::2] == parts[1]


def test_batches_come_in_order_and_take_nothing_from_the_stream_of_dropout(spec: str) -> None:
    images = open_images(spec, "all")
    for name in ("p02", "p10", "p11"):
        (Path(spec.removeprefix("folder:")) / "images" / f"{name}.png").write_bytes(b"no photo")
    classifier = build_classifier("convnet", images.classes, 32, kernel=3)
    samples = labelled_samples(images, classifier, random_view(config(spec)))
    torch.manual_seed(0)
    before = torch.get_rng_state()
    chunks = [[(3, i) for i in images.ids[n : n + 5]] for n in (0, 5, 10)]
    batches = list(samples.batches(chunks))
    assert torch.equal(torch.get_rng_state(), before)
    assert [len(batch.x) for batch in batches] == [4, 5, 0]
    assert [[*batch.left_out] for batch in batches] == [["p02"], [], ["p10", "p11"]]
    for chunk, batch in zip(chunks, batches, strict=True):
        rows = [index for index in chunk if index[1] not in batch.left_out]
        for x, y, index in zip(batch.x, batch.y, rows, strict=True):
            view = random_view(config(spec))(*index, 48, 48)
            expected = view.altered(classifier.normalise(view.cut(images.read(index[1]).pixels)))
            assert torch.equal(x, expected)
            assert set(y.nonzero().flatten().tolist()) == images.labels[index[1]]


@pytest.mark.parametrize("backbone", ["convnet", "test_vit", "resnet10t"])
def test_a_process_without_a_row_takes_part_and_learns_nothing(
    backbone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Transformers take no empty batch, and batch norms would count a row that stands for none."""
    monkeypatch.setattr(training, "total_of", lambda *_: 3.0)
    classifier = build_classifier(backbone, ["a", "b"], 160).train()
    before = {name: value.clone() for name, value in classifier.named_buffers() if "batches" not in name}
    none = Batch(torch.zeros(0, 3, 160, 160), torch.zeros(0, 2), {})
    loss = training.multilabel_loss(classifier, none, SimpleNamespace(world_size=2))  # type: ignore[arg-type]
    assert loss == 0
    loss.backward()
    assert all(p.grad is not None and not p.grad.any() for p in classifier.parameters())
    assert all(
        torch.equal(value, before[name]) for name, value in classifier.named_buffers() if name in before
    )


def test_augmentation_stays_inside_and_keeps_to_its_area() -> None:
    draw = random_view(config("x", crop_scale=(0.4, 0.5), flip=False))
    for n in range(200):
        view = draw(0, str(n), 120, 100)
        top, left, bottom, right = view.window
        assert 0 <= top < bottom <= 120
        assert 0 <= left < right <= 100
        assert 0.35 <= (bottom - top) * (right - left) / 12000 <= 0.51
        assert not view.flip


def test_augmentation_draws_aspect_contrast_and_brightness_from_all_of_their_ranges() -> None:
    draw = random_view(config("x", crop_scale=(0.4, 0.4)))
    views = [draw(0, str(n), 480, 400) for n in range(300)]
    windows = [view.window for view in views]
    aspects = [(right - left) / 400 / ((bottom - top) / 480) for top, left, bottom, right in windows]
    assert 0.74 < min(aspects) < 0.78
    assert 1.28 < max(aspects) < 1.35
    low, high = (torch.stack([view.altered(torch.full((1,), x)) for view in views]) for x in (0.0, 1.0))
    contrast = high - low
    assert 0.8 <= contrast.min() < 0.83
    assert 1.21 < contrast.max() <= 1.25 + 1e-6
    assert -0.2 <= low.min() < -0.17
    assert 0.17 < low.max() <= 0.2


def test_perturbed_training_perturbs_each_input() -> None:
    x = torch.ones(3, 32, 32)
    first, second = (random_view(config("x"), p)(0, "a", 40, 40) for p in (None, PERTURB["mask"]))
    whole, dropped = first.altered(x), second.altered(x)
    assert whole.unique().numel() == 1
    share = (dropped == 0).float().mean().item()
    assert 0 < share < 0.8
    assert torch.equal(dropped[dropped != 0], whole[dropped != 0])


def test_every_setting_has_help() -> None:
    for settings in (TrainConfig, SegmentConfig):
        assert all(field.description for field in settings.model_fields.values())
