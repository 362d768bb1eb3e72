"""The settings of `train`. pydantic is all that this needs, so that help is there before torch is."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from beyondcam.perturbations import Mask, Noise

PERTURB: dict[str, Noise | Mask] = {"noise": Noise(), "mask": Mask()}

Positive = Annotated[int, Field(ge=1)]


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

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: str
    split: str = "train"
    classes: tuple[str, ...] | None = None
    backbone: str = "tf_efficientnet_lite0"
    kernel: Annotated[int, Field(ge=1), AfterValidator(_odd)] = 5
    pool: bool = True
    output_stride: Literal[8, 16, 32] | None = None
    pretrained: bool = True
    weights: Path | None = None
    start: Path | None = None
    """A RUN whose classifier is tuned further, instead of ImageNet weights."""
    size: Annotated[int, Field(ge=16)] = 384
    epochs: Positive = 4
    batch: Positive = 16
    optimizer: Literal["adamw", "sgd"] = "adamw"
    lr: Annotated[float, Field(gt=0)] = 1e-4
    head_lr: Annotated[float, Field(gt=0)] = 30.0
    """Learning rate of the head, as a multiple of the backbone's."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the steps over which the learning rate rises, before it falls as a cosine."""
    crop_scale: tuple[float, float] = (0.4, 1.0)
    """Area of the augmentation's random window, as a share of the image's."""
    flip: bool = True
    freeze_bn: bool | None = None
    """Keep batch norm at its pretrained statistics; the default does so wherever there are any."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.98
    """Decay of the running average of the weights, which is what is kept; 0 keeps the last weights."""
    perturb: Annotated[Noise | Mask | None, BeforeValidator(_named)] = None
    """Train on inputs perturbed so, by a setting or the name of one in `PERTURB`: the study's two others."""
    seed: int = 0

    @property
    def frozen_bn(self) -> bool:
        """Whether batch norm keeps its statistics."""
        if self.freeze_bn is not None:
            return self.freeze_bn
        return self.backbone != "convnet" and (self.pretrained or self.weights is not None)

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if self.start and self.weights:
            raise ValueError(f"--start {self.start} brings its own weights; leave out --weights")
        return self


def digits_config(**changes: object) -> TrainConfig:
    """The settings `train` starts from for the digit canvases: the study's ConvNet, no mirroring."""
    own = {"data": "digits", "backbone": "convnet", "size": 64, "flip": False, "epochs": 14, "batch": 16,
           "lr": 5e-3, "head_lr": 1.0, "crop_scale": (0.6, 1.0)}  # fmt: skip
    return TrainConfig.model_validate(own | changes)
