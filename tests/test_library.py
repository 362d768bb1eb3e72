"""Maps by any classifier of pictures in any form, of batches, and their evidence in any folder."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from torch import Tensor, nn

import beyondcam as bc
from beyondcam.evidence import checkpoint_hash, shelves
from beyondcam.recipes import Cookbook
from beyondcam.seeds import write_seeds
from conftest import complaint, make_folder

CLASSES = ["blue", "red", "green"]


class Net(nn.Module):
    """A small classifier with batch norm and dropout, as people write them."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 16, 3, 2))
        self.dropout, self.fc = nn.Dropout(0.5), nn.Linear(16, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        return self.fc(self.dropout(self.body(x).relu().mean((2, 3))))


def wrapped(net: nn.Module | None = None, classes: list[str] | None = None) -> bc.Wrapped:
    torch.manual_seed(0)
    return bc.wrap(net or Net(), classes or CLASSES, mean=(0.5,) * 3, std=(0.5,) * 3, size=32)


@pytest.fixture
def pixels() -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)


def test_a_picture_in_any_form_gives_the_same_map(pixels: np.ndarray[Any, Any], tmp_path: Path) -> None:
    classifier, picture = wrapped(), Image.fromarray(pixels)
    picture.save(tmp_path / "photo.png")
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)
    expected = bc.map_image(classifier, bc.Photo.of(tensor), ["red"], "cam")
    assert expected.shape == (1, 40, 56)
    forms = [
        tmp_path / "photo.png", str(tmp_path / "photo.png"), picture, picture.convert("RGBA"), pixels,
        pixels / 255, tensor, tensor[None], tensor / 255, bc.read_photo(str(tmp_path / "photo.png")),
    ]  # fmt: skip
    for form in forms:
        assert torch.equal(bc.map_image(classifier, form, ["red"], "cam"), expected)
    grey = [pixels[:, :, 0], pixels[:, :, :1], tensor[:1], Image.fromarray(pixels[:, :, 0])]
    assert len({bc.map_image(classifier, form, "red", "cam").sum().item() for form in grey}) == 1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_a_tensor_may_be_of_any_floats(dtype: torch.dtype, pixels: np.ndarray[Any, Any]) -> None:
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)
    difference = bc.library.as_photo((tensor / 255).to(dtype)).pixels.int() - tensor.int()
    assert difference.abs().max() <= 1


@pytest.mark.parametrize("mode", ["I;16", "I", "F", "LA", "CMYK", "1"])
def test_an_opened_picture_is_what_its_file_is(mode: str, tmp_path: Path) -> None:
    ramp = np.arange(40 * 56, dtype=np.float32).reshape(40, 56)
    if mode in ("I;16", "I", "F"):
        deep = {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]
        picture = Image.fromarray((ramp * 3).astype(deep))
    else:
        picture = Image.fromarray((ramp / 9).astype(np.uint8)).convert(mode)
    picture.getexif()[0x0112] = 6
    picture.save(tmp_path / "photo.tif", exif=picture.getexif(), compression="tiff_lzw")
    of_file = bc.read_photo(tmp_path / "photo.tif")
    with Image.open(tmp_path / "photo.tif") as opened:
        photo = bc.library.as_photo(opened)
    assert torch.equal(photo.pixels, of_file.pixels)
    assert photo.size == of_file.size
    assert photo.pixels.float().std() > 50  # neither white nor black


def test_large_pictures_are_worked_on_at_1024_pixels_as_files_are() -> None:
    photo = bc.library.as_photo(np.zeros((10, 2048, 3), np.uint8))
    assert (photo.size, photo.pixels.shape) == ((10, 2048), (3, 5, 1024))


