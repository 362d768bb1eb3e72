"""A short run of the fuzzer, the same each time; `python tests/fuzz/readers.py` runs for longer."""

from pathlib import Path

import pytest
from readers import fuzz

INPUTS = 1500


@pytest.mark.filterwarnings("ignore")  # Pillow's, of malformed metadata, which else would be errors here
def test_readers_stand_mutated_files(tmp_path: Path) -> None:
    found = list(fuzz(1, tmp_path, lambda number: number < INPUTS))
    assert not found, found[0].what
