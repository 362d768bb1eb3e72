"""Anybody's networks, wrapped: their own scores, activations that add up to them, nothing changed."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn
from torchvision.models import ResNet18_Weights

from beyondcam import map_batch
from beyondcam.classifier import Classifier, Wrapped, folded, wrap
from beyondcam.classifier.model import evaluating
from conftest import complaint
from networks import affinities_of

CLASSES = ("a", "b", "c", "d", "e")
PLAIN: dict[str, Any] = {"mean": (0.5,) * 3, "std": (0.25,) * 3, "size": 64}

TOKEN, FLAT, HIDDEN = "one token", "flattens", "stands between"
"""Why a network has no class activations."""

tv = torchvision.models
tv_swin: dict[str, Any] = {
    "patch_size": [4, 4], "embed_dim": 24, "depths": [2, 2], "num_heads": [2, 4], "window_size": [4, 4],
}  # fmt: skip
tv_vit = {
    "image_size": 64,
    "patch_size": 16,
    "num_layers": 1,
    "num_heads": 2,
    "hidden_dim": 32,
    "mlp_dim": 64,
}
tv_maxvit: dict[str, Any] = {
    "input_size": (64, 64), "stem_channels": 8, "block_channels": [8, 16], "block_layers": [1, 1],
    "head_dim": 8, "stochastic_depth_prob": 0.0, "partition_size": 4,
}  # fmt: skip
tv_convnext = [tv.convnext.CNBlockConfig(16, 32, 2), tv.convnext.CNBlockConfig(32, None, 2)]
small = {"img_size": 64}


def narrow(net: nn.Module, num_classes: int, channels: int) -> nn.Module:
    """A network that flattens, made without memory, with a hidden layer of 16 instead of 4,096."""
    net.classifier = nn.Sequential(
        nn.Linear(channels * 49, 16), nn.ReLU(inplace=True), nn.Dropout(), nn.Linear(16, num_classes)
    )
    net.features.to_empty(device="cpu").apply(lambda m: getattr(m, "reset_parameters", lambda: None)())
    return net


def vgg(num_classes: int) -> nn.Module:
    with torch.device("meta"):
        layers = tv.vgg.make_layers([16, "M", 32, "M", 512, "M"], batch_norm=True)
        net = tv.VGG(layers, init_weights=False)
    return narrow(net, num_classes, 512)


def alexnet(num_classes: int) -> nn.Module:
    with torch.device("meta"):
        net = tv.alexnet()
    net.avgpool = nn.AdaptiveAvgPool2d(7)
    return narrow(net, num_classes, 256)


NETWORKS: list[tuple[str, Callable[..., nn.Module], str | None]] = [
    ("resnet18", tv.resnet18, None),
    ("densenet121", tv.densenet121, None),
    ("squeezenet1_1", tv.squeezenet1_1, None),
    ("mobilenet_v2", tv.mobilenet_v2, None),
    ("mobilenet_v3_small", tv.mobilenet_v3_small, HIDDEN),
    ("mnasnet0_5", tv.mnasnet0_5, None),
    ("shufflenet_v2_x0_5", tv.shufflenet_v2_x0_5, None),
    ("regnet_y_400mf", tv.regnet_y_400mf, None),
    ("efficientnet_b0", tv.efficientnet_b0, None),
    ("googlenet", partial(tv.googlenet, init_weights=False), None),
    ("alexnet", alexnet, FLAT),
    ("vgg", vgg, FLAT),
    ("convnext", partial(tv.ConvNeXt, tv_convnext), None),
    ("swin", partial(tv.SwinTransformer, **tv_swin), None),
    ("vit", partial(tv.VisionTransformer, **tv_vit), TOKEN),
    ("maxvit", partial(tv.MaxVit, **tv_maxvit), HIDDEN),
    ("timm convnext", partial(timm.create_model, "convnext_atto"), None),
    ("timm convnextv2", partial(timm.create_model, "convnextv2_atto"), None),
    ("timm vit", partial(timm.create_model, "vit_tiny_patch16_224", depth=1, **small), TOKEN),
    ("timm vit avg", partial(timm.create_model, "vit_tiny_patch16_224", depth=1, global_pool="avg", **small),
     None),
    ("timm deit", partial(timm.create_model, "deit_tiny_distilled_patch16_224", depth=1, **small), TOKEN),
    ("timm beit", partial(timm.create_model, "beit_base_patch16_224", depth=1, embed_dim=96, num_heads=3,
                          **small), None),
    ("timm eva02", partial(timm.create_model, "eva02_tiny_patch14_224", depth=1, img_size=70), None),
    ("timm cait", partial(timm.create_model, "cait_xxs24_224", depth=1, **small), TOKEN),
    ("timm swin", partial(timm.create_model, "swin_tiny_patch4_window7_224", embed_dim=24, **small), None),
    ("timm swinv2", partial(timm.create_model, "swinv2_tiny_window8_256", embed_dim=24, **small), None),
    ("timm mixer", partial(timm.create_model, "mixer_s32_224", **small), None),
    ("timm resmlp", partial(timm.create_model, "resmlp_12_224", **small), None),
    ("timm hiera", partial(timm.create_model, "hiera_tiny_224", **small), None),
    ("timm levit", partial(timm.create_model, "levit_128s"), None),
    ("timm poolformer", partial(timm.create_model, "poolformer_s12"), None),
    ("timm pvt", partial(timm.create_model, "pvt_v2_b0"), None),
    ("timm mobilevit", partial(timm.create_model, "mobilevit_xxs"), None),
    ("timm efficientnet", partial(timm.create_model, "tf_efficientnet_lite0"), None),
    ("timm regnet", partial(timm.create_model, "regnety_002"), None),
    ("timm resnetv2", partial(timm.create_model, "resnetv2_18"), None),
    ("timm repvgg", partial(timm.create_model, "repvgg_a0"), None),
    ("timm ghostnet", partial(timm.create_model, "ghostnet_050"), HIDDEN),
    ("timm inception next", partial(timm.create_model, "inception_next_atto"), HIDDEN),
    ("timm edgenext", partial(timm.create_model, "edgenext_xx_small"), None),
    ("timm starnet", partial(timm.create_model, "starnet_s1"), None),
]  # fmt: skip


def random_weights(net: nn.Module) -> nn.Module:
    """In float64, with weights, biases and statistics that no default has, and no zeros among them."""
    generator = torch.Generator().manual_seed(0)
    for name, tensor in net.double().state_dict().items():
        if name.endswith("running_var"):
            tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator, dtype=torch.float64))
        elif tensor.is_floating_point():
            tensor.add_(torch.randn(tensor.shape, generator=generator, dtype=torch.float64), alpha=0.02)
    return net


def noise(side: int = 64, n: int = 2) -> Tensor:
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


@pytest.mark.parametrize(("name", "make", "reason"), NETWORKS, ids=[name for name, *_ in NETWORKS])
def test_scores_are_the_networks_own_and_activations_add_up_to_them(
    name: str, make: Callable[..., nn.Module], reason: str | None
) -> None:
    torch.manual_seed(0)
    net = random_weights(make(num_classes=5)).train()
    side = {"timm levit": 224, "timm eva02": 70}.get(name, 64)
    state = {key: value.clone() for key, value in net.state_dict().items()}
    classifier = wrap(net, CLASSES, **PLAIN | {"size": side})
    x = noise(side).requires_grad_()
    scores, activations = classifier(x)
    assert all(module.training for module in net.modules())
    assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())
    with evaluating(net):
        own = net(x.detach())
    torch.testing.assert_close(scores, own, rtol=1e-9, atol=1e-9)
    assert float((scores[0] - scores[1]).detach().abs().max()) > 0
    (gradient,) = torch.autograd.grad(scores[:, 1].sum(), x)
    assert float(gradient.abs().sum()) > 0
    if reason:
        complaint(lambda: activations[0], "cam", reason, "saliency")
        return
    bias = (scores - activations.mean((2, 3))).detach()  # the same for every image
    torch.testing.assert_close(*bias, rtol=1e-9, atol=1e-9 * float(activations.detach().abs().max()))
    assert activations.shape[2] > 1
    features = classifier.backbone(x)
    assert features.ndim == 4
    assert features.shape[2:] == activations.shape[2:]


def test_activations_are_the_head_at_every_place() -> None:
    x = noise()
    net = random_weights(tv.resnet18(num_classes=5)).eval()
    with torch.no_grad():
        features = nn.Sequential(*list(net.children())[:-2])(x)
        expected = torch.einsum("ck,bkhw->bchw", net.fc.weight, features)
        torch.testing.assert_close(wrap(net, CLASSES, **PLAIN)(x).activations, expected)


def test_of_a_norm_behind_pooling_every_place_has_the_photos_variance() -> None:
    x = noise()
    net = random_weights(tv.ConvNeXt(tv_convnext, num_classes=5)).eval()
    norm, head = net.classifier[0], net.classifier[2]
    with torch.no_grad():
        f = net.features(x)
        spread = (f.mean((2, 3)).var(1, correction=0) + norm.eps).sqrt()
        centred = (f - f.mean(1, keepdim=True)) / spread[:, None, None, None]
        expected = torch.einsum("ck,k,bkhw->bchw", head.weight, norm.weight, centred)
        activations = wrap(net, CLASSES, **PLAIN)(x).activations
    torch.testing.assert_close(activations, expected)


def test_tokens_and_channels_last_become_places_in_the_photos_order() -> None:
    x = noise()
    swin = random_weights(tv.SwinTransformer(**tv_swin, num_classes=5)).eval()
    vit = timm.create_model("vit_tiny_patch16_224", depth=1, global_pool="avg", num_classes=5, **small)
    random_weights(vit).eval()
    with torch.no_grad():
        expected = swin.head(swin.norm(swin.features(x))) - swin.head.bias  # (B, h, w, C)
        torch.testing.assert_close(wrap(swin, CLASSES, **PLAIN)(x).activations, expected.permute(0, 3, 1, 2))
        tokens = vit.forward_features(x)[:, 1:]
        torch.testing.assert_close(wrap(vit, CLASSES, **PLAIN).backbone(x)[:, :, 1, 2], tokens[:, 4 * 1 + 2])


class Rows(nn.Module):
    """Patches as tokens, in an order of one's own."""

    def __init__(self, order: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.head, self.order = nn.Conv2d(3, 16, 8, 8), nn.Linear(16, 5), order

    def forward(self, x: Tensor) -> Tensor:
        """Scores."""
        return self.head(self.order(self.conv(x).relu()).flatten(2).mean(2))


def test_places_in_another_order_than_the_photos_are_refused() -> None:
    assert wrap(Rows(lambda f: f), CLASSES, **PLAIN)(noise().float()).activations.shape == (2, 5, 8, 8)
    for order in (lambda f: f.mT, lambda f: f.flip(-1), lambda f: f.flatten(2)[:, :, torch.randperm(64)]):
        activations = wrap(Rows(order), CLASSES, **PLAIN)(noise().float()).activations
        complaint(lambda found=activations: found.shape, "cam", "order")


class Plain(nn.Module):
    """As people write them: functions, and no module for pooling."""

    def __init__(self, how: Callable[["Plain", Tensor], Any] | None = None) -> None:
        super().__init__()
        self.conv1, self.norm, self.conv2 = nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.Conv2d(8, 16, 3, 2)
        self.fc = nn.Linear(16, 5)
        self.how = how

    def logits(self, x: Tensor) -> Tensor:
        """Scores."""
        x = nn.functional.relu(self.conv2(nn.functional.relu(self.norm(self.conv1(x)))))
        return self.fc(nn.functional.avg_pool2d(x, x.shape[2:]).view(len(x), -1))

    def forward(self, x: Tensor) -> Any:
        """Scores, or what is made of them."""
        return self.how(self, x) if self.how else self.logits(x)


def frozen(net: Plain, x: Tensor) -> Tensor:
    with torch.no_grad():
        x = net.conv2(net.conv1(x))
    return net.fc(x.mean((2, 3)))


def by_name(net: Plain, x: Tensor) -> Tensor:
    return torch.relu(input=torch.cat(tensors=[net.conv2(net.conv1(x))], dim=1))


def answers(classifier: Wrapped) -> tuple[Tensor, Tensor, Tensor]:
    x = noise().float().requires_grad_()
    scores, activations = classifier(x)
    (gradient,) = torch.autograd.grad(scores[:, 1].sum(), x)
    return scores.detach(), activations.detach(), gradient


WORKS: dict[str, Callable[[Plain, Tensor], Any]] = {
    "tuple": lambda net, x: (net.logits(x), x),
    "dict": lambda net, x: {"features": x, "out": net.logits(x)},
    "entry logits": lambda net, x: {"aux": x[:, :, 0, :5].mean(1), "logits": net.logits(x)},
    "in place": lambda net, x: net.logits(x.mul_(2)),
    "in-place ReLU": lambda net, x: net.logits(nn.functional.relu(x, inplace=True)),
    "temperature": lambda net, x: net.logits(x) / 4,
    "by name": lambda net, x: nn.functional.linear(
        input=torch.flatten(input=torch.mean(input=by_name(net, x), dim=(2, 3)), start_dim=1),
        weight=net.fc.weight,
        bias=net.fc.bias,
    ),
}


@pytest.mark.parametrize("how", WORKS.values(), ids=WORKS)
def test_networks_of_other_habits_work(how: Callable[[Plain, Tensor], Any]) -> None:
    torch.manual_seed(0)
    scores, activations, gradient = answers(wrap(Plain(how), CLASSES, **PLAIN))
    assert scores.shape == (2, 5)
    assert activations.shape == (2, 5, 15, 15)
    assert float(gradient.abs().sum()) > 0


REFUSED: dict[str, tuple[Callable[[Plain, Tensor], Any], tuple[str, ...]]] = {
    "two tensors": (lambda net, x: (net.logits(x), net.logits(x)), ("logits", "2 tensors")),
    "softmax": (lambda net, x: net.logits(x).softmax(1), ("probabilities", "softmax")),
    "sigmoid": (lambda net, x: torch.sigmoid(net.logits(x)), ("probabilities",)),
    "dropout": (lambda net, x: net.logits(nn.functional.dropout(x)), ("dropout",)),
    "batch": (lambda net, x: net.logits(x - x.mean()), ("batch",)),
    "NaN": (lambda net, x: net.logits(x) * float("nan"), ("NaN",)),
    "frozen": (frozen, ("gradient", "cam")),
    "one channel": (lambda net, x: nn.functional.conv2d(x, torch.ones(1, 1, 3, 3)), ("3 × 64 × 64",)),
}


@pytest.mark.parametrize(("how", "named"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_right_is_refused_in_one_line(
    how: Callable[[Plain, Tensor], Any], named: tuple[str, ...]
) -> None:
    net = Plain(how)
    complaint(lambda: answers(wrap(net, CLASSES, **PLAIN)), *named)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
    assert all(module.training for module in net.modules())


def test_scores_that_are_some_of_a_layers_have_maps_of_gradients_and_no_class_activations() -> None:
    classifier = wrap(Plain(lambda net, x: net.logits(x)[:, :2]), CLASSES[:2], **PLAIN)
    x = noise().float().requires_grad_()
    scores, activations = classifier(x)
    assert torch.autograd.grad(scores.sum(), x)[0].abs().sum() > 0
    complaint(lambda: activations.shape, "cam", "some of its activations alone")


def test_a_photo_without_numbers_says_nothing_of_the_others() -> None:
    """A grey photo has nothing to divide by; whether it comes first makes no difference."""
    classifier = wrap(Plain(lambda net, x: net.logits(x / x.abs().amax((1, 2, 3), True))), CLASSES, **PLAIN)
    for x in (torch.zeros(2, 3, 64, 64), noise().float()):
        scores, activations = classifier(x)
        assert activations.shape == (2, 5, 15, 15)
    assert scores.isfinite().all()


def test_a_hidden_layer_and_log_softmax_have_no_class_activations() -> None:
    class Hidden(Plain):
        def logits(self, x: Tensor) -> Tensor:
            return super().logits(x).log_softmax(1)

    complaint(lambda: answers(wrap(Hidden(), CLASSES, **PLAIN)), "log_softmax stands between")


@pytest.mark.parametrize(
    ("dtype", "least"), [(torch.half, 0.999), (torch.bfloat16, 0.99), (torch.float64, 0.999)]
)
def test_other_precisions_give_the_same_but_for_rounding(dtype: torch.dtype, least: float) -> None:
    """bfloat16 has 8 significant bits, half 11."""
    torch.manual_seed(0)
    net = Plain()
    expected = answers(wrap(net, CLASSES, **PLAIN))
    for ours, exact in zip(answers(wrap(net.to(dtype), CLASSES, **PLAIN)), expected, strict=True):
        assert torch.cosine_similarity(ours.float().flatten(), exact.flatten(), dim=0) > least


def test_parallel_compiled_frozen_and_weight_normed_networks_work() -> None:
    torch.manual_seed(0)
    net = Plain()
    expected = answers(wrap(net, CLASSES, **PLAIN))
    normed = Plain()
    normed.load_state_dict(net.state_dict())
    for layer in (normed.conv1, normed.fc):
        with pytest.warns(FutureWarning):
            nn.utils.weight_norm(layer)
    parametrized = Plain()
    parametrized.load_state_dict(net.state_dict())
    nn.utils.parametrizations.weight_norm(parametrized.fc)
    others = [nn.DataParallel(net), torch.compile(net), normed, parametrized, net.requires_grad_(False)]
    for other in others:
        for classifier in (wrap(other, CLASSES, **PLAIN), folded(wrap(other, CLASSES, **PLAIN))):
            for ours, exact in zip(answers(classifier), expected, strict=True):
                torch.testing.assert_close(ours, exact, rtol=1e-4, atol=1e-4 * float(exact.abs().max()))


def test_no_grad_and_inference_mode_around_it_do_no_harm() -> None:
    with torch.no_grad():
        classifier = wrap(Plain(), CLASSES, **PLAIN)
    with torch.inference_mode():
        again = wrap(classifier.net, CLASSES, **PLAIN)
        assert again(noise().float()).activations.shape == (2, 5, 15, 15)
    assert answers(classifier)[2].abs().sum() > 0


def test_what_is_trained_later_is_seen_and_nothing_is_copied() -> None:
    net = Plain()
    classifier = wrap(net, CLASSES, **PLAIN)
    assert {*map(id, classifier.parameters())} == {*map(id, net.parameters())}
    assert classifier.weight is net.fc.weight
    before = answers(classifier)[0]
    nn.init.normal_(net.fc.weight)
    scores, activations, _ = answers(classifier)
    assert not torch.equal(scores, before)
    torch.testing.assert_close(activations.mean((2, 3)) + net.fc.bias, scores, rtol=1e-4, atol=1e-4)


def test_its_mode_is_its_owners() -> None:
    net = Plain()
    net.norm.eval()  # as while training that keeps the statistics
    classifier = wrap(net, CLASSES, **PLAIN).eval().train()
    answers(classifier)
    assert [net.training, net.norm.training, net.conv1.training] == [True, False, True]
    assert int(net.norm.num_batches_tracked) == 0
    assert all(parameter.grad is None for parameter in net.parameters())


def test_one_place_for_the_whole_photo_is_said_and_larger_inputs_have_more() -> None:
    net = tv.resnet18(num_classes=5)
    classifier = wrap(net, CLASSES, **PLAIN | {"size": 32})
    complaint(lambda: classifier(noise(32).float()).activations.shape, "one place")
    assert classifier(noise(64).float()).activations.shape == (2, 5, 2, 2)


def test_pooling_that_leaves_places_out_at_some_sizes_is_refused_there() -> None:
    class Fixed(Plain):
        def logits(self, x: Tensor) -> Tensor:
            return self.fc(nn.functional.avg_pool2d(self.conv2(self.norm(self.conv1(x))), 15).flatten(1))

    classifier = wrap(Fixed(), CLASSES, **PLAIN)
    assert answers(classifier)[1].shape == (2, 5, 15, 15)
    complaint(lambda: classifier(noise(80).float()).activations.shape, "mean of its activations")
    complaint(lambda: classifier(noise(128).float()), "network: does not take inputs of 3 × 128 × 128")


def test_batch_norms_are_folded_but_not_where_a_network_reads_them() -> None:
    class Reads(Plain):
        def logits(self, x: Tensor) -> Tensor:
            return super().logits(x) * self.norm.weight.mean()

    for net, left in ((Plain(), 0), (Reads(), 1)):
        net.norm.running_mean.normal_()
        classifier = wrap(net, CLASSES, **PLAIN)
        copy = folded(classifier)
        assert sum(isinstance(module, nn.BatchNorm2d) for module in copy.modules()) == left
        assert isinstance(net.norm, nn.BatchNorm2d)
        assert not any(module.training for module in copy.modules())
        x = noise().float()
        torch.testing.assert_close(copy(x).scores, classifier(x).scores, rtol=1e-4, atol=1e-5)


def test_mean_std_and_size_come_from_where_they_are_known() -> None:
    net = timm.create_model("resnet18", num_classes=5)
    known = wrap(net, CLASSES)
    assert known.size == 224
    torch.testing.assert_close(known.std.flatten(), torch.tensor([0.229, 0.224, 0.225]))
    assert wrap(net, CLASSES, size=64).size == 64
    theirs = wrap(tv.resnet18(), weights=ResNet18_Weights.DEFAULT)
    assert (theirs.size, theirs.classes[0]) == (224, "tench")
    torch.testing.assert_close(theirs.mean.flatten(), torch.tensor([0.485, 0.456, 0.406]))
    transform = timm.data.create_transform((3, 64, 64), mean=(0.1, 0.2, 0.3), std=(0.3, 0.2, 0.1))
    measured = wrap(Plain(), CLASSES, transform=transform)
    assert measured.size == 64
    torch.testing.assert_close(measured.mean.flatten(), torch.tensor([0.1, 0.2, 0.3]))
    torch.testing.assert_close(measured.std.flatten(), torch.tensor([0.3, 0.2, 0.1]))


def test_a_transform_that_swaps_colours_is_followed() -> None:
    plain = torchvision.transforms.Compose(
        [torchvision.transforms.Resize(64), torchvision.transforms.ToTensor()]
    )
    net = Plain()
    straight = wrap(net, CLASSES, transform=plain)
    swapped = wrap(net, CLASSES, transform=lambda picture: plain(picture).flip(0))
    x = noise().float()
    torch.testing.assert_close(swapped(x).scores, straight(x.flip(1)).scores)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"mean": None}, ("mean", "mean, std and size")),
        ({"size": None}, ("size", "mean, std and size")),
        ({"size": 0}, ("size: a positive", "not 0")),
        ({"size": -1}, ("size: a positive", "not -1")),
        ({"size": 64.0}, ("size: a positive", "not 64.0")),
        ({"mean": (123.7, 116.3, 103.5)}, ("mean", "255")),
        ({"std": (0.0, 0.0, 0.0)}, ("std",)),
        ({"std": (0.2, 0.2)}, ("std", "three channels")),
        ({"classes": ("a", "a", "b", "c", "d")}, ("classes", "'a'", "twice")),
        ({"classes": "abcde"}, ("classes", "list of names")),
        ({"classes": ("a", "b")}, ("classes: 2 are given, the network gives 5 scores",)),
        ({"classes": None}, ("classes",)),
        ({"weights": "resnet18.pth"}, ("weights", "DEFAULT")),
        ({"transform": lambda picture: 1}, ("transform",)),
        ({"transform": lambda picture: torch.rand(3, 64, 64)}, ("transform", "colours")),
    ],
)
def test_what_is_missing_or_wrong_is_one_line(change: dict[str, Any], named: tuple[str, ...]) -> None:
    complaint(lambda: wrap(Plain(), **{"classes": CLASSES} | PLAIN | change), *named)
    complaint(lambda: wrap("resnet18", CLASSES), "net", "Module")