@pytest.mark.parametrize(
    ("image", "named"),
    [
        (torch.randn(3, 8, 8), "[0, 1]"),
        (torch.rand(2, 3, 8, 8), "map_batch"),
        (torch.rand(5, 8, 8), "(3, H, W)"),
        (np.zeros((3, 8, 8), np.uint8), "(H, W, 3)"),
        (np.zeros((8, 8, 3), np.int64), "int64"),
        (7, "int"),
        (Image.new("RGB", (0, 4)), "no pixels"),
        (Image.fromarray(np.full((4, 4), np.nan, np.float32)), "not finite"),
        ("nowhere.jpg", "no such image"),
    ],
)
def test_what_is_no_picture_is_one_line(image: Any, named: str) -> None:
    complaint(lambda: bc.map_image(wrapped(), image, "red", "cam"), named)


def test_targets_by_name_index_one_several_or_none(pixels: np.ndarray[Any, Any]) -> None:
    classifier = wrapped()
    maps = bc.map_image(classifier, pixels, ["green", "blue", "red"], "cam")
    assert torch.equal(bc.map_image(classifier, pixels, [2, "blue", 1], "cam"), maps)
    ascending = bc.map_image(classifier, pixels, [0, 1, 2], "cam")
    assert torch.equal(bc.map_image(classifier, pixels, frozenset((2, 0, 1)), "cam"), ascending)
    assert torch.equal(bc.map_image(classifier, pixels, "green", "cam"), maps[:1])
    assert torch.equal(bc.map_image(classifier, pixels, 0, "cam"), maps[1:2])
    named = bc.classify(classifier, pixels)
    assert [p for _, p in named] == sorted((p for _, p in named), reverse=True)
    assert sum(p for _, p in named) == pytest.approx(1)
    complaint(lambda: bc.classify(classifier, pixels, 0), "top: at least 1")
    by_probability = bc.map_image(classifier, pixels, (name for name, _ in named), "cam")
    for same in ([CLASSES.index(name) for name, _ in named], None):
        assert torch.equal(bc.map_image(classifier, pixels, same, "cam"), by_probability)
    integers = (
        np.int64(2),
        np.array([2]),
        torch.tensor(2),
        torch.tensor([2]),
        [torch.tensor(2)],
        [np.uint8(2)],
    )
    for integer in integers:
        assert torch.equal(bc.map_image(classifier, pixels, integer, "cam"), maps[:1])
    wrong_ones = (
        "dog", 3, -1, True, ["red", 1.0], torch.tensor([True, False, False]), np.bool_(1),
        np.float32(1), torch.tensor(1.0), [[1]],
    )  # fmt: skip
    for wrong in wrong_ones:
        complaint(lambda t=wrong: bc.map_image(classifier, pixels, t, "cam"), "targets", "no class")
    complaint(lambda: bc.map_image(classifier, pixels, ["red", 1], "cam"), "twice")


def test_a_bare_network_is_wrapped_where_it_tells_enough(pixels: np.ndarray[Any, Any]) -> None:
    net = timm.create_model("test_resnet", num_classes=1000).train()
    assert bc.map_image(net, pixels, 7, "cam").shape == (1, 40, 56)
    assert net.training
    complaint(lambda: bc.map_image(Net(), pixels, 1, "cam"), "mean", "give")


def test_train_mode_no_grad_and_inference_mode_change_nothing(pixels: np.ndarray[Any, Any]) -> None:
    net = Net().eval()
    parts = bc.Classifier(net.body, net.fc, CLASSES, size=32).eval()
    for classifier in (wrapped(net), parts):
        expected = bc.map_image(classifier, pixels, "red", "crops+smooth")
        net.train()
        classifier.train()
        before = {key: value.clone() for key, value in net.state_dict().items()}
        with torch.no_grad():
            assert torch.equal(bc.map_image(classifier, pixels, "red", "crops+smooth"), expected)
        with torch.inference_mode():
            assert torch.equal(bc.map_image(classifier, pixels, "red", "crops+smooth"), expected)
        assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())
        assert net.body.training
        net.eval()


