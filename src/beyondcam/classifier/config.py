"""The settings of `train`, with the help that the command line shows for them. Needs no torch."""

import math
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

from beyondcam.perturbations import Mask, Noise
from beyondcam.perturbations.augment import Area

LEAST_EPOCHS, LEAST_STEPS = 4, 200
"""A training's epochs by default, or more where these would be fewer optimizer steps."""

WEIGHTS = "classifier.safetensors"
"""A RUN's network."""

CONVNET: dict[str, Any] = {"kernel": 5, "pool": True}
"""The settings that the convnet alone has, by default."""

PERTURB: dict[str, Noise | Mask] = {"noise": Noise(), "mask": Mask()}


def _named(value: object) -> object:
    """A perturbation by its name."""
    if isinstance(value, str) and value not in PERTURB:
        raise ValueError(f"{' or '.join(PERTURB)} is needed, not {value!r}")
    return PERTURB[value] if isinstance(value, str) else value


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError("an odd number is needed")
    return value


class TrainConfig(BaseModel):
    """Everything that decides what `train` makes; it is the `train` part of `RUN/config.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    data: str = Field(description="Where the images and their labels are.")
    split: str = Field(default="train", description="Split of the data.")
    classes: tuple[str, ...] | None = Field(default=None, description="Classes to keep, separated by commas.")
    backbone: str = Field(
        default="tf_efficientnet_lite0",
        description="convnet, or any name timm knows, with OPTION=NUMBER after commas.",
    )
    kernel: Annotated[int, AfterValidator(_odd)] = Field(
        default=CONVNET["kernel"], ge=1, le=255, description="F of the convnet's F×F kernels."
    )
    pool: bool = Field(default=CONVNET["pool"], description="Pool twice inside the convnet.")
    output_stride: Literal[8, 16, 32] | None = Field(
        default=None, description="8, 16 or 32, where timm offers it."
    )
    pretrained: bool = Field(default=True, description="Start from ImageNet weights.")
    weights: Path | None = Field(default=None, description="ImageNet weights, torchvision's or timm's.")
    start: Path | None = Field(default=None, description="RUN whose classifier to tune further.")
    size: int = Field(default=384, ge=16, le=4096, description="Side of the square input, pixels.")
    mean: tuple[float, float, float] | None = Field(
        default=None, description="Mean of the input, for pixels from 0 to 1; by default as timm has it."
    )
    std: tuple[float, float, float] | None = Field(
        default=None, description="Standard deviation of the input, likewise."
    )
    epochs: int | None = Field(
        default=None,
        ge=1,
        description=f"Passes over the training images; by default {LEAST_EPOCHS}, or as many as make "
        f"{LEAST_STEPS} optimizer steps where that is more: small data need more passes.",
    )
    batch: int = Field(default=16, ge=1, description="Images a batch.")
    optimizer: Literal["adamw", "sgd"] = Field(default="adamw", description="adamw or sgd.")
    lr: float = Field(default=1e-4, gt=0, description="Highest learning rate of the backbone.")
    head_lr: float = Field(default=30.0, gt=0, description="The head's, as a multiple of it.")
    weight_decay: float = Field(default=0.01, ge=0, description="Weight decay of the optimizer.")
    warmup: float = Field(default=0.1, ge=0, lt=1, description="Share of the steps that warm up.")
    crop_scale: Area = Field(
        default=(0.4, 1.0), description="Least and most area of the random window, as a share of the image's."
    )
    flip: bool = Field(default=True, description="Mirror images at random.")
    freeze_bn: bool | None = Field(default=None, description="Keep batch norm's pretrained statistics.")
    ema: float = Field(default=0.98, ge=0, lt=1, description="Decay of the running average of the weights.")
    perturb: Annotated[Noise | Mask | None, BeforeValidator(_named)] = Field(
        default=None, description="noise or mask: train on inputs perturbed so."
    )
    max_pixels: int | None = Field(
        default=None,
        ge=1,
        description="Pixels of the largest photo, by default 179 million; larger JPEGs are read at a reduced "
        "size, other files left out.",
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="Seed of every random draw.")

    @property
    def frozen_bn(self) -> bool:
        """Whether batch norm keeps its statistics: by default wherever there are pretrained ones."""
        if self.freeze_bn is not None:
            return self.freeze_bn
        return self.backbone != "convnet" and (self.pretrained or self.weights is not None)

    def epochs_for(self, images: int) -> int:
        """Passes over so many training images: `epochs`, or its default for them."""
        return self.epochs or max(LEAST_EPOCHS, math.ceil(LEAST_STEPS / math.ceil(images / self.batch)))

    @field_validator("start")
    @classmethod
    def _one_origin(cls, start: Path | None, info: ValidationInfo) -> Path | None:
        if start and info.data.get("weights"):
            raise ValueError("brings its own weights; leave one of the two out")
        return start


def digits_config(**changes: object) -> TrainConfig:
    """The settings `train` starts from for the digit canvases: the study's ConvNet, no mirroring."""
    defaults = {"data": "digits", "backbone": "convnet", "size": 64, "flip": False, "epochs": 28,
                "lr": 5e-3, "head_lr": 1.0, "crop_scale": (0.6, 1.0)}  # fmt: skip
    return TrainConfig.model_validate(defaults | changes)
