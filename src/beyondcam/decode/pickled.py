"""Arrays in `.npy` files, and dicts of them, which are pickles, read without running anything in them.

A pickle can name any function of Python and have it called. This reader knows only the instructions and names
that arrays of NumPy and tensors of PyTorch need, and code of its own stands for each name. Arrays are views
of the file's bytes, so that no file takes much more memory than its length. The reader is Python's own,
written in Python: the one in C allocates whatever a file claims.
"""

import ast
import io
import math
import pickle
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from beyondcam.decode.door import decoding, read_bytes

MAX_HEADER = 10_000
"""Bytes, as NumPy has it."""


def read_pickled(path: Path) -> dict[str, Any]:
    """The dict that `numpy.save` wrote into a file, with arrays for its arrays and tensors.

    Raises `BeyondcamError`.
    """
    with decoding(path, "an .npy file of IRN's kind"):
        content = _read(path)
        if not isinstance(content, dict):
            raise ValueError("it holds no dict")
        return content


def read_npy(path: Path) -> dict[Any, Any] | NDArray[Any]:
    """The array of numbers that `numpy.save` wrote into a file, or the dict. Raises `BeyondcamError`."""
    with decoding(path, "an .npy file"):
        return _read(path)


def _read(path: Path) -> dict[Any, Any] | NDArray[Any]:
    """The content of an .npy file; whatever is wrong with it raises some exception."""
    file = io.BytesIO(read_bytes(path))
    if file.read(6) != b"\x93NUMPY":
        raise ValueError("it does not begin as one")
    version, _ = file.read(2)
    length = int.from_bytes(file.read(2 if version == 1 else 4), "little")
    header = ast.literal_eval(file.read(min(length, MAX_HEADER)).decode("latin-1"))
    shape, kind = header["shape"], header["descr"]
    if kind != "|O":
        dtype = _Dtype(kind.lstrip("<>|="))
        flat = np.frombuffer(file.read(), f"{'>' if kind[0] == '>' else '<'}{dtype.code}", math.prod(shape))
        return flat.reshape(shape, order="F" if header["fortran_order"] else "C")
    outer = _Unpickler(file).load() if shape == () else None
    content = outer.value[0] if isinstance(outer, _Array) and isinstance(outer.value, list) else None
    if not isinstance(content, dict):
        raise ValueError("it holds no dict")
    return {name: part.value if isinstance(part, _Array) else part for name, part in content.items()}


class _Dtype:
    """What a pickle says of an array's dtype: numbers or objects, and the order of their bytes.

    NumPy's own takes any state, even one by which it reads an array's bytes as the addresses of objects.
    """

    def __init__(self, code: str, *_: object) -> None:
        if code != "O8" and not re.fullmatch("b1|[iu][1248]|f[248]", code):
            raise pickle.UnpicklingError(f"an array of {code!r}, which no such file needs")
        self.code, self.order = code, "<"

    def set_state(self, state: Sequence[Any]) -> None:
        self.order = ">" if state[1] == ">" else "<"


class _Array:
    """A pickled array: `value` once its state is set, for one of objects their flat list."""

    def __init__(self, *_: object) -> None:
        self.value: Any = None

    def set_state(self, state: Sequence[Any]) -> None:
        _, shape, dtype, fortran, content = state
        if dtype.code == "O8":
            self.value = list(content)
        else:
            flat = np.frombuffer(content, dtype.order + dtype.code)
            self.value = flat.reshape(shape, order="F" if fortran else "C")


class _TorchType(NamedTuple):
    """The type of a tensor's numbers, as NumPy writes it."""

    code: str


def _numbers(content: bytes) -> NDArray[Any]:
    """A tensor's numbers as `torch.save` writes them, after pickles of a claim and keys."""
    file = io.BytesIO(content)
    *_, claim, keys = (_Unpickler(file).load() for _ in range(5))
    code, key, count = claim
    if keys != [key] or int.from_bytes(file.read(8), "little") != count:
        raise pickle.UnpicklingError("a tensor's numbers are not where they should be")
    return np.frombuffer(content, "<" + code, count, file.tell())


