"""The command line as a whole: start-up, options, one line for what is wrong, any console, Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import pytest
import typer
from PIL import Image

import beyondcam as bc
from beyondcam.cli import app, options
from beyondcam.cli.terminal import DEBUG
from beyondcam.errors import BeyondcamError, printable
from conftest import Command, call, make_folder, one_line, recipe_options

USAGE_ERROR = typer.BadParameter.__base__


def refusal(*words: object) -> str:
    """Why the command line, in this process, refuses these words: one line."""
    texts = [str(word) for word in words]
    with pytest.raises((BeyondcamError, USAGE_ERROR)) as caught:
        app.make_app(texts)(texts, standalone_mode=False)
    message = str(caught.value) if isinstance(caught.value, BeyondcamError) else caught.value.format_message()
    assert "\n" not in message
    return message


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", code]
    return subprocess.run(
        words, capture_output=True, text=True, check=False, env=os.environ | environment, encoding="utf-8"
    )


# start-up


@pytest.mark.parametrize(
    "words", [["--help"], ["train", "--help"], ["segment", "--help"], ["map", "--help"], ["study", "--list"]]
)
def test_help_and_the_list_of_studies_are_shown_without_torch_or_numpy(words: list[str]) -> None:
    done = python(f"""
import atexit, sys
atexit.register(lambda: print({{"torch", "numpy"}} & sys.modules.keys(), file=sys.stderr))
sys.argv[1:] = {words}
from beyondcam.cli import main
main()
""")
    assert done.stdout.startswith(("Usage: ", "window: How large"))
    assert done.stderr == "set()\n"
    assert done.returncode == 0


def test_importing_the_package_loads_no_torch_until_a_name_is_used() -> None:
    done = python("""
