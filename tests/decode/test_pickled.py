"""Pickles that would take memory or time, or change the process that reads them."""

import io
import pickle
import pickletools
import time
import tracemalloc
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch

from beyondcam.decode import read_pickled
from conftest import complaint


def wrapped(inner: bytes) -> bytes:
    """An .npy file whose one object is read by these instructions, which end in STOP."""
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": "|O", "fortran_order": False, "shape": ()})
    return out.getvalue() + inner


def saved(content: object, protocol: int = 4) -> bytes:
    return wrapped(pickle.dumps(np.array(content, object), protocol))


@pytest.mark.parametrize("protocol", [2, 3, 4])  # NumPy's before 1.17, before 2, and now
def test_arrays_and_tensors_of_every_kind_are_read_as_numpy_and_torch_read_them(
    tmp_path: Path, protocol: int
) -> None:
    maps = torch.arange(24.0).reshape(2, 3, 4)
    content = {
        "plain": maps, "turned": maps.permute(2, 0, 1), "part": maps[1:, ::2], "half": maps.half(),
        "grad": maps.clone().requires_grad_(), "whole": torch.tensor([3, 1]), "none": torch.zeros(0, 4),
        "one": torch.tensor(2.5), "bool": maps > 3, "array": maps.numpy(), "list": [0, 1], "text": "a",
        "big": maps.numpy().astype(">f4"), "fortran": np.asfortranarray(maps.numpy()),
        "bytes": np.array([1, 200], np.uint8), "empty": np.zeros((0, 3)),
    }  # fmt: skip
    (tmp_path / "a.npy").write_bytes(saved(content, protocol))
    found = read_pickled(tmp_path / "a.npy")
    assert found.keys() == content.keys()
    for name, value in content.items():
        expected = value.detach().numpy() if isinstance(value, torch.Tensor) else value
        assert np.array_equal(found[name], expected), name
        if isinstance(expected, np.ndarray):
            assert found[name].dtype == expected.dtype, name


class Tensor:
    """A tensor of numbers that says it is of another size."""

    def __init__(self, offset: object, size: object, stride: object) -> None:
        self.claim = offset, size, stride

    def __reduce__(self) -> tuple[object, ...]:
        storage = torch.arange(4.0).untyped_storage()
        typed = torch.storage.TypedStorage(wrap_storage=storage, dtype=torch.float32, _internal=True)
        return torch._utils._rebuild_tensor_v2, (typed, *self.claim, False, OrderedDict())


@pytest.mark.parametrize(
    "claim",
    [
        (0, (1000, 1000), (1000, 1)),
        (0, (5,), (1,)),
        (4, (1,), (1,)),
        (3, (2,), (1,)),
        (0, (2,), (4,)),
        (0, (10**6, 10**6), (0, 0)),
        (-1, (2,), (1,)),
        (0, (-1,), (1,)),
        (2, (2,), (-1,)),
        (0, (2, 2), (1,)),
        (0, 4, 1),
        (2**62, (2**62,), (2**62,)),
    ],
)
def test_tensor_larger_than_its_numbers_is_refused(tmp_path: Path, claim: tuple[object, ...]) -> None:
    """PyTorch would fill it with what lies in memory."""
    (tmp_path / "a.npy").write_bytes(saved({"cam": Tensor(*claim)}))
    complaint(lambda: read_pickled(tmp_path / "a.npy"), "a.npy")


def test_numbers_that_are_not_there_are_refused(tmp_path: Path) -> None:
    """The count of a tensor's numbers, which is there twice, with fewer behind it."""
    content = saved({"cam": torch.arange(7.0)})
    whole = content.replace(b"K\x07N", b"J\xff\xff\xff\x7fN").replace(
        b"\x07" + bytes(7), b"\xff\xff\xff\x7f" + bytes(4)
    )
    assert whole != content
    (tmp_path / "a.npy").write_bytes(whole)
    complaint(lambda: read_pickled(tmp_path / "a.npy"), "a.npy")


