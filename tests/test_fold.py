"""Folded networks compute the same, and nothing is folded that may not be."""

import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import Tensor, nn

import beyondcam as bc
from beyondcam.classifier import build_classifier, folded
from beyondcam.maps import AFFINITY_NEEDS, affinities, run_forward
from conftest import complaint


def norms(classifier: bc.Classifier) -> list[nn.BatchNorm2d]:
    """Its batch norms."""
    return [m for m in classifier.modules() if isinstance(m, nn.BatchNorm2d)]


def as_trained(classifier: bc.Classifier) -> bc.Classifier:
    """The classifier in float64, where kinks of ReLUs stay where they are, with norms that do something."""
    torch.manual_seed(1)
    for norm in norms(classifier):
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.normal_(0, 0.2)
        norm.running_var.uniform_(0.5, 2)
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, 0, 0.2)
    return classifier.double().eval()


def answers(classifier: bc.Classifier) -> tuple[Tensor, Tensor, Tensor]:
    """Scores, activations and the gradient of a class's scores to two inputs."""
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    x.requires_grad_()
    scores, activations = classifier(x)
    (gradient,) = torch.autograd.grad(scores[:, 1].sum(), x)
    return scores.detach(), activations.detach(), gradient


def of(backbone: nn.Module) -> bc.Classifier:
    """A classifier of two classes over some small backbone with 4 features."""
    torch.manual_seed(0)
    return as_trained(bc.Classifier(backbone, nn.Conv2d(4, 2, 1, bias=False), ["a", "b"], size=64))


@pytest.mark.parametrize(
    ("backbone", "left"),
    [
        ("convnet", 0),
        ("tf_efficientnet_lite0", 0),  # padded as TensorFlow does, norms with activations
        ("resnet18", 0),
        ("regnety_002", 0),  # squeeze and excite
        ("resnetv2_18", 9),  # norms before the convolutions: each block's first reads a sum
    ],
)
def test_same_function(backbone: str, left: int) -> None:
    torch.manual_seed(0)
    classifier = as_trained(build_classifier(backbone, ["a", "b"], 64))
    state = {name: value.clone() for name, value in classifier.state_dict().items()}
    copy = folded(classifier)
    assert len(norms(copy)) == left < len(norms(classifier))
    for own, same in zip(answers(copy), answers(classifier), strict=True):
        torch.testing.assert_close(own, same, rtol=1e-9, atol=1e-9 * float(same.abs().max()))
    assert all(torch.equal(value, state[name]) for name, value in classifier.state_dict().items())


def test_a_norm_whose_activation_has_weights_is_folded() -> None:
    norm = BatchNormAct2d(4, act_layer=nn.PReLU)
    classifier = of(nn.Sequential(nn.Conv2d(3, 4, 3, 2), norm)).float()
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    copy = folded(classifier)
    assert not norms(copy)
    torch.testing.assert_close(copy(x).scores, classifier(x).scores, rtol=1e-4, atol=1e-5)
    assert norm.act.weight.dtype == torch.float32


def test_affinities_do_not_depend_on_folding() -> None:
    torch.manual_seed(0)
    classifier = as_trained(build_classifier("tf_efficientnet_lite0", ["a", "b"], 64))
    x = torch.randn(1, 3, 96, 96, dtype=torch.float64)
    nothing = torch.zeros(1, 2, dtype=torch.bool)
    own, same = (
        affinities(run_forward(c, x, nothing, AFFINITY_NEEDS)) for c in (folded(classifier), classifier)
    )
    torch.testing.assert_close(own, same, rtol=1e-4, atol=1e-4)


class ReadTwice(nn.Module):
    """What the norm reads is added to what it gives."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        """Two branches from one convolution."""
        x = self.conv(x)
        return x + self.norm(x)


class RunTwice(nn.Module):
    """One convolution with two norms."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.first, self.second = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        """The weights are shared."""
        return self.first(self.conv(x)) + self.second(self.conv(x.flip(-1)))


class Tied(nn.Module):
    """Two convolutions with one weight, a norm behind each."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.second.weight = self.first.weight
        self.norms = nn.ModuleList([nn.BatchNorm2d(3), nn.BatchNorm2d(3)])

    def forward(self, x: Tensor) -> Tensor:
        """Both, one after the other."""
        x = self.norms[1](self.second(self.norms[0](self.first(x)).relu()))
        return torch.cat([x, x[:, :1]], 1)


class Halved(nn.Conv2d):
    """A convolution that does not use its weights as they are."""

    def forward(self, x: Tensor) -> Tensor:
        """Weights halved."""
        return nn.functional.conv2d(x, self.weight / 2, self.bias)


@pytest.mark.parametrize(
    "backbone",
    [
        ReadTwice(),
        RunTwice(),
        nn.Sequential(Halved(3, 4, 3), nn.BatchNorm2d(4)),
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4)),
    ],
    ids=["read twice", "run twice", "other weights", "ReLU between"],
)
def test_what_must_not_be_folded_is_not(backbone: nn.Module) -> None:
    classifier = of(backbone)
    copy = folded(classifier)
    assert len(norms(copy)) == len(norms(classifier))
    for own, same in zip(answers(copy), answers(classifier), strict=True):
        assert torch.equal(own, same)


def test_convolutions_that_share_their_weights_are_folded_each_for_itself() -> None:
    classifier = of(Tied())
    copy = folded(classifier.float())
    assert not norms(copy)
    for own, same in zip(answers(copy.double()), answers(classifier.double()), strict=True):
        torch.testing.assert_close(own, same, rtol=1e-5, atol=1e-5 * float(same.abs().max()))


def test_of_a_classifier_in_training_the_copy_is_in_evaluation_mode() -> None:
    classifier = of(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))
    expected = answers(classifier)
    classifier.train()
    copy = folded(classifier)
    assert classifier.training
    assert not any(module.training for module in copy.modules())
    assert (len(norms(copy)), len(norms(classifier))) == (0, 1)
    for same, exact in zip(answers(copy), expected, strict=True):
        torch.testing.assert_close(same, exact)


def test_weight_norm_of_old_is_left_alone_and_in_training_mode_refused() -> None:
    conv = nn.Conv2d(3, 4, 3)
    with pytest.warns(FutureWarning):
        nn.utils.weight_norm(conv)
    classifier = of(nn.Sequential(conv, nn.BatchNorm2d(4)))
    expected = answers(classifier)
    for same, exact in zip(answers(folded(classifier)), expected, strict=True):
        torch.testing.assert_close(same, exact)
    conv.scale = conv.weight * 2  # no leaf: such a network cannot be copied
    complaint(lambda: folded(classifier.train()), "classifier", "eval()")
