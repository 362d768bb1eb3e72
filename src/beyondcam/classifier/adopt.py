"""A RUN of a network that others trained: all commands work from there."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from beyondcam.classifier.config import WEIGHTS
from beyondcam.classifier.model import Classifier
from beyondcam.classifier.preprocessing import Reversed
from beyondcam.classifier.sources import open_source, rebuild
from beyondcam.classifier.wrapping import Wrapped
from beyondcam.classifier.zero_shot import PROMPTS, Clip, clip
from beyondcam.errors import BeyondcamError, one_line, read_from
from beyondcam.files import hash_of, hash_of_file, read_json, write_json
from beyondcam.progress import Log
from beyondcam.training.checkpoint import restore, write_weights


class Adopted(BaseModel):
    """The `adopted` part of `RUN/config.json`: how the network is built, and what its input is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    size: int
    single_label: bool = True
    bgr: bool = False
    config: dict[str, Any] | None = None
    """Of a network of transformers, or what torchvision builds one with."""


def adopt_network(
    run: str | PathLike[str],
    model: str,
    classes: Sequence[str] | None = None,
    *,
    weights: str | PathLike[str] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    size: int | None = None,
    single_label: bool | None = None,
    prompts: Sequence[str] = PROMPTS,
    data: str = "",
    log: Log = print,
) -> Classifier:
    """Make a RUN of a network that others trained, and return its classifier.

    Parameters
    ----------
    run
        The folder to make; it must not hold a classifier yet.
    model
        `timm:NAME` or `torchvision:NAME`, with published weights or those of a file; `hf:DIR`, an image
        classifier that transformers saved, or `clip:DIR`, a CLIP; `PACKAGE.MODULE:FUNCTION`, a function
        without arguments that returns a `torch.nn.Module`, whose module is imported whenever the RUN is read.
    classes
        Their names; by default those that the network has.
    weights
        A file of weights; of several state dicts in it, `FILE:KEY` says which.
    mean, std, size
        Of the input, as for `wrap`; by default those of the network or of its published weights. A CLIP has
        its own.
    single_label
        True for one of several classes an image (softmax), as a CLIP always is; False for any number, or one
        alone (sigmoid). By default what the settings of a network of transformers say, else True.
    prompts
        For CLIP alone, sentences with `{}` where the class goes.
    data
        Data that commands on the RUN use where they are given none.
    log
        Takes messages for people.

    Returns
    -------
    As `load_classifier` will read it from the RUN.

    Raises
    ------
    BeyondcamError
        If the network cannot be built, its weights do not fit, or an argument is missing.

    """
    run = Path(run)
    begun = (run / "training.json").exists()  # an adoption that was killed: its settings are written last
    if (run / "config.json").exists() or ((run / WEIGHTS).exists() and not begun):
        raise BeyondcamError(f"{run} holds a classifier already; name another folder", parameter="run")
    classifier: Classifier
    config: dict[str, Any] | None
    kind, _, name = model.partition(":")
    bgr = False
    if kind == "clip" and name:
        if classes is None:
            raise BeyondcamError("CLIP has none; name them", parameter="classes")
        for parameter, given in {"weights": weights, "mean": mean, "std": std, "size": size}.items():
            if given is not None:
                raise BeyondcamError("CLIP has its own in its folder; leave it out", parameter=parameter)
        if single_label is False:
            raise BeyondcamError(
                "CLIP tells how likely each class is among the others; leave it out", parameter="single_label"
            )
        clipped = clip(name, classes, prompts)
        classifier, config = clipped, clipped.vision_config
    else:
        if tuple(prompts) != PROMPTS:
            raise BeyondcamError(f"they are for CLIP, and {model} is none; leave it out", parameter="prompts")
        source = open_source(model, classes, None if weights is None else Path(weights), log)
        bgr, config = source.known.bgr, source.config
        numbers = source.known.or_given(mean, std, size)
        names = source.names() if classes is None else classes
        if single_label is None:
            single_label = (config or {}).get("problem_type") != "multi_label_classification"
        shown = Reversed(source.net) if bgr else source.net
        classifier = Wrapped(shown, names, *numbers, single_label=single_label)
    settings = Adopted(
        model=model, mean=_floats(classifier.mean), std=_floats(classifier.std), size=classifier.size,
        single_label=classifier.single_label, bgr=bgr, config=config,
    )  # fmt: skip
    _write(run, settings, classifier, data)
    return classifier


def load_adopted(run: Path, content: object, classes: Sequence[str]) -> Classifier:
    """The classifier of an adopted RUN, by the `adopted` part of its settings. Raises `BeyondcamError`."""
    try:
        settings = Adopted.model_validate(content)
    except ValidationError as error:
        raise BeyondcamError(f"{run / 'config.json'}: adopted: {one_line(error)}") from None
    file = run / WEIGHTS, f"weights of {settings.model}", "beyondcam adopt"
    input_ = settings.mean, settings.std, settings.size
    classifier: Classifier
    if settings.model.startswith("clip:"):
        classifier = Clip.empty(settings.config or {}, classes, *input_)
        checkpoint = restore(classifier, *file)
    else:
        with read_from(run / "config.json"):
            net = rebuild(settings.model, len(classes), settings.config)
        checkpoint = restore(net, *file)
        shown = Reversed(net) if settings.bgr else net
        classifier = Wrapped(shown, classes, *input_, single_label=settings.single_label)
    classifier.checkpoint = as_built(checkpoint, content)
    return classifier


def checkpoint_of(run: Path) -> str | None:
    """Ten hexadecimal digits of the classifier of a RUN; None where it has none."""
    try:
        digits = hash_of_file(run / WEIGHTS)
    except OSError:
        return None
    return as_built(digits, adopted_in(run))


def adopted_in(run: Path) -> object:
    """The `adopted` part of a RUN's settings; None where it was trained, or has no settings."""
    config = run / "config.json"
    content = read_json(config, "beyondcam train") if config.exists() else None
    return content.get("adopted") if isinstance(content, dict) else None


def as_built(digits: str, adopted: object) -> str:
    """The digits of weights, and of how an `adopted` network is built of them and what its input is."""
    return digits if adopted is None else hash_of([digits, adopted])


def _write(run: Path, settings: Adopted, classifier: Classifier, data: str) -> None:
    """Write the RUN, its settings last."""
    network = classifier.net if isinstance(classifier, Wrapped) else classifier
    network = network.net if isinstance(network, Reversed) else network
    write_json(run / "training.json", {"epochs": [], "images": 0, "left_out": {}, "val_map": None})
    write_weights(run / WEIGHTS, {key: tensor.clone() for key, tensor in network.state_dict().items()})
    described = {"data": data, "backbone": settings.model, "pretrained": False, "size": settings.size}
    write_json(
        run / "config.json",
        {"train": described, "classes": classifier.classes, "adopted": settings.model_dump(mode="json")},
    )
    classifier.checkpoint = checkpoint_of(run)


def _floats(channels: Any) -> tuple[float, float, float]:
    first, second, third = (round(value, 6) for value in channels.flatten().tolist())
    return first, second, third
