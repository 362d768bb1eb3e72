r"""Hold this code against another commit of it: evidence, seeds and scores must be the same.

    python benchmarks/golden.py --against ab5cccb --run runs/animals \
        --data voc:$BEYONDCAM_DATA/voc2012_animals

Both run `demo`, and map, score and seed 16 photos of `train` with four recipes and the RUN's classifier.
Evidence and seeds are compared byte for byte, rows of scores digit for digit, seconds left out. New columns
are no difference. Exits 1 where anything differs.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

IMAGES = 16
RECIPES = ("cam", "cam-ms", "fast", "best")
KEY = ("split", "recipe", "threshold_rule")
"""What names a row of scores."""
MOVED = ("data", "recipe_hash", "checkpoint", "cost")
"""What a row says of where it comes from, and of seconds."""


def main() -> None:
    """Run both commits, compare, print what differs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--against", required=True, help="a commit")
    parser.add_argument("--run", type=Path, required=True, help="a RUN, whose classifier is taken")
    parser.add_argument("--data", required=True, help="voc:PATH, with masks")
    parser.add_argument("--keep", type=Path, help="a folder for the commit's outputs, used again if there")
    arguments = parser.parse_args()
    here = Path(__file__).resolve().parents[1]
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        voc = few_photos(Path(arguments.data.removeprefix("voc:")), scratch / "voc")
        reference = (arguments.keep or scratch / "reference").resolve()
        if not (reference / "done").exists():
            tree = scratch / "tree"
            git = ("git", "-C", str(here), "worktree")
            subprocess.run((*git, "add", "--detach", str(tree), arguments.against), check=True)
            try:
                make(tree, reference, arguments.run, voc)
            finally:
                subprocess.run((*git, "remove", "--force", str(tree)), check=True)
            (reference / "done").touch()
        make(here, scratch / "here", arguments.run, voc)
        counts, differences = compare(reference, scratch / "here")
    for difference in differences:
        print(difference)
    compared = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    print(f"{compared} compared with {arguments.against}: {len(differences)} differ")
    sys.exit(bool(differences))


def few_photos(voc: Path, out: Path) -> Path:
    """VOC data whose split `few` is a few photos spread over `train`."""
    ids = (voc / "ImageSets/Segmentation/train.txt").read_text().split()
    chosen = [ids[n * len(ids) // IMAGES] for n in range(IMAGES)]
    for name, suffix in (("JPEGImages", "jpg"), ("SegmentationClass", "png")):
        (out / name).mkdir(parents=True)
        for image_id in chosen:
            shutil.copy(voc / name / f"{image_id}.{suffix}", out / name)
    (out / "ImageSets/Segmentation").mkdir(parents=True)
    (out / "ImageSets/Segmentation/few.txt").write_text("\n".join(chosen) + "\n")
    return out


def make(tree: Path, out: Path, trained: Path, voc: Path) -> None:
    """All outputs of one checkout: `out/demo` and `out/animals`."""

    def beyondcam(*words: object) -> None:
        environment = os.environ | {"PYTHONPATH": str(tree / "src"), "OMP_NUM_THREADS": "1"}
        command = (sys.executable, "-m", "beyondcam", *map(str, words))
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)

    run = out / "animals"
    run.mkdir(parents=True, exist_ok=True)
    for name in ("config.json", "training.json", "classifier.safetensors"):
        shutil.copy(trained / name, run)
    photos = ("--data", f"voc:{voc}", "--split", "few")
    beyondcam("map", run, *photos, *(word for name in RECIPES for word in ("--recipe", name)))
    beyondcam("score", run, *photos)
    for name in RECIPES:
        beyondcam("seed", run, *photos, "--recipe", name, "--out", run / "seeds" / name)
    beyondcam("demo", "--out", out / "demo")


def compare(reference: Path, here: Path) -> tuple[dict[str, int], list[str]]:
    """How many files and rows the reference has, by kind, and a line for each that is not the same here."""
    counts, differences = {}, []
    for kind, outputs in (("evidence files", evidence), ("seeds", seeds), ("rows of scores", rows)):
        expected, actual = dict(outputs(reference)), dict(outputs(here))
        counts[kind] = len(expected)
        differences += [f"{kind}: {key}" for key in expected if not same(expected[key], actual.get(key))]
    return counts, differences


def same(expected: Any, actual: Any) -> bool:
    """Whether two outputs are equal; a row may have columns that the reference has not."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        return all(same(value, actual.get(key)) for key, value in expected.items())
    return bool(expected == actual)


def evidence(out: Path) -> Iterator[tuple[Any, bytes]]:
    """Files of evidence by RUN, split, recipe and image."""
    for path in sorted(out.glob("*/evidence/*/*/manifest.json")):
        manifest = json.loads(path.read_text())
        for picture in path.parent.glob("*.png"):
            run = path.relative_to(out).parts[0]
            yield (run, manifest["split"], manifest["name"], picture.name), picture.read_bytes()


def seeds(out: Path) -> Iterator[tuple[str, bytes]]:
    """Seeds by path."""
    for path in sorted(out.glob("*/seeds/**/masks/*.png")):
        yield str(path.relative_to(out)), path.read_bytes()


def rows(out: Path) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Rows of scores by RUN, split, recipe and rule, without what names their data and their seconds."""
    for path in sorted(out.glob("*/scores.json")):
        for row in json.loads(path.read_text()):
            key = (path.parent.name, *(row[k] for k in KEY))
            passes = {k: v for k, v in row["cost"].items() if k != "seconds"} if row["cost"] else None
            yield key, {k: v for k, v in row.items() if k not in MOVED} | {"passes": passes}


if __name__ == "__main__":
    main()
