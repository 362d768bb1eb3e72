"""Mapping a split: in bfloat16, where the GPU has too little memory, and what is kept beside the maps."""

import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import beyondcam as bc
from beyondcam.data import LabelledImages
from beyondcam.evidence import find_shelf, shelves
from beyondcam.evidence.witness import witnessed
from beyondcam.perturbations import Crops
from beyondcam.recipes import Item, Recipe, Source, map_items
from conftest import complaint
from networks import photo, tiny


def short_of_memory(classifier: bc.Classifier, most: int) -> list[int]:
    """Let the classifier run out of memory on more than `most` images; the batches that it is given.

    The first of them is the one image that it is folded by.
    """
    batches: list[int] = []

    def look(_: object, args: tuple[torch.Tensor]) -> None:
        batches.append(len(args[0]))
        if len(args[0]) > most and len(batches) > 1:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    classifier.register_forward_pre_hook(look)
    return batches


@pytest.fixture
def run(trained: tuple[Path, str], tmp_path: Path) -> Path:
    (tmp_path / "classifier.safetensors").write_bytes((trained[0] / "classifier.safetensors").read_bytes())
    return tmp_path


def test_batch_is_halved_until_it_fits_and_stays_so(trained: tuple[Path, str], run: Path) -> None:
    classifier = bc.load_classifier(trained[0])
    batches = short_of_memory(classifier, 3)
    images = bc.open_images(trained[1], "all")
    messages: list[str] = []
    recipes = {"crops": bc.Cookbook().recipe("crops")}
    assert bc.map_split(classifier, images, recipes, run, batch=8, log=messages.append) == {}
    assert messages == [f"out of GPU memory; going on with batch {n}" for n in (4, 2)]
    assert batches[:3] == [1, 8, 4]
    assert set(batches[3:]) == {2}
    assert len(list(run.glob("evidence/*/*/*.png"))) == len(images.ids)


def test_too_little_memory_for_one_view_is_one_line(trained: tuple[Path, str], run: Path) -> None:
    classifier = bc.load_classifier(trained[0])
    short_of_memory(classifier, 0)
    images = bc.open_images(trained[1], "all")
    recipes = {"cam": bc.Cookbook().recipe("cam")}
    complaint(
        lambda: bc.map_split(classifier, images, recipes, run, batch=4, log=lambda _: None),
        "batch: ",
        "1 view",
    )


def test_photos_for_which_the_network_gives_nan_are_left_out_and_named(
    trained: tuple[Path, str], run: Path
) -> None:
    classifier = bc.load_classifier(trained[0])
    images = bc.open_images(trained[1], "all")
    bad, good = images.ids[:2]
    images = replace(images, ids=(bad, good))
    recipes = {"cam": bc.Cookbook().recipe("cam")}
    classifier.register_forward_pre_hook(
        lambda _, x: (torch.cat([x[0][:1] * torch.nan, x[0][1:]]),) if len(x[0]) == 2 else None
    )
    left_out = bc.map_split(classifier, images, recipes, run, log=lambda _: None)
    assert left_out == {bad: "the network gives NaN or infinite numbers for it"}
    assert [path.stem for path in run.glob("evidence/*/*/*.png")] == [good]


def test_a_map_that_gives_nan_is_named_for_every_photo(trained: tuple[Path, str], run: Path) -> None:
    class Nothing(bc.Map):
        kind: Literal["nothing"] = "nothing"

        def __call__(self, forward: bc.maps.Forward) -> torch.Tensor:
            return forward.scores.new_full((len(forward.rows), 2, 2), torch.nan)

    images = bc.open_images(trained[1], "all")
    images = replace(images, ids=images.ids[:2])
    recipes = {"nothing": bc.Recipe(source=bc.Source(map=Nothing())), "cam": "cam"}
    left_out = bc.map_split(bc.load_classifier(trained[0]), images, recipes, str(run), log=lambda _: None)
    assert left_out == dict.fromkeys(images.ids, "the map nothing gives NaN or infinite numbers for it")


