"""The settings of `segment`, with the help that the command line shows for them. Needs no torch."""

import math
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from beyondcam.perturbations.augment import Area

LEAST_EPOCHS, LEAST_STEPS = 12, 400
"""A training's epochs by default, or more where these would be fewer optimizer steps."""


class SegmentConfig(BaseModel):
    """Everything but the labels that decides what `segment` makes."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    architecture: str = Field(
        default="deeplabv3plus", description="Any that segmentation-models-pytorch has."
    )
    encoder: str = Field(default="tf_efficientnet_lite0", description="Any name timm knows.")
    pretrained: bool = Field(default=True, description="Start from ImageNet weights.")
    weights: Path | None = Field(default=None, description="ImageNet weights, torchvision's or timm's.")
    size: int = Field(default=256, ge=32, le=4096, description="Side of the square input, pixels.")
    epochs: int | None = Field(
        default=None,
        ge=1,
        description=f"Passes over the training images; by default {LEAST_EPOCHS}, or as many as make "
        f"{LEAST_STEPS} optimizer steps where that is more: small data need more passes.",
    )
    batch: int = Field(default=8, ge=2, description="Images a batch.")
    lr: float = Field(default=2e-4, gt=0, description="Highest learning rate of the encoder.")
    head_lr: float = Field(default=10.0, gt=0, description="That of all other layers, as a multiple of it.")
    weight_decay: float = Field(default=0.01, ge=0, description="Weight decay of the optimizer.")
    warmup: float = Field(default=0.05, ge=0, lt=1, description="Share of the steps that warm up.")
    crop_scale: Area = Field(
        default=(0.25, 1.0),
        description="Least and most area of the random window, as a share of the image's.",
    )
    flip: bool = Field(
        default=True, description="Mirror images at random, and predict the mean over both sides."
    )
    dice: float = Field(
        default=1.0,
        ge=0,
        description="Weight of the Dice loss, for which small things count as much as large ones, beside the "
        "cross entropy.",
    )
    reviewed_weight: float = Field(
        default=1.0,
        ge=0,
        description="Weight in the loss of photos whose mask a human accepted or corrected; seeds have 1.",
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="Seed of every random draw.")

    def epochs_for(self, images: int) -> int:
        """Passes over so many training images: `epochs`, or its default for them."""
        return self.epochs or max(LEAST_EPOCHS, math.ceil(LEAST_STEPS / max(1, images // self.batch)))


def digits_segment_config(**changes: object) -> SegmentConfig:
    """The settings `segment` starts from for the digit canvases: a small network from scratch, no mirroring.

    Weights of photos, and their batch norms' statistics, are of no use there.
    """
    defaults = {"architecture": "linknet", "encoder": "resnet10t", "pretrained": False, "size": 64,
                "lr": 4e-3, "head_lr": 1.0, "warmup": 0.1, "flip": False,
                "crop_scale": (0.6, 1.0)}  # fmt: skip
    return SegmentConfig.model_validate(defaults | changes)
