"""Networks that others trained, by name: `timm:NAME`, `hf:DIR` and so on."""

import importlib
import json
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from beyondcam.classifier.build import load_imagenet, timm_network
from beyondcam.classifier.preprocessing import IMAGENET, Input, find_classes, find_input
from beyondcam.classifier.weights import by_name, fitting, has_names_of, only, read_states
from beyondcam.classifier.zero_shot import transformers
from beyondcam.errors import BeyondcamError, MissingWeightsError, one_line
from beyondcam.files import read_json, write_json
from beyondcam.progress import Log

KINDS = "timm:NAME, torchvision:NAME, hf:DIR, clip:DIR or PACKAGE.MODULE:FUNCTION"

IMPORTS = "BEYONDCAM_IMPORTS"
"""Environment variable: functions, by commas, that may be imported to build a RUN's network."""

OWN_SCALE = ("googlenet", "inception_v3")
"""Networks of torchvision that bring its input to a scale of their own, with the weights it publishes."""

PATIENCE = 20.0
"""Seconds that a download may stand still."""


class Source(NamedTuple):
    """A network, and what is known of it."""

    net: nn.Module
    known: Input
    names: Callable[[], Sequence[str]]
    config: dict[str, Any] | None = None


def _of_timm(name: str, classes: Sequence[str] | None, weights: Path | None) -> Source:
    net = _timm(name, None if weights is None else _count(classes))
    if weights is None:
        load_imagenet(net, name, parameter="model")
    else:
        net.load_state_dict(fitting(net, weights, name), strict=False)
    known = find_input(net)
    if weights is not None and not has_names_of(net, weights):  # torchvision's, all of one scale
        known = known._replace(mean=IMAGENET[0], std=IMAGENET[1])
    return Source(net, known, lambda: find_classes(net))


def _of_torchvision(name: str, classes: Sequence[str] | None, weights: Path | None) -> Source:
    from torchvision import models

    if weights is not None:
        net = _torchvision(name, _count(classes), {})
        _fill(net, weights)
        return Source(net, Input(), lambda: find_classes(net))
    _known_to_torchvision(name)
    published = models.get_model_weights(name).DEFAULT
    options: dict[str, Any] = {}  # that torchvision sets where it loads its weights itself
    if name in OWN_SCALE:
        options["transform_input"] = True
    if name.startswith("vit_"):
        options["image_size"] = published.meta["min_size"][0]
    net = _torchvision(name, 1000, options)
    waited = socket.getdefaulttimeout()
    try:
        socket.setdefaulttimeout(PATIENCE)
        state = published.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError, HTTPException) as error:
        raise MissingWeightsError(
            f"torchvision:{name}: weights could not be downloaded ({one_line(error)}); give a weights file",
            parameter="model",
        ) from None
    finally:
        socket.setdefaulttimeout(waited)
    net.load_state_dict(state)
    return Source(net, find_input(net, published), lambda: find_classes(net, published), options)


def _of_transformers(name: str, _: object, weights: Path | None) -> Source:
    library = transformers()
    if weights is not None:
        raise BeyondcamError("a network of transformers has its own in its folder", parameter="weights")
    try:
        net = library.AutoModelForImageClassification.from_pretrained(name, local_files_only=True)
        processor = None
        if (Path(name) / "preprocessor_config.json").exists():
            processor = library.AutoImageProcessor.from_pretrained(name, local_files_only=True)
    except Exception as error:
        raise BeyondcamError(
            f"hf:{name}: no image classifier that transformers reads ({one_line(error)})", parameter="model"
        ) from error
    config = json.loads(net.config.to_json_string(use_diff=False))
    return Source(net.float(), find_input(net, processor=processor), lambda: find_classes(net), config)


def _of_function(model: str, weights: Path | None, log: Log) -> Source:
    log(f"importing {model.rpartition(':')[0]}, and calling {model.rpartition(':')[2]} of it")
    net = _called(model)
    if weights is not None:
        _fill(net, weights)
    _trust(model)
    return Source(net, find_input(net), lambda: find_classes(net))


