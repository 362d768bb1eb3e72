"""The batch that is chosen for a device, against throughputs and memories that are made up."""

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from beyondcam.classifier import build_classifier
from beyondcam.evidence import batch_size
from beyondcam.evidence.batch_size import batch_for, grown
from conftest import complaint


def test_it_grows_until_views_pass_no_faster() -> None:
    speeds = {8: 100.0, 16: 190.0, 32: 300.0, 64: 310.0}  # what 64 gains is less than a twentieth
    tried: list[int] = []
    assert grown(lambda n: tried.append(n) or speeds[n], lambda: True) == 32
    assert tried == [8, 16, 32, 64]


def test_it_grows_no_further_than_memory_or_the_largest() -> None:
    room = iter([True, True, False])
    assert grown(float, lambda: next(room)) == 32
    assert grown(float, lambda: True) == 512


def test_a_batch_that_does_not_fit_ends_the_growth() -> None:
    def speed(batch: int) -> float:
        if batch > 16:
            raise torch.cuda.OutOfMemoryError
        return float(batch)

    assert grown(speed, lambda: True) == 16


def test_where_the_smallest_does_not_fit_mapping_will_halve_it() -> None:
    def speed(batch: int) -> float:
        raise torch.cuda.OutOfMemoryError

    assert grown(speed, lambda: True) == 8


def test_a_cpu_takes_eight_and_writes_nothing(tmp_path: Path) -> None:
    net = build_classifier("convnet", ("a",), 32)
    assert batch_for(net, nullcontext(), "float32", tmp_path) == 8
    assert not any(tmp_path.iterdir())


def test_a_gpu_is_measured_once_for_a_folder_and_precision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = build_classifier("convnet", ("a",), 32)
    monkeypatch.setattr(torch.Tensor, "device", torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "G1")
    monkeypatch.setattr(batch_size, "_has_room", lambda _: True)
    speeds = iter([1.0, 2.0, 2.0, 1.0, 1.0])
    monkeypatch.setattr(batch_size, "_views_a_second", lambda *_: next(speeds))
    found = [batch_for(net, nullcontext(), kind, tmp_path) for kind in ("float32", "bf16", "float32")]
    assert found == [16, 8, 16]
    (tmp_path / "batch.json").write_text('{"G1, bf16": 0}')
    complaint(lambda: batch_for(net, nullcontext(), "bf16", tmp_path), "batch.json", "delete it")
