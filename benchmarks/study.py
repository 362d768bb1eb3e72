"""Run a study and copy its finding to docs/results/.

    python benchmarks/study.py crops --run runs/animals --images 48 --out studies/crops-animals

Takes the arguments of `beyondcam study`. The section is named after the folder. If it is run again, the study
reuses what is there.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from results import write_section


def main() -> None:
    """Run the command, and copy its statement and tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, required=True)
    arguments, others = parser.parse_known_args()
    words = ["study", *others, "--out", str(arguments.out)]
    status = subprocess.run([sys.executable, "-m", "beyondcam", *words], check=False).returncode
    if status > 1:  # 1 says that images were left out
        sys.exit(status)
    facts = json.loads((arguments.out / "study.json").read_text())["facts"]
    text = (arguments.out / "study.md").read_text()
    cost = f"{facts['passes']} passes, {facts['megapixels']} megapixels"
    title = f"Study {arguments.out.name}: {facts['question']}"
    command = f"python benchmarks/study.py {' '.join([*others, '--out', str(arguments.out)])}"
    write_section(f"study-{arguments.out.name}", title, command, f"{cost}.\n\n{text}")


if __name__ == "__main__":
    main()
