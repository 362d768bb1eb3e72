"""The classifier of a RUN."""

from collections.abc import Sequence
from contextlib import suppress
from os import PathLike
from pathlib import Path

from beyondcam.classifier.adopt import load_adopted
from beyondcam.classifier.build import build_classifier
from beyondcam.classifier.config import WEIGHTS, TrainConfig
from beyondcam.classifier.model import Classifier
from beyondcam.errors import BeyondcamError, one_line, read_from
from beyondcam.files import read_json
from beyondcam.training.checkpoint import CHECKPOINT, restore


def load_classifier(run: str | PathLike[str]) -> Classifier:
    """Read the classifier of a RUN, trained here or adopted.

    Parameters
    ----------
    run
        a folder that `train_classifier`, `adopt_network` or their commands made.

    Returns
    -------
    In evaluation mode, on the CPU; its `checkpoint` is the hash of the file read, and of the settings of one
    that was adopted.

    Raises
    ------
    BeyondcamError
        Where there is none, its training is not finished, or its files are damaged or do not fit each other.

    """
    run = Path(run)
    config, classes = read_config(run)
    adopted = read_json(run / "config.json", "beyondcam adopt").get("adopted")
    if adopted is not None:
        return load_adopted(run, adopted, classes)
    with read_from(run / "config.json"):
        classifier = build_as(config, classes)
    classifier.checkpoint = restore(
        classifier, run / WEIGHTS, f"a checkpoint of {config.backbone}", "beyondcam train"
    )
    if read_config(run) != (config, classes):
        raise BeyondcamError(f"{run}: another training has just ended there; run the command again")
    return classifier.eval()


def read_config(run: Path) -> tuple[TrainConfig, tuple[str, ...]]:
    """The settings and classes of a RUN. Raises `BeyondcamError` where its training is not finished."""
    path = run / "config.json"
    if (run / CHECKPOINT).exists() and not (path.exists() and (run / WEIGHTS).exists()):
        raise BeyondcamError(f"{run}: training is not finished; run `beyondcam train` again to go on")
    if (run / "run" / "config.json").exists() and not path.exists():
        raise BeyondcamError(f"{run}: is not the RUN, which is in it: write {run / 'run'}")
    content = read_json(path, f"beyondcam train --out {run}")
    try:
        return TrainConfig.model_validate(content["train"]), tuple(content["classes"])
    except (KeyError, TypeError, ValueError) as error:
        raise BeyondcamError(f"{path}: not a run's settings ({one_line(error)})") from None


def recorded(run: Path, key: str) -> object:
    """What the record of a RUN's training has under a key; None where it has nothing, or there is none."""
    with suppress(BeyondcamError, AttributeError):
        return read_json(run / "training.json", "beyondcam train").get(key)
    return None


def doubt_of(run: Path) -> str:
    """One line for people: that the training has found its classifier to have learnt nothing; else empty."""
    doubt = recorded(run, "doubt")
    return f"{run}: the classifier has learnt nothing: {doubt}" if doubt else ""


def build_as(config: TrainConfig, classes: Sequence[str], *, pretrained: bool = False) -> Classifier:
    """A new classifier by the settings; `pretrained` loads the ImageNet weights that they name."""
    return build_classifier(
        config.backbone, classes, config.size, kernel=config.kernel, pool=config.pool,
        output_stride=config.output_stride, mean=config.mean, std=config.std,
        pretrained=pretrained and config.pretrained,
        weights=config.weights if pretrained else None,
    )  # fmt: skip
