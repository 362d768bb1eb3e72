"""Kill commands at random moments; run again, each must end with the bytes of an undisturbed run.

    python benchmarks/kill.py --kills 79

Makes a small set of discs and squares and, by every command in turn, a RUN of it. Then it puts the state
before a command back, starts the command, sends it SIGKILL at a moment drawn between its first write and its
end, runs it again to its end, and compares all files. Exits 1 where any differs, is missing or is left over.
Commands are forks of one process that has imported torch and the like, which take most of their time.
"""

import argparse
import importlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import numpy as np
from PIL import Image

IMAGES = 15
CLASSES = ("disc", "square")
NETWORK = "--no-pretrained --size 32 --batch 4 --epochs 4"
COMMANDS = {
    "train": f"train --data folder:data --split train --out run --backbone convnet {NETWORK}",
    "map": "map run --split train --recipe cam --recipe saliency+walk",
    "score": "score run --split train",
    "seed": "seed run --split train --recipe cam --threshold 0.3 --out seeds --coco --npy",
    "import": "import run seeds/npy --split train --recipe theirs",
    "segment": "segment run --recipe cam --threshold 0.3 --name small --architecture linknet "
    f"--encoder resnet10t {NETWORK}",
    "predict": "predict run/segment/small data/images --out found",
    "report": "report run",
}
"""In the order in which each makes what the next ones need."""

LIBRARIES = (
    "torch._dynamo", "lightning_fabric", "timm", "segmentation_models_pytorch", "sklearn.metrics",
    "scipy.stats", "skimage.segmentation", "matplotlib.pyplot", "jinja2", "pycocotools.mask", "typer",
    "rich.progress",
)  # fmt: skip


@dataclass(frozen=True)
class Undisturbed:
    """A command run without a kill: the state before it, the files after it, and when it wrote (seconds)."""

    before: Path
    after: dict[str, bytes]
    first_write: float
    end: float


def main() -> None:
    """Kill, compare, print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=79)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    for library in LIBRARIES:
        importlib.import_module(library)
    rng = np.random.default_rng(asked.seed)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        work = scratch / "work"
        make_data(work / "data")
        undisturbed = {name: run_whole(name, work, scratch / name) for name in COMMANDS}
        kills, problems = Counter[str](), dict.fromkeys(COMMANDS, 0)
        for name in cycle(COMMANDS):
            if kills.total() == asked.kills:
                break
            kills[name] += 1
            found = kill_once(name, undisturbed[name], work, rng)
            problems[name] += bool(found)
            print(f"{kills.total()}/{asked.kills} {name}: {'; '.join(found) or 'the same bytes'}", flush=True)
    print("\n| command | files | kills | that left a difference |\n| --- | --- | --- | --- |")
    for name, count in kills.items():
        print(f"| {name} | {len(undisturbed[name].after)} | {count} | {problems[name]} |")
    print(f"| all | | {kills.total()} | {sum(problems.values())} |")
    sys.exit(any(problems.values()))


def make_data(root: Path) -> None:
    """Photos of a disc, a square or both, their labels and masks."""
    rows = ["image,labels"]
    for n in range(IMAGES):
        rng = np.random.default_rng(n)
        pixels, mask = rng.integers(0, 90, (40, 48, 3)), np.zeros((40, 48), np.uint8)
        present = [c for c in range(2) if n % 3 in (c, 2)]
        for c in present:
            y, x = np.mgrid[:40, :48] - np.array([rng.integers(12, 28), 12 + 24 * c])[:, None, None]
            inside = (y**2 + x**2 < 80) if c == 0 else (abs(y) < 8) & (abs(x) < 8)
            mask[inside] = c + 1
            pixels[inside, 2 * c] += 150
        for kind, values in (("images", pixels.astype(np.uint8)), ("masks", mask)):
            (root / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(values).save(root / kind / f"p{n:02d}.png")
        rows.append(f"p{n:02d}.png,{';'.join(CLASSES[c] for c in present)}")
    (root / "labels.csv").write_text("\n".join(rows) + "\n")
    (root / "classes.txt").write_text("\n".join(CLASSES) + "\n")


def start(name: str, work: Path) -> int:
    """Start a command in the folder `work`, what it says going to `work.log`; return its process."""
    sys.stdout.flush()
    if process := os.fork():
        return process
    try:
        said = os.open(work.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(said, 1)
        os.dup2(said, 2)
        os.chdir(work)
        sys.argv = ["beyondcam", *COMMANDS[name].split()]
        sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))
        importlib.import_module("beyondcam.cli").main()
    except SystemExit as ended:
        sys.stdout.flush()
        os._exit(int(ended.code or 0))
    finally:
        os._exit(99)


def wait(process: int, seconds: float = float("inf")) -> int | None:
    """The exit status of a process, None where it is still at work after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            return None
        time.sleep(0.005)


