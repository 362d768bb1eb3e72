"""Memory that is kept between passes."""

import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
import torch
from beyondcam.devices import keep_memory

if sys.argv[1] != "leave":
    keep_memory(torch.device(sys.argv[1]))
for n in range(24):
    torch.ones(16 * 2**20)  # 64 MB
    if n == 11:  # the first are new memory either way, until the heap has settled
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone hands memory back so")
def test_memory_that_is_kept_is_not_asked_for_page_by_page_again() -> None:
    def faults(word: str) -> int:
        words = [sys.executable, "-c", FAULTS, word]
        return int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)

    left = faults("leave")
    assert faults("cpu") < left / 4
    assert faults("cuda") > left / 2