def test_weights_that_are_no_numbers_are_refused(trained: tuple[Path, str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained[0], run)
    weights = load_file(run / "classifier.safetensors")
    weights["weight"][0, 0] = torch.nan
    save_file(weights, run / "classifier.safetensors")
    complaint(lambda: bc.load_classifier(run), "classifier.safetensors", "NaN", "`beyondcam train`")


def test_a_map_of_a_single_module_sees_the_network_as_it_was_built(
    trained: tuple[Path, str], run: Path, tmp_path: Path
) -> None:
    """The first convolution: folded, it gives what the batch norm behind it gives."""
    classifier = bc.load_classifier(trained[0])
    images = bc.open_images(trained[1], "all")
    images = replace(images, ids=tuple(i for i in images.ids if images.labels[i])[:3])
    assert any(isinstance(module, torch.nn.BatchNorm2d) for module in classifier.modules())
    recipe = bc.Recipe(source=bc.Source(map={"kind": "hirescam", "layer": "0"}))
    bc.map_split(classifier, images, {"hirescam": recipe, "saliency": "saliency"}, run)
    bc.map_split(classifier, images, ["saliency"], tmp_path / "alone")
    (other,) = shelves(tmp_path / "alone", images)
    shelf, beside = shelves(run, images)
    for i in images.ids:  # a recipe's evidence is the same whatever is mapped with it
        assert beside.path(i).read_bytes() == other.path(i).read_bytes()
    items = [Item(i, images.read(i), tuple(sorted(images.labels[i]))) for i in images.ids]
    for network, same in ((classifier, True), (bc.folded(classifier), False)):
        for item, results in zip(items, map_items(network, items, {"hirescam": recipe}), strict=True):
            expected = bc.Evidence.of(results["hirescam"].maps, item.targets, (), item.photo.size).levels
            assert np.array_equal(shelf.read(item.id).levels, expected) == same


def test_bf16_is_evidence_of_its_own_close_to_that_of_float32(trained: tuple[Path, str], run: Path) -> None:
    classifier, images = bc.load_classifier(trained[0]), bc.open_images(trained[1], "all")
    images = replace(images, ids=images.ids[:6])
    crops = Recipe(source=Source(map="saliency", perturbation=Crops(n=4)))
    recipes = {"cam": bc.Cookbook().recipe("cam"), "crops": crops}
    for precision in ("float32", "bf16"):
        bc.map_split(classifier, images, recipes, run, precision=precision)
    for name in recipes:
        by_precision = {
            shelf.manifest["precision"]: shelf for shelf in shelves(run, images) if shelf.name == name
        }
        exact, rough = (
            np.concatenate([by_precision[p].read(i).levels.astype(float).ravel() for i in images.ids])
            for p in ("float32", "bf16")
        )
        assert 0 < np.abs(exact - rough).mean() < 4  # of 255 levels
        assert np.corrcoef(exact, rough)[0, 1] > 0.99


def test_mixed_targets_are_the_labels_where_a_photo_has_them(trained: tuple[Path, str], run: Path) -> None:
    classifier, images = bc.load_classifier(trained[0]), bc.open_images(trained[1], "all")
    known = {i: frozenset({n % len(images.classes)}) for n, i in enumerate(images.ids[:-3])}
    known |= {images.ids[0]: frozenset()}  # no class: costs no map, and is nobody's guess
    some = replace(images, labels=known)
    found: dict[str, dict[str, bc.Evidence]] = {}
    for targets in ("labels", "predicted", "mixed"):
        left_out = bc.map_split(classifier, some, ["cam"], run, targets=targets, log=lambda _: None)  # type: ignore[arg-type]
        shelf = find_shelf(run, some, "cam", targets)
        found[targets] = {i: shelf.read(i) for i in images.ids if i not in left_out}
    assert list(found["labels"]) == list(known)
    assert list(found["mixed"]) == list(images.ids)
    assert found["mixed"][images.ids[0]].targets == ()
    for i, evidence in found["mixed"].items():
        alone = found["labels" if i in known else "predicted"][i]
        assert evidence.targets == alone.targets
        assert np.allclose(evidence.levels, alone.levels, atol=1)
        assert evidence.scores == pytest.approx(alone.scores, abs=1e-4)
    assert any(found["predicted"][i].targets != found["mixed"][i].targets for i in known)
    assert witnessed(some, "mixed").ids == tuple(images.ids[1:])


def test_evidence_of_a_label_that_was_withdrawn_is_made_anew(trained: tuple[Path, str], run: Path) -> None:
    classifier, images = bc.load_classifier(trained[0]), bc.open_images(trained[1], "all")
    images = replace(images, ids=images.ids[:2])
    (a, b), every = images.ids, frozenset(range(len(images.classes)))
    labelled, withdrawn = replace(images, labels={a: every, b: every}), replace(images, labels={b: every})

    def mapped(some: bc.LabelledImages, targets: Literal["predicted", "mixed"]) -> dict[str, bc.Evidence]:
        assert bc.map_split(classifier, some, ["cam"], run, log=lambda _: None, targets=targets) == {}
        shelf = find_shelf(run, some, "cam", targets)
        return {i: shelf.read(i) for i in some.ids}

    predicted = mapped(withdrawn, "predicted")
    assert set(predicted[a].targets) < every
    assert set(mapped(labelled, "mixed")[a].targets) == every
    shelf = find_shelf(run, withdrawn, "cam", "mixed")
    assert [shelf.is_current(i) for i in (a, b)] == [False, True]
    with pytest.raises(bc.BeyondcamError, match="has other labels now"):
        shelf.read(a)
    again = mapped(withdrawn, "mixed")
    assert again[a].targets == predicted[a].targets
    assert [again[i].predicted for i in (a, b)] == [True, False]
    found = replace(images, labels={a: frozenset(predicted[a].targets), b: every})
    assert find_shelf(run, found, "cam", "mixed").is_current(a)  # a label that names what was found


def test_what_an_image_cost_and_what_no_view_of_it_covered_is_kept(
    trained: tuple[Path, str], run: Path
) -> None:
    """By labels, a photo of no class costs nothing, but is one of those the mean is over."""
    images, masks = bc.open_images(trained[1], "all"), bc.open_masks(trained[1], "all")
    crops = Crops(n=2, scale=(0.3, 0.3))
    recipes = {
        "cam": bc.Cookbook().recipe("cam"),
        "few": Recipe(source=Source(map="saliency", perturbation=crops)),
    }
    classifier = bc.load_classifier(trained[0])
    assert bc.map_split(classifier, images, recipes, run) == {}
    number, targets = len(images.ids), sum(len(images.labels[i]) for i in images.ids)
    shown = sum(bool(images.labels[i]) for i in images.ids)
    assert shown < number < targets + shown
    few = find_shelf(run, images, "few")
    for shelf, forward, backward in ((find_shelf(run, images, "cam"), 1, 0), (few, 1 + 2, 2)):
        cost = shelf.cost()
        passes = forward * shown, backward * targets  # scores are a pass of the whole image
        assert (cost["forward"], cost["backward"]) == pytest.approx([p / number for p in passes], rel=1e-5)
        pixels = sum(passes) * classifier.size**2
        assert cost["megapixels"] == pytest.approx(pixels / number / 1e6, rel=1e-5)
    uncovered = {}
    for i in images.ids:
        seen = np.zeros((48, 48), bool)
        for view in crops.views(i, 48, 48, classifier.size, 0):
            top, left, bottom, right = view.window
            seen[top:bottom, left:right] = True
        uncovered[i] = float(1 - seen.mean()) if images.labels[i] else 0.0
        assert few.read(i).uncovered == pytest.approx(uncovered[i], abs=1e-6)
    assert max(uncovered.values()) > 0.5
    row = bc.score_split(run, images, masks).row("few", "oracle")
    assert row.uncovered == pytest.approx(np.mean(list(uncovered.values())))


def test_scores_of_evidence_are_log_odds_whatever_zero_the_logits_have(tmp_path: Path) -> None:
    """Of a softmax: adding 6 to all logits changes no probability, and no confidence."""
    classifier, item = tiny(single_label=True, bias=True), photo()
    images = LabelledImages(
        "memory:", "all", ("c0", "c1", "c2"), ("a",), {"a": frozenset({1})}, lambda _: item
    )
    found = []
    for shift in (0, 6):
        assert classifier.bias is not None
        classifier.bias.data += shift
        bc.map_split(classifier, images, ["cam"], tmp_path / str(shift))
        (shelf,) = shelves(tmp_path / str(shift), images)
        found.append(shelf.read("a").scores[0])
    x = item.pixels[None].float()
    small = torch.nn.functional.interpolate(x, (32, 32), mode="bilinear", antialias=True).round() / 127.5 - 1
    p = classifier(small).scores.softmax(1)[0, 1].item()
    assert found == pytest.approx([math.log(p / (1 - p))] * 2, abs=1e-3)
