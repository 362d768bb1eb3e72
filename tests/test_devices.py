"""Memory that is kept between passes; batch norms that several GPUs share."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import nn

from beyondcam.devices import open_fabric, synchronised

FAULTS = """
import os, resource
import torch
from beyondcam.devices import keep_memory

for word in ("leave", "cpu", "cuda"):
    if child := os.fork():
        os.waitpid(child, 0)
        continue
    if word != "leave":
        keep_memory(torch.device(word))
    for n in range(24):
        torch.ones(16 * 2**20)  # 64 MB
        if n == 11:  # the first are new memory either way, until the heap has settled
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before, flush=True)
    os._exit(0)
"""  # of three processes, for which torch is imported once


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone hands memory back so")
def test_memory_that_is_kept_is_not_asked_for_page_by_page_again() -> None:
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    left, cpu, cuda = map(int, done.stdout.split())
    assert cpu < left / 4
    assert cuda > left / 2


def test_one_process_in_a_job_of_several_tasks_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"NTASKS": "4", "JOB_ID": "3", "JOB_NAME": "x", "PROCID": "0", "LOCALID": "0"}.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    assert open_fabric().world_size == 1


PRECISIONS = """
import torch
from torch import backends as b
from beyondcam.devices import full_float32

def state():
    return [part.fp32_precision for part in (b.cudnn.conv, b.cuda.matmul)]

for setting in (
    "", "b.cudnn.allow_tf32 = False", "torch.set_float32_matmul_precision('high')",
    "b.fp32_precision = 'tf32'", "b.cudnn.fp32_precision = 'ieee'",
    "b.cudnn.conv.fp32_precision = 'tf32'", "b.fp32_precision = 'ieee'",
):
    exec(setting)
    before = state()
    with full_float32():
        assert state() == ["ieee", "ieee"], setting
    assert state() == before, setting
"""


@pytest.mark.skipif(not hasattr(torch.backends.cudnn, "conv"), reason="torch has the flags of before alone")
def test_float32_is_full_whatever_was_set_before_and_that_stays() -> None:
    subprocess.run([sys.executable, "-c", PRECISIONS], check=True)


def norms() -> nn.Sequential:
    """One batch norm of torch's, and one of timm's with a ReLU in it; neither at its initial statistics."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 5, 3), BatchNormAct2d(5))
    net(torch.randn(8, 3, 9, 9))
    return net.eval()


@pytest.mark.parametrize(("world", "device", "converted"), [(1, "cuda", 0), (2, "cpu", 0), (2, "cuda", 2)])
def test_batch_norm_is_synchronised_between_gpus_alone_and_keeps_its_activation(
    world: int, device: str, converted: int
) -> None:
    net, x = norms(), torch.randn(2, 3, 9, 9)
    expected, names = net(x), list(net.state_dict())
    found = synchronised(net, SimpleNamespace(world_size=world, device=torch.device(device)))
    assert sum(isinstance(module, nn.SyncBatchNorm) for module in found.modules()) == converted
    assert list(found.state_dict()) == names
    assert torch.allclose(found.eval()(x), expected, atol=1e-6)
    assert found(x).min() == 0