def finish(name: str, process: int, work: Path) -> None:
    """Wait for the end of a command. Raises `RuntimeError` where it is not status 0."""
    if status := wait(process):
        said = work.with_suffix(".log").read_text(errors="replace").strip()
        raise RuntimeError(f"{name} ended with {status}: {said[-400:]}")


def run_whole(name: str, work: Path, before: Path) -> Undisturbed:
    """Run a command undisturbed, after a copy of the state was put aside."""
    shutil.copytree(work, before)
    there, began, first = states(work), time.monotonic(), None
    process = start(name, work)
    while wait(process, 0) is None:
        if first is None and states(work) != there:
            first = time.monotonic() - began
    end = time.monotonic() - began
    print(f"{name}: {end:.1f} s, writes from {first or end:.1f} s on", flush=True)
    return Undisturbed(before, files_of(work), first or end, end)


def kill_once(name: str, whole: Undisturbed, work: Path, rng: np.random.Generator) -> list[str]:
    """Kill a command at a random moment, run it again to its end; return what differs."""
    pace, killed = 1.0, False  # the machine may have more or less to do than before
    while not killed:
        shutil.rmtree(work)
        shutil.copytree(whole.before, work)
        process, began = start(name, work), time.monotonic()
        drawn = rng.uniform(whole.first_write - 0.2 * (whole.end - whole.first_write), whole.end)
        killed = wait(process, pace * drawn) is None
        if killed:
            os.kill(process, signal.SIGKILL)
            wait(process)
        pace = (time.monotonic() - began) / whole.end
    finish(name, start(name, work), work)
    return differences(whole.after, files_of(work))


def states(root: Path) -> set[tuple[Path, int]]:
    """All files below a folder, with the times of their last change."""
    return {(path, path.stat().st_mtime_ns) for path in root.rglob("*") if path.is_file()}


def files_of(root: Path) -> dict[str, bytes]:
    """All files below a folder; those that processes name after themselves as one, and costs not at all."""
    files: dict[str, bytes] = {}
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        name, content = path.relative_to(root).as_posix(), path.read_bytes()
        if path.parent.name == "photos":
            name = f"{path.parent.relative_to(root)}/*"
            content = b"\n".join(sorted({*files.get(name, b"").splitlines(), *content.splitlines()}))
        elif path.name.startswith("cost-"):
            name, content = f"{path.parent.relative_to(root)}/cost-*", b""
        files[name] = content
    return files


def differences(expected: dict[str, bytes], actual: dict[str, bytes]) -> list[str]:
    """A word for each file that is missing, left over or of other bytes."""
    missing = dict.fromkeys(expected.keys() - actual.keys(), "is missing")
    left = dict.fromkeys(actual.keys() - expected.keys(), "is left over")
    other = {name: "differs" for name in expected.keys() & actual.keys() if expected[name] != actual[name]}
    return [f"{name} {what}" for name, what in sorted((missing | left | other).items())]


if __name__ == "__main__":
    main()