def open_source(model: str, classes: Sequence[str] | None, weights: Path | None, log: Log) -> Source:
    """The network of a name, with its weights. Raises `BeyondcamError`."""
    kind, _, name = model.partition(":")
    if not name:
        raise BeyondcamError(f"{model}: write {KINDS}", parameter="model")
    if kind in _OF_KIND:
        return _OF_KIND[kind](name, classes, weights)
    return _of_function(model, weights, log)


_OF_KIND: dict[str, Callable[..., Source]] = {
    "timm": _of_timm,
    "torchvision": _of_torchvision,
    "hf": _of_transformers,
}


def rebuild(model: str, classes: int, config: Mapping[str, Any] | None) -> nn.Module:
    """A network without its weights, by its `config` where it has one; functions must be trusted."""
    kind, _, name = model.partition(":")
    if kind == "timm":
        return _timm(name, classes)
    if kind == "torchvision":
        return _torchvision(name, classes, config or {})
    if kind == "hf":
        library, settings = transformers(), dict(config or {})
        described = library.AutoConfig.for_model(settings.pop("model_type", ""), **settings)
        return library.AutoModelForImageClassification.from_config(described)
    if model not in _trusted():
        raise BeyondcamError(
            f"{model} would be imported to build this RUN's network; if you trust it, set {IMPORTS}={model}",
            parameter="model",
        )
    return _called(model)


def _timm(name: str, classes: int | None) -> nn.Module:
    heads: dict[str, Any] = {} if classes is None else {"num_classes": classes}
    return timm_network(name, "model", **heads)


def _torchvision(name: str, classes: int, options: Mapping[str, Any]) -> nn.Module:
    from torchvision import models

    _known_to_torchvision(name)
    plain = {"init_weights": False} if name in OWN_SCALE else {}
    return models.get_model(name, num_classes=classes, **plain, **options)


def _known_to_torchvision(name: str) -> None:
    """Raise `BeyondcamError` for a name that is no classifier of torchvision."""
    from torchvision import models

    known = models.list_models(module=models)
    if name not in known:
        close = [each for each in known if each.startswith(name[:4])][:3]
        hint = f"; there are {', '.join(close)}" if close else ""
        raise BeyondcamError(f"torchvision:{name}: no classifier of torchvision{hint}", parameter="model")


def _called(model: str) -> nn.Module:
    """What a function of a module gives, which is imported, also from the folder one works in."""
    module, _, function = model.rpartition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        net = getattr(importlib.import_module(module), function)()
    except Exception as error:
        raise BeyondcamError(
            f"{model}: cannot be imported and called ({one_line(error)})", parameter="model"
        ) from error
    if not isinstance(net, nn.Module):
        raise BeyondcamError(
            f"{model}: returns a {type(net).__name__}, not a torch.nn.Module", parameter="model"
        )
    return net


def _fill(net: nn.Module, weights: Path) -> None:
    """Load weights whose names are the network's."""
    matches = {key: fits for key, state in read_states(weights).items() if (fits := by_name(net, state))}
    if not matches:
        raise BeyondcamError(f"{weights}: has none that fit", parameter="weights")
    net.load_state_dict(only(matches, weights), strict=False)


def _count(classes: Sequence[str] | None) -> int:
    if classes is None:
        raise BeyondcamError(
            "name those that the weights were trained on, in their order", parameter="classes"
        )
    return len(classes)


def _trusted() -> set[str]:
    """The functions that may be imported: those that were adopted here, and those that `IMPORTS` names."""
    path = _trust_file()
    adopted = read_json(path, "beyondcam adopt") if path.exists() else []
    return {*adopted, *os.environ.get(IMPORTS, "").split(",")}


def _trust(model: str) -> None:
    """Remember, for this user and not in the RUN, that a function may be imported."""
    if model not in (known := _trusted()):
        write_json(_trust_file(), sorted((known | {model}) - {""}))


def _trust_file() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "beyondcam" / "imports.json"