def _tensor(numbers: Any, offset: int, size: Sequence[int], stride: Sequence[int], *_: object) -> _Array:
    """A tensor, as a view of its numbers. Raises `UnpicklingError` where these are not enough."""
    array, count = _Array(), math.prod(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if min((*size, *stride, offset)) < 0 or count > len(numbers) or (count and last >= len(numbers)):
        raise pickle.UnpicklingError("a tensor is larger than its numbers")
    steps = [step * numbers.itemsize for step in stride]
    start = numbers[offset:] if count else numbers
    array.value = np.lib.stride_tricks.as_strided(start, size, steps, writeable=False)
    return array


_TORCH_TYPES = {
    "DoubleStorage": "f8", "FloatStorage": "f4", "HalfStorage": "f2", "LongStorage": "i8", "IntStorage": "i4",
    "ShortStorage": "i2", "CharStorage": "i1", "ByteStorage": "u1", "BoolStorage": "b1",
}  # fmt: skip

_NAMES: Mapping[tuple[str, str], Any] = {
    ("__builtin__", "bytes"): lambda: b"",  # an empty array's, in protocol 2
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Array for core in ("core", "_core")},
    ("numpy", "ndarray"): None,  # an argument of `_reconstruct`
    ("numpy", "dtype"): _Dtype,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch.storage", "_load_from_bytes"): _numbers,
    ("collections", "OrderedDict"): lambda *_: {},  # a tensor's hooks
    **{("torch", name): _TorchType(code) for name, code in _TORCH_TYPES.items()},
}
"""All that a file may name, and what stands for it here."""

_INSTRUCTIONS = """
    PROTO FRAME STOP MARK POP POP_MARK DUP NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG LONG1 LONG4
    FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8 UNICODE BINUNICODE
    SHORT_BINUNICODE BINUNICODE8 EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 EMPTY_LIST LIST APPEND APPENDS
    EMPTY_DICT PUT BINPUT LONG_BINPUT GET BINGET LONG_BINGET MEMOIZE GLOBAL STACK_GLOBAL REDUCE BINPERSID
"""


class _Dispatch(dict[int, Any]):
    def __missing__(self, code: int) -> Any:
        raise pickle.UnpicklingError(f"it holds instruction {code}, which no such file needs")


class _Unpickler(pickle._Unpickler):
    """Python's unpickler, of `_INSTRUCTIONS` and `_NAMES` alone."""

    stack: list[Any]
    pop_mark: Callable[[], list[Any]]

    dispatch = _Dispatch({
        code: pickle._Unpickler.dispatch[code]
        for code in (getattr(pickle, name)[0] for name in _INSTRUCTIONS.split())
    })  # fmt: skip

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self._encoded: dict[str, bytes] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("_codecs", "encode"):
            return self._latin1
        if (module, name) not in _NAMES:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which no such file needs")
        return _NAMES[module, name]

    def _latin1(self, text: str, coding: str) -> bytes:
        """Bytes, which protocol 2 writes as a text; once for each, however often a file asks for them."""
        if coding != "latin1":
            raise pickle.UnpicklingError(f"bytes in {coding!r}, which no such file has")
        if text not in self._encoded:
            self._encoded[text] = text.encode("latin1")
        return self._encoded[text]

    def persistent_load(self, pid: Any) -> tuple[str, str, int]:
        """The numbers of a tensor, which follow: their type, key and count."""
        _, kind, key, _, count, *_ = pid
        if not (isinstance(kind, _TorchType) and isinstance(key, str) and isinstance(count, int)):
            raise pickle.UnpicklingError("it names something outside of itself")
        return kind.code, key, count

    def load_build(self) -> None:
        state = self.stack.pop()
        if not isinstance(self.stack[-1], (_Array, _Dtype)):
            raise pickle.UnpicklingError("it sets the state of something else than an array")
        self.stack[-1].set_state(state)

    def load_setitems(self) -> None:
        items = self.pop_mark()
        self._set(items)

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set([key, value])

    def _set(self, items: Sequence[Any]) -> None:
        content = self.stack[-1]
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(content, dict) or not isinstance(key, (str, bytes, int)):
                raise pickle.UnpicklingError("a dict whose keys are no names")
            content[key] = value

    dispatch |= {
        pickle.BUILD[0]: load_build,
        pickle.SETITEM[0]: load_setitem,
        pickle.SETITEMS[0]: load_setitems,
    }