import sys
import beyondcam
assert beyondcam.BeyondcamError and beyondcam.TrainConfig
assert "torch" not in sys.modules
beyondcam.Classifier
assert "torch" in sys.modules
""")
    assert done.returncode == 0, done.stderr


def test_every_public_name_is_there() -> None:
    assert set(bc.__all__) <= set(dir(bc))
    for name in bc.__all__:
        assert getattr(bc, name) is not None


def seconds(code: str) -> float:
    """Processor time of a Python that runs this."""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_utime + usage.ru_stime


@pytest.mark.skipif(not hasattr(os, "wait4"), reason="the processor time of a process is not known")
@pytest.mark.parametrize(
    ("code", "base", "bar"),
    [
        ("import sys; from beyondcam.cli import main; sys.argv[1:] = ['--help']; main()",
         "import typer, rich", 2),
        ("import torch, beyondcam; beyondcam.map_image; beyondcam.load_classifier", "import torch", 1.3),
    ],
)  # fmt: skip
def test_start_up_takes_little_more_than_what_it_cannot_do_without(code: str, base: str, bar: float) -> None:
    ours, theirs = [], []
    for _ in range(12):  # interleaved, since other work on this machine slows both down
        ours.append(seconds(code))
        theirs.append(seconds(base))
        if min(ours) <= bar * min(theirs):
            return
    pytest.fail(f"{min(ours):.3f} s, {min(theirs):.3f} s for {base!r}")


# options


def names_of(command: str) -> set[str]:
    group = typer.main.get_command(app.make_app([command]))
    return {name for option in group.commands[command].params for name in option.opts}


@pytest.mark.parametrize(("command", "settings"), app.SETTINGS.items())
def test_each_field_of_the_settings_is_an_option(command: str, settings: str) -> None:
    fields = getattr(bc, settings).model_fields.keys() - ({"data"} if command == "masks" else set())
    assert {f"--{name.replace('_', '-')}" for name in fields} <= names_of(command)
    assert "--settings" not in names_of(command)


def test_options_of_settings_reach_them(monkeypatch: pytest.MonkeyPatch) -> None:
    import beyondcam.classifier

    given = []
    monkeypatch.setattr(
        beyondcam.classifier, "train_run", lambda config, *_: given.append(config) or {"p1": "no label"}
    )
    words = ["train", "--data", "folder:x", "--out", "run", "--classes", "a, b", "--head-lr", "3",
             "--no-flip", "--output-stride", "16", "--perturb", "noise", "--negatives", "ok",
             "--crop-scale", "0.5", "0.75"]  # fmt: skip
    assert app.make_app(words)(words, standalone_mode=False) == 1
    (config,) = given
    assert config.data == "folder:x:ok"
    assert config.classes == ("a", "b")
    assert config.head_lr == 3
    assert config.flip is False
    assert config.output_stride == 16
    assert config.perturb.kind == "noise"
    assert config.crop_scale == (0.5, 0.75)
    assert config.model_fields_set == {
        "data", "classes", "head_lr", "flip", "output_stride", "perturb", "crop_scale"
    }  # fmt: skip


# what is wrong, in one line


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["map", "RUN", "--split", "none", "--recipe", "cam"], "none"),
        (["map", "RUN", "--recipe", "camm"], "camm"),
        (["map", "RUN", "--recipe", "cam+smoth"], "smoth"),
        (["map", "RUN", "--recipe", "cam", "--data", "nowhere"], "--data"),
        (["map", "RUN", "--recipe", "cam", "--data", "folder:/nowhere"], "/nowhere"),
        (["map", "RUN", "--recipe", "cam", "--classes", "rad"], "did you mean 'red'"),
        (["map", "RUN", "--recipe", "cam", "--classes", "red"], "--classes: give them as in training"),
        (["map", "RUN", "--recipe", "cam", "--shard", "3/2"], "--shard: write I/N"),
        (["map", "RUN", "--recipe", "cam", "--batch", "0"], "--batch"),
        (["map", "RUN", "--recipe", "cam", "--seed", "-1"], "--seed"),
        (["map", "RUN"], "--recipe"),
        (["map", "RUN", "--recipe", "cam", "--recipes", "/no.toml"], "/no.toml"),
        (["map", "/no/run", "--recipe", "cam"], "beyondcam train"),
        (["import", "RUN", "/no", "--recipe", "../x"], "--recipe: '../x' holds more"),
        (["score", "RUN"], "beyondcam map"),
        (["score", "RUN", "--reference-threshold", "0.2"], "--reference-threshold: "),
        (["report", "RUN"], "beyondcam score"),
        (["seed", "RUN", "--recipe", "cam", "--threshold", "2", "--out", "/tmp/never"], "beyondcam map"),
        (["train", "--data", "digits", "--kernel", "4", "--out", "/tmp/never"], "--kernel: an odd"),
        (["train", "--data", "digits", "--backbone", "resnet18", "--kernel", "3", "--out", "/tmp/never"],
         "--kernel: it and pool are the convnet's"),
        (["train", "--data", "digits", "--start", "a", "--weights", "b", "--out", "/tmp/c"], "--start: "),
        (["train", "--data", "digits", "--epochs", "0", "--out", "/tmp/never"], "--epochs: "),
        (["train", "--data", "digits", "--crop-scale", "1", "0.4", "--out", "/tmp/never"], "--crop-scale: "),
        (["segment", "RUN", "--truth", "--crop-scale", "2", "1"], "--crop-scale: "),
        (["train", "--data", "digits", "--std", "0", "0", "0", "--out", "/tmp/never"], "--std: (0, 0, 0)"),
        (["train", "--data", "digits", "--head-lr", "nan", "--out", "/tmp/never"], "--head-lr: "),
        (["train", "--data", "digits", "--optimizer", "adam", "--out", "/tmp/never"], "--optimizer: "),
        (["train", "--data", "digits", "--backbone", "resnet51", "--out", "/tmp/x"], "--backbone: resnet51"),
        (["predict", "RUN"], "IMAGES: "),
        (["explain", "/no/image.jpg"], "/no/image.jpg"),
        (["study", "no-such-study"], "NAME: no study 'no-such-study'"),
        (["study", "crops", "--beside", "RUN", "--run", "RUN"], "--beside: study crops"),
        (["no-such-command"], "no-such-command"),
        (["masks", "nosuch", "--out", "/tmp/never"], "PHOTOS: nosuch: no such folder or file; write"),
        (["evaluate", "nofolder", "--data", "digits"], "FOLDER: nofolder: no such folder"),
    ],
)  # fmt: skip
def test_bad_arguments_are_named_as_they_are_written(words: list[str], named: str, run: Path) -> None:
    assert named in refusal(*[run if word == "RUN" else word for word in words])


@pytest.mark.parametrize("words", [("review",), ("export", "--to", "png", "--out", "/tmp/never")])
def test_the_folder_that_holds_the_run_is_told_from_it(
    words: tuple[str, ...], run: Path, tmp_path: Path
) -> None:
    said = refusal(words[0], tmp_path, *words[1:])  # as `beyondcam masks --out` makes them
    assert said == f"{tmp_path}: is not the RUN, which is in it: write {run}"


def test_what_the_library_says_of_settings_names_their_options(capsys: pytest.CaptureFixture[str]) -> None:
    options.advise("few photos: hole (8): name the others (classes), or a smaller stride (output_stride)")
    said = capsys.readouterr().err
    assert (
        said == "few photos: hole (8): name the others (--classes), or a smaller stride (--output-stride)\n"
    )
    for own in ("photos (data): no such folder", "p (size)/red/bad.png: no picture"):
        assert options.advised(own) == own


def test_the_default_split_is_val_but_where_the_run_was_trained_on_all(run: Path, tmp_path: Path) -> None:
    """The RUN of these tests was trained on all of its data."""
    data = json.loads((run / "config.json").read_text())["train"]["data"]
    recipe = ("--recipe", "cam")
    assert call("map", run, *recipe, "--no-witnesses") == 0
    assert call("seed", run, *recipe, "--threshold", 0.3, "--out", tmp_path / "seeds") == 0
    assert len(list((tmp_path / "seeds" / "masks").iterdir())) == 24
    assert call("score", run, "--data", data) == 0
    assert {row["split"] for row in json.loads((run / "scores.json").read_text())} == {"all"}
    assert "no evidence on all" in refusal("segment", run, "--recipe", "crops")
    moved = make_folder(tmp_path / "moved")  # the same photos
    assert options.open_images_of(run, f"folder:{moved}", None, None, default="val").split == "all"
    for photo in (moved / "images").iterdir():
        Image.new("RGB", (48, 48), "green").save(photo)
    assert options.open_images_of(run, f"folder:{moved}", None, None, default="val").split == "val"
    config = json.loads((run / "config.json").read_text())
    config["train"]["split"] = "train"
    (run / "config.json").write_text(json.dumps(config))
    assert call("map", run, *recipe, "--no-witnesses") == 0
    assert {path.name for path in (run / "evidence").iterdir()} == {"all", "val"}
    assert "no evidence of train" in refusal("segment", run, *recipe)


def test_what_an_earlier_seed_left_for_others_is_named(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("map", run, "--recipe", "cam", "--no-witnesses") == 0
    seed = ("seed", run, "--recipe", "cam", "--threshold", 0.3, "--out", tmp_path / "seeds")
    assert call(*seed, "--coco", "--npy") == 0
    assert "earlier call" not in capsys.readouterr().err
    assert call(*seed, "--npy") == 0
    said = capsys.readouterr().err
    assert f"{tmp_path / 'seeds' / 'instances.json'} is of an earlier call" in said
    assert f"{tmp_path / 'seeds' / 'npy'} is" not in said


def test_a_recipe_with_an_unknown_key_is_named(run: Path, tmp_path: Path) -> None:
    file = tmp_path / "r.toml"
    file.write_text('[recipes.mine]\nmap = "cam"\nsmoth = 3\n')
    assert "r.toml: recipes.mine.smoth" in refusal("map", run, "--recipes", file, "--recipe", "mine")


def test_a_checkpoint_of_another_backbone_is_named(run: Path) -> None:
    config = json.loads((run / "config.json").read_text())
    config["train"]["kernel"] = 7
    (run / "config.json").write_text(json.dumps(config))
    message = refusal("map", run, "--split", "all", "--recipe", "cam")
    assert "classifier.safetensors: not a checkpoint of convnet" in message
    (run / "config.json").write_text("{")
    assert "config.json" in refusal("map", run, "--recipe", "cam")


@pytest.mark.parametrize(
    ("message", "parameter", "shown"),
    [
        ("too high", "head_lr", "--head-lr: too high"),
        ("not there", "run", "RUN: not there"),
        (
            "run: a folder that is called so is not there",
            None,
            "run: a folder that is called so is not there",
        ),
        ("lower head_lr", None, "lower head_lr"),
        ("is none of its parameters", "other", "other: is none of its parameters"),
    ],
)
def test_a_message_about_a_parameter_names_the_option(
    message: str, parameter: str | None, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def command(
        run: Annotated[Path, typer.Argument(metavar="RUN")], head_lr: Annotated[float, typer.Option()] = 1
    ) -> None:
        raise BeyondcamError(message, parameter=parameter)

    monkeypatch.setitem(app.COMMANDS, "report", command)
    assert refusal("report", "x") == shown


def test_an_option_that_is_called_otherwise_than_its_parameter_is_named_as_it_is_declared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **given: object) -> None:
        assert given["prompts"] == ["a cat"]
        raise BeyondcamError("sentences with {} are needed", parameter="prompts")

    monkeypatch.setattr("beyondcam.classifier.adopt_network", refuse)
    shown = refusal("adopt", "run", "--model", "clip:x", "--classes", "cat", "--prompt", "a cat")
    assert shown == "--prompt: sentences with {} are needed"


def test_an_error_is_one_printable_line_and_may_name_its_parameter() -> None:
    error = BeyondcamError("two\nlines of \x1b[31ma\udce9.jpg", parameter="head_lr")
    assert str(error) == r"head_lr: two\nlines of \x1b[31ma\udce9.jpg"
    assert error.parameter == "head_lr"
    assert printable("né τ ≤ 0.5, 猫") == "né τ ≤ 0.5, 猫"


# the real process

CRASH = """
import sys
from beyondcam.cli import app, main
def crash():
    raise {error}
