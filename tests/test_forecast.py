"""How long a job will take, by a clock that the test controls."""

from types import SimpleNamespace

import pytest
from lightning_fabric import Fabric

from beyondcam import forecast
from beyondcam.classifier import TrainConfig
from beyondcam.data import open_images
from beyondcam.forecast import seconds_of_masks, seconds_of_network
from beyondcam.segmentation import SegmentConfig

CPU = Fabric(accelerator="cpu", devices=1)


def test_steps_are_multiplied_by_what_there_is_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that is timed takes 4 s: a step of four photos, the maps of one, and a step of a network."""
    clock = iter(range(0, 10_000, 4))
    monkeypatch.setattr(forecast, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    images = open_images("digits", "train_200")
    config = TrainConfig(data="digits", backbone="convnet", size=32, pretrained=False, epochs=3)
    mapped = 4 * 200 + 4 * 128  # and the witnesses, of up to 128 photos
    assert seconds_of_masks(config, images, ["fast"], CPU, train=False) == mapped
    training = 3 * (180 + 20 / 3)  # 1 s a photo; a tenth is held out, and only looked at
    assert seconds_of_masks(config, images, ["fast"], CPU, train=True) == pytest.approx(mapped + training)
    network = SegmentConfig(
        architecture="unet", encoder="test_efficientnet", pretrained=False, size=32, epochs=6
    )
    assert seconds_of_network(network, images, CPU) == pytest.approx(200 * (6 + 2 / 3))