def test_one_class_has_a_sigmoid_and_no_softmax() -> None:
    net = tv.resnet18(num_classes=1).eval()
    complaint(lambda: wrap(net, ["hole"], **PLAIN), "single_label", "False")
    complaint(lambda: wrap(Plain(), ["hole"], **PLAIN), "classes: 1 are given")
    complaint(lambda: Classifier(net, net.fc, ["hole"], single_label=True), "single_label", "False")
    classifier = wrap(net, ["hole"], **PLAIN, single_label=False)
    x = noise().float()
    torch.testing.assert_close(classifier.probabilities(classifier(x).scores), net(x).sigmoid())


@pytest.mark.parametrize("recipe", ["gradcam", "gradcam++", "layercam", "hirescam"])
def test_maps_of_features_that_are_no_places_say_why(recipe: str) -> None:
    vit = wrap(tv.VisionTransformer(**tv_vit, num_classes=5).eval(), CLASSES, **PLAIN)
    complaint(lambda: map_batch(vit, noise().float(), ["a", "b"], recipe), "cannot read this network", TOKEN)


def test_affinities_need_features_and_no_activations() -> None:
    """MobileNetV3 has a layer between its pooling and its head, so there is no CAM."""
    classifier = wrap(tv.mobilenet_v3_small(num_classes=5).eval(), CLASSES, **PLAIN)
    x = noise(128).float()
    complaint(lambda: map_batch(classifier, x, ["a", "b"], "cam"), "cannot read this network", HIDDEN)
    found = affinities_of(classifier, x)
    torch.testing.assert_close(found, found.transpose(1, 2))
    assert len(found.unique()) > 100


@pytest.mark.parametrize("recipe", ["gradcam", "gradcam++", "layercam", "hirescam"])
def test_maps_of_the_last_features_are_the_same_folded_or_frozen(recipe: str) -> None:
    torch.manual_seed(0)
    net = torchvision.models.resnet18(num_classes=2).eval()
    x = torch.randn(2, 3, 64, 64)
    known = {"mean": (0.5,) * 3, "std": (0.25,) * 3, "size": 64}
    expected = map_batch(wrap(net, ["a", "b"], **known), x, ["a", "b"], recipe)
    assert expected.max() > 0
    maps = map_batch(folded(wrap(net, ["a", "b"], **known)), x, ["a", "b"], recipe)
    torch.testing.assert_close(maps, expected, rtol=1e-3, atol=1e-4 * expected.max().item())
    net.requires_grad_(False)
    torch.testing.assert_close(map_batch(wrap(net, ["a", "b"], **known), x, ["a", "b"], recipe), expected)