BOMBS = {
    "memo": b"\x80\x04r\xff\xff\xff\x7f.",  # LONG_BINPUT: a place for each of two billion things
    "bytearray": b"\x80\x05\x96" + (2**33).to_bytes(8, "little") + b".",
    "bytes": b"\x80\x04\x8e" + (2**33).to_bytes(8, "little") + b"x.",
    "text": b"\x80\x04\x8d" + (2**33).to_bytes(8, "little") + b"x.",
    "frame": b"\x80\x04\x95" + (2**40).to_bytes(8, "little") + b"N.",
    "long": b"\x80\x04\x8b\xff\xff\xff\x7f.",
    "digits": b"L" + b"9" * 10**6 + b"L\n.",
    "key": b"\x80\x04)" + b"q\x00h\x00h\x00\x86" * 60 + b"q\x01}h\x01Ns.",  # a pair of pairs of pairs …
    "set": b"\x80\x04\x8f(" + b")" + b"q\x00h\x00h\x00\x86" * 60 + b"\x90.",
    "extension": b"\x80\x04\x82\x01.",
    "instance": b"(icollections\nOrderedDict\n.",
    "new": b"\x80\x04ccollections\nOrderedDict\n)\x81.",
    "code": b"\x80\x04ctorch._utils\n_rebuild_tensor_v2\nN}X\x0c\x00\x00\x00__defaults__)s\x86b.",
    "class": b"\x80\x04cnumpy.core.multiarray\n_reconstruct\nN}X\x05\x00\x00\x00value)s\x86b.",
    "getattr": b"\x80\x04cbuiltins\ngetattr\n.",
    "encoded": b"\x80\x02](X\x00\x00\x10\x00"
    + b"a" * 2**20
    + b"q\x000"  # a megabyte, kept; then a thousand times
    + b"c_codecs\nencode\n(h\x00X\x06\x00\x00\x00latin1tR" * 1000
    + b"e.",
    "encoding": b"\x80\x02c_codecs\nencode\n(X\x01\x00\x00\x00aX\x05\x00\x00\x00utf-8tR.",
    "nested": b"\x80\x04" + b"]" * 10**5 + b"a" * (10**5 - 1) + b".",
}


@pytest.mark.parametrize("name", BOMBS)
def test_instructions_that_take_memory_or_time_or_change_things_are_refused(
    tmp_path: Path, name: str
) -> None:
    defaults = torch._utils._rebuild_tensor_v2.__defaults__
    (tmp_path / "a.npy").write_bytes(wrapped(BOMBS[name]))
    started = time.monotonic()
    tracemalloc.start()
    try:
        complaint(lambda: read_pickled(tmp_path / "a.npy"), "a.npy", "IRN")
        assert tracemalloc.get_traced_memory()[1] < 2**26
    finally:
        tracemalloc.stop()
    assert time.monotonic() - started < 5
    assert torch._utils._rebuild_tensor_v2.__defaults__ == defaults
    test_arrays_and_tensors_of_every_kind_are_read_as_numpy_and_torch_read_them(tmp_path, 4)  # as before


def test_arrays_are_views_so_that_a_small_file_makes_no_large_ones(tmp_path: Path) -> None:
    """A thousand arrays of the same megabyte."""
    maps = np.zeros(2**20, np.uint8)
    (tmp_path / "a.npy").write_bytes(saved({f"k{n}": maps[:] for n in range(2)}))
    data = maps.tobytes()
    out = io.BytesIO()
    pickler = pickle.Pickler(out, 4)
    pickler.fast = False

    class Array:
        def __init__(self) -> None:
            self.dtype = np.dtype(np.uint8)

        def __reduce__(self) -> tuple[object, ...]:
            make, begin, _ = np.zeros(1).__reduce__()
            return make, begin, (1, (len(data),), self.dtype, False, data)

    pickler.dump(np.array({f"k{n}": Array() for n in range(1000)}, object))
    assert len(out.getvalue()) < 2**21
    assert pickletools.optimize(out.getvalue())
    (tmp_path / "a.npy").write_bytes(wrapped(out.getvalue()))
    tracemalloc.start()
    try:
        assert len(read_pickled(tmp_path / "a.npy")) == 1000
        assert tracemalloc.get_traced_memory()[1] < 2**25
    finally:
        tracemalloc.stop()
