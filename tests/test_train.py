"""Training: what it sees, what it keeps, and that it repeats."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from beyondcam.classifier import (
    Classifier,
    TrainConfig,
    build,
    load_classifier,
    mean_average_precision,
    train,
)
from beyondcam.classifier.config import PERTURB
from beyondcam.classifier.train import _augmented
from beyondcam.data import open_images
from beyondcam.errors import BeyondcamError
from beyondcam.perturbations import View, generator
from beyondcam.training import learning_rate
from conftest import complaint, make_folder

training = sys.modules["beyondcam.classifier.train"]  # the function of this name hides the module


def config(spec: str, **changes: object) -> TrainConfig:
    own = {"data": spec, "backbone": "convnet", "kernel": 3, "size": 32, "epochs": 2, "batch": 4}
    return TrainConfig.model_validate(own | changes)


def quiet(message: str) -> None:
    del message


def read(run: Path) -> dict:
    return json.loads((run / "training.json").read_text())


@pytest.fixture
def spec(tmp_path: Path) -> str:
    return f"folder:{make_folder(tmp_path / 'discs', 12)}"


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(spec: str, tmp_path: Path) -> None:
    images = open_images(spec, "all")
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(images, config(spec, seed=seed), tmp_path / name, quiet)
    a, b, c = ((tmp_path / name / "classifier.safetensors").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_config_json_is_enough_to_repeat_a_run(spec: str, tmp_path: Path) -> None:
    images = open_images(spec, "all")
    train(images, config(spec, perturb="mask", optimizer="sgd", lr=0.01), tmp_path / "a", quiet)
    written = json.loads((tmp_path / "a" / "config.json").read_text())["train"]
    train(images, TrainConfig.model_validate(written), tmp_path / "b", quiet)
    first, second = ((tmp_path / n / "classifier.safetensors").read_bytes() for n in "ab")
    assert first == second


def test_a_classifier_is_tuned_from_where_another_ended(spec: str, tmp_path: Path) -> None:
    images = open_images(spec, "all")
    train(images, config(spec, seed=3), tmp_path / "first", quiet)
    tuned = config(spec, start=tmp_path / "first", lr=1e-9, head_lr=1)
    train(images, tuned, tmp_path / "second", quiet)
    first, second = (load_classifier(tmp_path / name) for name in ("first", "second"))
    for own, other in zip(first.parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(own, other, atol=1e-6, rtol=0)
    assert any(not torch.equal(a, b) for a, b in zip(first.buffers(), second.buffers(), strict=True))
    for word in ("kernel", "size"):
        other = tuned.model_copy(update={word: 7})
        complaint(lambda c=other: train(images, c, tmp_path / "third", quiet), "--start", word)
    two = replace(images, classes=images.classes[::-1])
    complaint(lambda: train(two, tuned, tmp_path / "third", quiet), "--start", "classes")


def test_the_checkpoint_is_the_epoch_with_the_best_held_out_map(
    spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, torch.Tensor]] = []

    def scripted(classifier: Classifier, *_: object) -> float:
        seen.append({k: v.clone() for k, v in classifier.state_dict().items()})
        return (0.2, 0.9, 0.5)[len(seen) - 1]

    monkeypatch.setattr(training, "mean_average_precision", scripted)
    train(open_images(spec, "all"), config(spec, epochs=3), tmp_path, quiet)
    kept = load_classifier(tmp_path).state_dict()
    assert all(torch.equal(kept[k], seen[1][k]) for k in kept)
    assert not all(torch.equal(kept[k], seen[2][k]) for k in kept)


def test_a_held_out_photo_that_cannot_be_read_is_left_out_and_the_last_epoch_kept(
    spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = open_images(spec, "all")
    kept: list[dict[str, torch.Tensor]] = []
    average = training.mean_average_precision

    def watched(classifier: Classifier, images, ids, left_out):
        kept.append({k: v.clone() for k, v in classifier.state_dict().items()})
        for i in ids:
            (Path(spec.removeprefix("folder:")) / "images" / f"{i}.png").write_bytes(b"no photo")
        return average(classifier, images, ids, left_out)

    monkeypatch.setattr(training, "mean_average_precision", watched)
    left_out = train(images, config(spec, epochs=3), tmp_path, quiet)
    assert len(left_out) == 1
    assert [epoch["held_out_map"] for epoch in read(tmp_path)["epochs"]] == [None] * 3
    found = load_classifier(tmp_path).state_dict()
    assert all(torch.equal(found[k], kept[2][k]) for k in found)


def test_a_training_that_is_killed_leaves_no_classifier_of_other_settings(
    spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(open_images(spec, "all"), config(spec), tmp_path, quiet)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "_training_batches", killed)
    with pytest.raises(KeyboardInterrupt):
        train(open_images(spec, "all", ["red", "blue"]), config(spec), tmp_path, quiet)
    complaint(lambda: load_classifier(tmp_path), "classifier.safetensors", "beyondcam train")


def test_images_that_choose_the_checkpoint_are_not_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = open_images(f"folder:{make_folder(tmp_path / 'discs', 40)}", "all")
    chosen_by: set[str] = set()
    trained_on: set[str] = set()
    monkeypatch.setattr(
        training, "mean_average_precision", lambda _c, _i, ids, _l: chosen_by.update(ids) or 0.5
    )
    batches = training._training_batches

    def watched(images, ids, *rest):
        trained_on.update(ids)
        return batches(images, ids, *rest)

    monkeypatch.setattr(training, "_training_batches", watched)
    train(images, config(images.data, epochs=1), tmp_path / "run", quiet)
    assert len(chosen_by) == 4
    assert trained_on == set(images.ids) - chosen_by


def test_a_training_whose_photos_cannot_be_read_makes_no_classifier(spec: str, tmp_path: Path) -> None:
    images = open_images(spec, "all")
    place = Path(spec.removeprefix("folder:")) / "images"
    for i in images.ids[:6]:
        (place / f"{i}.png").write_bytes(b"no photo")
    assert len(train(images, config(spec), tmp_path / "half", quiet)) == 6
    assert read(tmp_path / "half")["images"] in (5, 6)  # one of the 12 is held out
    for i in images.ids:
        (place / f"{i}.png").unlink()
    complaint(lambda: train(images, config(spec), tmp_path / "none", quiet), "none of its images", "p0")
    assert not (tmp_path / "none" / "classifier.safetensors").exists()


def test_batch_norm_keeps_the_statistics_of_any_weights_that_it_starts_from() -> None:
    frozen = {
        "": config("d", backbone="resnet18"),
        "weights": config("d", backbone="resnet18", pretrained=False, weights="r.pth"),
        "asked": config("d", freeze_bn=True),
    }
    assert all(own.frozen_bn for own in frozen.values())
    assert not config("d", backbone="resnet18", pretrained=False).frozen_bn
    assert not config("d").frozen_bn
    assert not config("d", backbone="resnet18", freeze_bn=False).frozen_bn


def test_a_loss_that_diverges_is_one_line(spec: str, tmp_path: Path) -> None:
    with pytest.raises(BeyondcamError, match=r"epoch \d: the loss is (nan|inf); lower --lr"):
        train(open_images(spec, "all"), config(spec, lr=1e18, epochs=5), tmp_path, quiet)


def test_map_is_the_mean_of_average_precision_over_present_classes(spec: str) -> None:
    images = open_images(spec, "all")
    classifier = build("convnet", images.classes, 32, kernel=3).eval()
    found = mean_average_precision(classifier, images, images.ids, {}, batch=5)
    scores, truth = [], []
    for i in images.ids:
        pixels = torch.nn.functional.interpolate(
            images.read(i).pixels[None], (32, 32), mode="bilinear", antialias=True
        )
        with torch.no_grad():
            scores.append(classifier((pixels.float() / 255 - 0.5) / 0.5).scores[0].numpy())
        truth.append([c in images.labels[i] for c in range(2)])
    s, t = np.array(scores), np.array(truth)
    assert found == pytest.approx(np.mean([average_precision_score(t[:, c], s[:, c]) for c in range(2)]))


def test_the_learning_rate_rises_linearly_and_falls_as_a_cosine() -> None:
    rates = [learning_rate(step, 100, 0.1) for step in range(100)]
    np.testing.assert_allclose(rates[:10], np.arange(1, 11) / 11)
    assert rates[10] == 1
    assert rates[55] == pytest.approx(0.5)
    assert rates[99] == pytest.approx(0.5 * (1 + np.cos(np.pi * 89 / 90)))


def test_augmentation_stays_inside_and_keeps_to_its_area_and_aspect() -> None:
    settings = config("x", crop_scale=(0.4, 0.5), flip=False)
    for n in range(200):
        view = _augmented(generator(0, n), 120, 100, settings)
        top, left, bottom, right = view.window
        assert 0 <= top < bottom <= 120
        assert 0 <= left < right <= 100
        assert 0.35 <= (bottom - top) * (right - left) / 12000 <= 0.51
        assert not view.flip


def test_perturbed_training_perturbs_each_input() -> None:
    plain, masked = (config("x", perturb=p) for p in (None, "mask"))
    x = torch.ones(3, 32, 32)
    first = _augmented(generator(0), 40, 40, plain).alter
    second = _augmented(generator(0), 40, 40, masked).alter
    assert first is not None
    assert second is not None
    whole, dropped = first(x), second(x)
    assert whole.unique().numel() == 1
    share = (dropped == 0).float().mean().item()
    assert 0 < share < 0.8
    assert torch.equal(dropped[dropped != 0], whole[dropped != 0])


def test_a_classifier_trained_on_masked_inputs_loses_less_by_them(tmp_path: Path) -> None:
    images = open_images(f"folder:{make_folder(tmp_path / 'discs', 40)}", "all")
    losses = {}
    for name in (None, "mask"):
        train(
            images,
            config(images.data, perturb=name, epochs=12, lr=0.005, head_lr=1, ema=0.9),
            tmp_path / str(name),
            quiet,
        )
        classifier = load_classifier(tmp_path / str(name))
        inputs, labels = [], []
        for i in images.ids:
            x = classifier.normalise(View((0, 0, 48, 48), 32).cut(images.read(i).pixels))
            inputs.append(PERTURB["mask"].alter(x, generator(9, i)))
            labels.append(torch.tensor([float(c in images.labels[i]) for c in range(2)]))
        with torch.no_grad():
            scores = classifier(torch.stack(inputs)).scores
        losses[name] = torch.nn.functional.binary_cross_entropy_with_logits(
            scores, torch.stack(labels)
        ).item()
    assert losses["mask"] < 0.9 * losses[None]