def test_a_network_that_gives_nan_is_said_to(pixels: np.ndarray[Any, Any]) -> None:
    net = Net()
    classifier = wrapped(net)
    nn.init.constant_(net.fc.weight, float("nan"))
    complaint(lambda: bc.map_image(classifier, pixels, "red", "cam"), "NaN")
    complaint(lambda: bc.classify(classifier, pixels), "NaN")


def test_a_batch_is_mapped_as_the_network_takes_it() -> None:
    net = Net()
    classifier = wrapped(net)
    x = torch.randn(3, 3, 32, 32)
    leaf = x.clone().requires_grad_()
    net.eval()(leaf)[range(3), [2, 0, 1]].sum().backward()
    assert leaf.grad is not None
    expected = leaf.grad.abs().amax(1)
    torch.testing.assert_close(bc.map_batch(classifier, x, [2, "blue", 1]), expected)
    torch.testing.assert_close(bc.map_batch(classifier, x, torch.tensor([2, 0, 1])), expected)
    several = torch.tensor([[True, False, True], [False] * 3, [False, True, False]])
    assert torch.equal(bc.map_batch(classifier, x, several)[1], bc.map_batch(classifier, x, [2, 2, 2])[0])
    assert torch.equal(bc.map_batch(classifier, x, several.numpy()), bc.map_batch(classifier, x, several))
    for name in ("cam", "saliency"):
        assert bc.map_batch(classifier, x, torch.zeros_like(several), name).shape == (0, 32, 32)
    with torch.no_grad():
        best = net(x).argmax(1)
    cams = bc.map_batch(classifier, x, best, map="cam")
    assert cams.shape == (3, 32, 32)
    assert torch.equal(cams, bc.map_batch(classifier, x, best.numpy(), bc.maps.CAM()))
    assert torch.equal(cams, bc.map_batch(classifier, x, map="cam"))
    complaint(lambda: bc.map_batch(classifier, x[0], [1]), "inputs", "(B, 3, H, W)")
    for wrong in ([1, 2], 1, "red"):
        complaint(lambda t=wrong: bc.map_batch(classifier, x, t), "targets", "3 inputs")
    complaint(lambda: bc.map_batch(classifier, x, best, "magic"), "map", "saliency")
    complaint(lambda: bc.map_batch(classifier, x, best, "crops"), "map: 'crops' is a recipe", "map_image")


def test_numbers_that_are_none_are_named_in_a_batch_too() -> None:
    net = Net()
    classifier, x = wrapped(net), torch.full((1, 3, 32, 32), torch.nan)
    for name in ("saliency", "cam"):
        complaint(lambda m=name: bc.map_batch(classifier, x, [0], m), "network: gives NaN")
    nn.init.constant_(net.fc.weight, torch.inf)
    complaint(lambda: bc.map_batch(classifier, torch.rand(1, 3, 32, 32), [0], "centre"), "network: gives NaN")


def test_a_plot_has_the_picture_and_a_panel_for_each_map(
    pixels: np.ndarray[Any, Any], tmp_path: Path
) -> None:
    maps = bc.map_image(wrapped(), pixels, ["red", "blue"], "saliency")
    figure = bc.plot(pixels, maps, ["$x^{$ red", "$blue"], out=tmp_path / "maps.png")
    assert [axis.get_title() for axis in figure.axes] == ["", "$x^{$ red", "$blue"]
    shown = figure.axes[1].images[1].get_array()
    np.testing.assert_allclose(shown, (maps[0] / maps[0].max()).sqrt(), atol=1e-6)
    with Image.open(tmp_path / "maps.png") as picture:
        assert picture.size[0] > picture.size[1]
    assert len(bc.plot(pixels, torch.zeros(20, 28)).axes) == 2
    assert len(bc.plot(pixels, np.zeros((3, 20, 28), np.float32)).axes) == 4
    complaint(lambda: bc.plot(pixels, maps[:0]), "maps: there is none")
    complaint(lambda: bc.plot(pixels, maps, ["red"]), "names", "2 maps")
    complaint(lambda: bc.plot(pixels, maps, out=tmp_path / "no" / "maps.png"), "out", "no/maps.png")