app.COMMANDS["report"] = crash
main()
"""


def crashed(error: str, tmp_path: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.argv[1:] = {[*words, 'report']}\n" + CRASH.format(error=error)
    return python(code, TMPDIR=str(tmp_path), **environment)


def test_what_nobody_foresaw_is_one_line_that_says_what_to_send(tmp_path: Path) -> None:
    done = crashed("KeyError('n' + chr(10) + 'obody')", tmp_path)
    assert done.returncode == 2
    line = one_line(done)
    assert line.startswith("beyondcam: KeyError: ")
    assert "this is a bug in beyondcam" in line
    (file,) = tmp_path.iterdir()
    assert str(file) in line
    assert "in crash" in file.read_text()
    assert "torch " in file.read_text()


NO_MEMORY = "beyondcam: out of memory; take a smaller batch, fewer workers or smaller images"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        ("BeyondcamError('mine: broken')", "beyondcam: mine: broken"),
        ("OSError(28, 'No space left on device')", "beyondcam: disk: No space left on device"),
        ("PermissionError(13, 'Permission denied', 'a.png')", "beyondcam: a.png: Permission denied"),
        ("MemoryError", NO_MEMORY),
        ("__import__('torch').OutOfMemoryError('CUDA out of memory. Tried to allocate 9 GiB')", NO_MEMORY),
        ('RuntimeError("[enforce fail] DefaultCPUAllocator: can\'t allocate memory: you tried")', NO_MEMORY),
    ],
)
def test_what_was_foreseen_is_one_line_and_no_bug(error: str, line: str, tmp_path: Path) -> None:
    done = crashed(error.replace("Beyond", "__import__('beyondcam').Beyond"), tmp_path)
    assert (done.returncode, one_line(done)) == (2, line)
    assert not list(tmp_path.iterdir())


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    for words, environment in ((["--debug"], {}), ([], {DEBUG: "1"})):
        done = crashed("BeyondcamError('mine: broken')", tmp_path, *words, **environment)
        assert done.returncode == 2
        assert "in crash" in done.stderr


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "cp1252"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
)
@pytest.mark.parametrize(("words", "status"), [(["--help"], 0), (["seed", "--help"], 0), (["τ→\n猫"], 2)])
def test_a_console_that_is_not_utf_8_shows_everything(
    words: list[str], status: int, environment: dict[str, str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "beyondcam", *words],
        capture_output=True, check=False, env=os.environ | environment,
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    coding = environment.get("PYTHONIOENCODING", "ascii")
    whole = subprocess.run(
        [sys.executable, "-m", "beyondcam", *words],
        capture_output=True, check=False, env=os.environ | environment | {"PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    for shown, expected in ((done.stdout, whole.stdout), (done.stderr, whole.stderr)):
        escaped = expected.decode().encode(coding, "backslashreplace")
        assert shown in (escaped, expected)  # click takes ASCII for a mistake, and writes UTF-8


def test_file_names_do_not_reach_the_terminal_raw(tmp_path: Path, beyondcam: Command) -> None:
    line = one_line(beyondcam("report", tmp_path / "a\x1b[31m\nb", status=2))
    assert r"a\x1b[31m\nb" in line


# Ctrl-C

INTERRUPTED = """
import os, signal, sys, threading, time
from beyondcam.cli import main
def strike():
    while "{module}" not in sys.modules:
        time.sleep(0.0005)
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=strike, daemon=True).start()
sys.argv[1:] = ["map", "x", "--recipe", "cam"]
main()
"""


@pytest.fixture
def heard() -> Iterator[None]:
    """Interrupts reach the processes that a test starts, even where the tests run in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("module", ["typer", "beyondcam.cli.app", "numpy", "torch", "torch.nn", "pydantic"])
def test_ctrl_c_during_imports_is_one_line(module: str) -> None:
    done = python(INTERRUPTED.format(module=module))
    assert (done.returncode, done.stderr) == (130, "beyondcam: interrupted\n")


def wait_until(true: Callable[[], object]) -> None:
    end = time.monotonic() + 120
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.usefixtures("heard")
def test_ctrl_c_ends_worker_processes_without_a_word(run: Path) -> None:
    words = ["map", str(run), "--split", "all", "--workers", "2", "--no-witnesses", *recipe_options("crops")]
    process = subprocess.Popen(
        [sys.executable, "-m", "beyondcam", *words],
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    wait_until(lambda: process.poll() is not None or list(run.glob("evidence/*/*/*.png")))
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to this process and to its workers
    _, errors = process.communicate()
    assert (process.returncode, errors) == (130, "beyondcam: interrupted\n")

    def gone() -> bool:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return True
        return False

    wait_until(gone)


def test_an_ignored_interrupt_stays_ignored(tmp_path: Path) -> None:
    """As with nohup, or in the background of a shell script."""
    code = CRASH.format(error="SystemExit(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)")
    done = python(
        "import signal, sys; sys.argv[1:] = ['report']; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + code
    )
    assert done.returncode == 1, done.stderr
