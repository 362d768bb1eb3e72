"""The settings of `segment`. pydantic is all that this needs, so that help is there before torch is."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class SegmentConfig(BaseModel):
    """Everything but the labels that decides what `segment` makes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    architecture: str = "deeplabv3plus"
    encoder: str = "tf_efficientnet_lite0"
    pretrained: bool = True
    """Start from ImageNet weights, whose statistics batch norm then keeps."""
    weights: Path | None = None
    size: Annotated[int, Field(ge=32)] = 256
    epochs: Annotated[int, Field(ge=1)] = 12
    batch: Annotated[int, Field(ge=2)] = 8
    lr: Annotated[float, Field(gt=0)] = 2e-4
    head_lr: Annotated[float, Field(gt=0)] = 10.0
    """Learning rate of all but the encoder, as a multiple of the encoder's."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Share of the steps over which the learning rate rises, before it falls as a cosine."""
    crop_scale: tuple[float, float] = (0.25, 1.0)
    """Area of the augmentation's random window, as a share of the image's."""
    flip: bool = True
    """Mirror images at random, and take the mean over both sides when predicting."""
    seed: int = 0


def digits_segment_config(**changes: object) -> SegmentConfig:
    """The settings `segment` starts from for the digit canvases: a small network from scratch, no mirroring.

    Weights of photos, and their batch norms' statistics, are of no use there.
    """
    own = {"architecture": "linknet", "encoder": "resnet10t", "pretrained": False, "size": 64, "batch": 8,
           "lr": 4e-3, "head_lr": 1.0, "warmup": 0.1, "flip": False, "crop_scale": (0.6, 1.0)}  # fmt: skip
    return SegmentConfig.model_validate(own | changes)