@pytest.fixture
def discs(tmp_path: Path) -> bc.LabelledImages:
    return bc.open_images(make_folder(tmp_path / "discs", 8), "all")


def test_any_networks_evidence_is_kept_in_any_folder(discs: bc.LabelledImages, tmp_path: Path) -> None:
    net, out = Net(2), tmp_path / "maps"
    classifier = wrapped(net, ["blue", "red"])
    assert bc.map_split(classifier, discs, ["cam"], str(out)) == {}
    for recipes in ("cam", {"cam": "cam"}, {"cam": Cookbook().recipe("cam")}):
        bc.map_split(classifier, discs, recipes, out)
    for wrong in ([Cookbook().recipe("cam")], {"cam": 1}, Cookbook().recipe("cam"), "camm"):
        complaint(lambda r=wrong: bc.map_split(classifier, discs, r, out), "recipe")
    assert checkpoint_hash(out) == bc.fingerprint(classifier)
    (shelf,) = shelves(out, discs)
    levels = shelf.read("p02").levels
    maps = bc.map_image(classifier, discs.read("p02"), ["blue", "red"], "cam", image_id="p02")
    expected = (maps / maps.amax((1, 2), keepdim=True)).sqrt() * 255
    np.testing.assert_allclose(levels, expected, atol=1.01)
    evidence = bc.open_evidence(str(out), discs, "cam")
    np.testing.assert_array_equal(evidence("p02").levels, levels)
    np.testing.assert_array_equal(bc.seed_labels(evidence("p02"), 0.3), bc.mask(maps, 0.3, targets=[0, 1]))
    complaint(
        lambda: bc.open_evidence(out, discs, "best"), "recipe: best: no evidence on all", "there is cam"
    )

    masks = bc.open_masks(Path(discs.data.removeprefix("folder:")), "all", discs.classes)
    assert masks is not None
    scores = bc.score_split(str(out), discs, masks)
    complaint(lambda: bc.score_split(out, discs, None), "masks: the data have none")
    assert {row.checkpoint for row in scores.rows} <= {bc.fingerprint(classifier)}
    assert {row.recipe for row in scores.rows} == {"cam"}
    assert write_seeds(discs, shelf, 0.3, tmp_path / "seeds").left_out == {}
    assert len(list((tmp_path / "seeds" / "masks").iterdir())) == 8

    with torch.no_grad():
        net.fc.weight += 1
    assert list(shelves(out, discs)) == [shelf]  # until the changed network maps
    bc.map_split(classifier, discs, ["cam"], out)
    (after,) = shelves(out, discs)
    assert after.folder != shelf.folder


