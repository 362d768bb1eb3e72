"""The commands, and the app that is made of them."""

import functools
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, get_args

import typer
from typer.models import ArgumentInfo, OptionInfo

import beyondcam
from beyondcam.cli.adopt import adopt_command
from beyondcam.cli.evaluate import evaluate_command
from beyondcam.cli.exchange import export_command, import_masks_command
from beyondcam.cli.map import import_command, map_command
from beyondcam.cli.masks import masks_command
from beyondcam.cli.options import advised, option_of
from beyondcam.cli.report import explain_command, report_command
from beyondcam.cli.review import review_command
from beyondcam.cli.score import score_command
from beyondcam.cli.seed import seed_command
from beyondcam.cli.segment import predict_command, segment_command
from beyondcam.cli.study import demo_command, study_command
from beyondcam.cli.terminal import DEBUG
from beyondcam.cli.train import train_command
from beyondcam.errors import BeyondcamError

if TYPE_CHECKING:  # importing it takes as long as all the rest of the help
    from pydantic import BaseModel

Command = Callable[..., None]

COMMANDS: Mapping[str, Command] = {
    "demo": demo_command,
    "masks": masks_command,
    "train": train_command,
    "adopt": adopt_command,
    "map": map_command,
    "import": import_command,
    "score": score_command,
    "evaluate": evaluate_command,
    "seed": seed_command,
    "review": review_command,
    "export": export_command,
    "import-masks": import_masks_command,
    "segment": segment_command,
    "predict": predict_command,
    "report": report_command,
    "explain": explain_command,
    "study": study_command,
}
SETTINGS = {"masks": "TrainConfig", "train": "TrainConfig", "segment": "SegmentConfig"}
"""The settings whose fields are options of a command, in place of its `**settings`."""


def make_app(words: Sequence[str]) -> typer.Typer:
    """The app for the words of a command line: settings are imported for no other command than theirs."""
    app = typer.Typer(
        name="beyondcam", add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
    )
    app.callback()(_beyondcam)
    for name, command in COMMANDS.items():
        settings = getattr(beyondcam, SETTINGS[name]) if name in SETTINGS and name in words else None
        app.command(name)(_with_flags(command, settings))
    return app


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(beyondcam.__version__)
        raise typer.Exit


def _beyondcam(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """From image-level labels to scored segmentation masks."""
    del version  # shown before anything else
    if debug:
        os.environ[DEBUG] = "1"


def _with_flags(command: Command, settings: "type[BaseModel] | None") -> Command:
    """The command with its settings' fields as options. Its errors name options as they are written.

    So an error about the parameter `head_lr` begins with `--head-lr:`, and `(lr)` in it is `(--lr)`.
    """
    parameters = {
        name: parameter.replace(kind=parameter.KEYWORD_ONLY)
        for name, parameter in inspect.signature(command).parameters.items()
        if parameter.kind is not parameter.VAR_KEYWORD
    }
    if settings:
        fields = settings.model_fields.items()
        parameters |= {name: option_of(name, field) for name, field in fields if name not in parameters}

    @functools.wraps(command)
    def flagged(**given: object) -> None:
        try:
            command(**given)
        except BeyondcamError as error:
            message = str(error)
            if error.parameter in parameters:
                message = _shown(parameters[error.parameter]) + message.removeprefix(error.parameter)
            raise type(error)(advised(message)) from error

    shown = {
        "__signature__": inspect.Signature(list(parameters.values())),
        "__annotations__": {name: parameter.annotation for name, parameter in parameters.items()},
    }
    vars(flagged).update(shown)
    return flagged


def _shown(parameter: inspect.Parameter) -> str:
    """A parameter as it is written on the command line: `--head-lr`, `RUN`."""
    for info in get_args(parameter.annotation):
        if isinstance(info, ArgumentInfo):
            return (info.metavar or parameter.name.upper()).rstrip(".")
        if isinstance(info, OptionInfo) and str(info.default).startswith("--"):
            return str(info.default)  # where typer keeps the first name that `Option` is given
    return f"--{parameter.name.replace('_', '-')}"
