"""Mutated files fed to every reader: each must be read, or refused in one line, in bounded time and memory.

    python tests/fuzz/readers.py --seconds 100
    python tests/fuzz/readers.py --inputs 1000000

Inputs that break a bar are kept in `fuzz-findings/`, named by their reader; the same seed makes
the same inputs. The readers run in a process of their own, since a decoder may end it.
"""

import argparse
import copy
import itertools
import json
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from samples import SAMPLES, Sample

from beyondcam.errors import BeyondcamError

SECONDS = 5.0
"""Of the processor, for one input."""

MEMORY = 2**20
"""KB by which the process may grow."""

BYTES = (
    b"\x00", b"\x01", b"\x7f", b"\x80", b"\xff", b"\xff\xff", b"\x00\x00", b"\x7f\xff\xff\xff", b"\xff" * 4,
    b"\x80\x00\x00\x00", b"\xff" * 8, b"\n", b"\r\n", b",", b";", b'"', b"<", b"\\", b"/../", b"\xef\xbb\xbf",
)  # fmt: skip
VALUES = (
    None, True, -1, 0, 2**31, 2**63, 10**30, 1.5, 1e8, 1e308, float("nan"), float("inf"), "", "1", "NaN",
    "../x",
    "\x00", "\n", "é" * 300, [], [[]], {}, [None], {"a": None},
)  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """An input that a reader did not stand, and what it did."""

    reader: str
    content: bytes
    what: str


def mutated(sample: Sample, rng: np.random.Generator) -> bytes:
    """A sample with a few changes: of bytes, or of values where it is JSON."""
    content = sample.content
    if sample.is_json and rng.random() < 0.7:
        tree = json.loads(content)
        for _ in range(rng.integers(1, 4)):
            _change(tree, rng)
        return json.dumps(tree).encode(errors="surrogatepass")
    for _ in range(rng.integers(1, 6)):
        place = int(rng.integers(len(content) + 1))
        length = int(rng.choice((1, 2, 4, 8, 64, 512)))
        match rng.integers(7):
            case 0:
                content = content[:place] + bytes([rng.integers(256)]) + content[place + 1 :]
            case 1:
                piece = BYTES[rng.integers(len(BYTES))]
                content = content[:place] + piece + content[place + len(piece) :]
            case 2:
                content = content[:place] + BYTES[rng.integers(len(BYTES))] + content[place:]
            case 3:
                content = content[:place] + content[place + length :]
            case 4:
                content = content[:place] + content[place : place + length] * 2 + content[place + length :]
            case 5:
                content = content[:place] + rng.bytes(length) + content[place + length :]
            case 6:
                if rng.random() < 0.2:
                    content = content[:place]
    return content


def _change(tree: object, rng: np.random.Generator) -> None:
    """Change, drop or repeat one value somewhere in a tree of JSON."""
    while isinstance(tree, (dict, list)) and tree:
        keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
        key = keys[rng.integers(len(keys))]
        inner = tree[key]
        if isinstance(inner, (dict, list)) and inner and rng.random() < 0.8:
            tree = inner
            continue
        if rng.random() < 0.2:
            del tree[key]
        elif isinstance(tree, list) and rng.random() < 0.3:
            tree.append(copy.deepcopy(inner))
        else:
            tree[key] = copy.deepcopy(VALUES[rng.integers(len(VALUES))])
        return


def inputs(seed: int) -> Iterator[tuple[Sample, bytes]]:
    """Endless mutated inputs, of each sample in turn."""
    rng = np.random.default_rng(seed)
    for sample in itertools.cycle(SAMPLES):
        yield sample, mutated(sample, rng)


def examine(sample: Sample, content: bytes, folder: Path) -> Finding | None:
    """Feed an input to its reader; what it must not do is found out."""
    signal.setitimer(signal.ITIMER_PROF, 12 * SECONDS)  # which ends the process where a decoder hangs
    started, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    what = None
    try:
        sample.read(folder, content)
    except BeyondcamError as error:
        if len(str(error).splitlines()) != 1:
            what = f"several lines: {error}"
    except Exception:
        what = traceback.format_exc()
    if time.process_time() - started > SECONDS:
        what = f"took {time.process_time() - started:.0f} s"
    if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before > MEMORY:
        what = "took more than a GB"
    return what and Finding(sample.reader, content, what)


def fuzz(seed: int, folder: Path, go_on: Callable[[int], bool]) -> Iterator[Finding]:
    """What was found while `go_on`, told how many inputs there were, says so."""
    counts = Counter[str]()
    for number, (sample, content) in enumerate(inputs(seed)):
        if not go_on(number):
            signal.setitimer(signal.ITIMER_PROF, 0)
            print(f"{number} inputs: {', '.join(f'{name} {count}' for name, count in counts.items())}")
            return
        counts[sample.reader] += 1
        (folder / "current").write_bytes(content)
        (folder / "reader").write_text(sample.reader)
        if found := examine(sample, content, folder):
            yield found


def main() -> int:
    """Fuzz in a process of its own, and keep what is found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=100, help="how long to go on")
    parser.add_argument("--inputs", type=int, default=0, help="how many inputs to try instead")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    findings = Path("fuzz-findings")
    if asked.folder is None:
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([sys.executable, __file__, *sys.argv[1:], "--folder", folder], check=False)
            if done.returncode < 0:  # by a signal
                keep(findings, Finding(
                    Path(folder, "reader").read_text(), Path(folder, "current").read_bytes(),
                    f"ended the process by signal {-done.returncode}",
                ))  # fmt: skip
            return 1 if done.returncode else 0
    end, count = time.monotonic() + asked.seconds, 0

    def go_on(number: int) -> bool:
        return number < asked.inputs if asked.inputs else time.monotonic() < end

    for found in fuzz(asked.seed, asked.folder, go_on):
        keep(findings, found)
        count += 1
    return 1 if count else 0


def keep(folder: Path, found: Finding) -> None:
    """Write an input down, and say what it did."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{found.reader}-{len(list(folder.iterdir())):04d}"
    path.write_bytes(found.content)
    print(f"{path}: {found.what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