def test_a_fingerprint_changes_with_what_the_function_depends_on_and_with_nothing_else() -> None:
    net = Net()
    classifier = wrapped(net)
    first = bc.fingerprint(classifier)
    net.train()
    classifier(torch.randn(2, 3, 48, 48))
    assert bc.fingerprint(classifier) == first
    assert bc.fingerprint(wrapped(net)) == first
    assert bc.fingerprint(classifier.to(memory_format=torch.channels_last)) == first
    powers = {n: lambda output, n=n: output**n for n in (1, 2)}
    others = [
        bc.wrap(net, CLASSES, mean=(0.4,) * 3, std=(0.5,) * 3, size=32),
        bc.wrap(net, CLASSES, mean=(0.5,) * 3, std=(0.5,) * 3, size=48),
        bc.wrap(net, CLASSES, mean=(0.5,) * 3, std=(0.5,) * 3, size=32, single_label=False),
        bc.wrap(net, ["a", "b", "c"], mean=(0.5,) * 3, std=(0.5,) * 3, size=32),
    ]
    for power in (1, 2):  # what is no module: a function, a dictionary, a tensor
        others.append(bc.wrap(net, CLASSES, mean=(0.5,) * 3, std=(0.5,) * 3, size=32, logits=powers[power]))
        for attribute in ({"power": power}, torch.tensor(float(power))):
            other = Net()
            other.load_state_dict(net.state_dict())
            other.extra = attribute
            others.append(wrapped(other))
    net.cache = {}  # it is emptied when the network is moved
    assert bc.fingerprint(classifier) == bc.fingerprint(wrapped(net))
    before = bc.fingerprint(classifier)
    net.cache = {"cpu": torch.ones(2)}  # as timm's LeViT keeps its biases, once it has run
    assert bc.fingerprint(classifier) == bc.fingerprint(wrapped(net))
    assert bc.fingerprint(classifier) == before
    net.cache["cuda:0"] = torch.ones(2)
    assert bc.fingerprint(classifier) == bc.fingerprint(wrapped(net))
    net.body[3].stride = (1, 1)
    others.append(classifier)
    assert len({first, *map(bc.fingerprint, others[:-1])}) == len(others)
    assert bc.fingerprint(classifier) != first


def test_a_loaded_classifier_has_its_files_hash_while_its_weights_are_the_files(
    trained: tuple[Path, str], tmp_path: Path
) -> None:
    run, data = trained
    classifier = bc.load_classifier(str(run))
    assert bc.fingerprint(classifier) == checkpoint_hash(run)
    assert bc.fingerprint(bc.folded(classifier)) == checkpoint_hash(run)
    with torch.no_grad():
        classifier.weight.data += 1  # which torch counts as no change
    assert classifier.checkpoint is None
    other = bc.fingerprint(classifier)
    assert other != checkpoint_hash(run)

    copy = tmp_path / "run"
    copy.mkdir()
    (copy / "classifier.safetensors").write_bytes((run / "classifier.safetensors").read_bytes())
    images, recipes = bc.open_images(data, "all"), {"cam": Cookbook().recipe("cam")}
    for mapped, out in ((classifier, tmp_path / "other"), (bc.load_classifier(run), copy)):
        bc.map_split(mapped, images, recipes, out)
        assert checkpoint_hash(out) == bc.fingerprint(mapped)
        assert len(list(shelves(out, images))) == 1
    bc.map_split(classifier, images, recipes, copy)  # a RUN's evidence is of its own network alone
    assert checkpoint_hash(copy) == checkpoint_hash(run)
    assert len(list(shelves(copy, images))) == 1


def test_a_set_of_names_and_indices_is_taken_and_a_batch_of_none_is_not() -> None:
    maps = bc.map_image(wrapped(), np.zeros((20, 30, 3), np.uint8), {"green", 0}, recipe="cam")
    assert maps.shape == (2, 20, 30)
    image = np.zeros((20, 30, 3), np.uint8)
    complaint(lambda: bc.map_image(wrapped(), image, 0, recipe="cam", batch=0), "batch: ", "at least 1")


def test_a_network_without_parameters_is_one_line() -> None:
    complaint(lambda: wrapped(nn.Flatten()), "parameters")


@pytest.mark.skipif(not hasattr(torch.backends.cudnn, "conv"), reason="torch has other flags")
def test_no_maps_of_a_batch_are_made_in_tf32() -> None:
    seen, flags = [], torch.backends.cudnn.conv

    class Spy(Net):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(flags.fp32_precision)
            return super().forward(x)

    before, flags.fp32_precision = flags.fp32_precision, "tf32"
    try:
        net = wrapped(Spy())
        bc.folded(net)
        bc.map_batch(net, torch.rand(1, 3, 32, 32), [0])
        assert flags.fp32_precision == "tf32"
    finally:
        flags.fp32_precision = before
    assert set(seen) == {"ieee"}
