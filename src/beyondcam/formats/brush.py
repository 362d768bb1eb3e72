"""The runs by which Label Studio keeps what was drawn with its brush.

They are those of `@thi.ng/rle-pack`, over the bytes of an RGBA picture. Bits, the highest first: 32 of how
many words there are; 5 of the size of a word, less one; four times 4 of the sizes of counts, less one. Then
blocks: one bit, set where one word is repeated; two bits of which size the count has; the count, less one;
the word, or as many words as the count says.
"""

import numpy as np
from numpy.typing import NDArray

MAX_SIZE = 2**28
"""Pixels of the largest picture."""

COUNTS = (3, 4, 8, 16)
"""Bits of a count, as Label Studio itself has them."""


def encode_brush(mask: NDArray[np.bool_]) -> list[int]:
    """A mask (H, W) as bytes; all four channels of its pixels are 255, those of the others 0."""
    flat = mask.ravel()
    ends = np.append(np.flatnonzero(np.diff(flat)) + 1, flat.size)
    lengths = 4 * np.diff(np.append(0, ends))
    pieces = [f"{4 * flat.size:032b}", f"{8 - 1:05b}", *(f"{bits - 1:04b}" for bits in COUNTS)]
    for length, end in zip(lengths.tolist(), ends.tolist(), strict=True):
        word = "11111111" if flat[end - 1] else "00000000"
        left = length
        while left:
            count = min(left, 1 << COUNTS[-1])
            size = next(n for n, bits in enumerate(COUNTS) if count <= 1 << bits)
            pieces.append(f"1{size:02b}{count - 1:0{COUNTS[size]}b}{word}")
            left -= count
    text = "".join(pieces)
    bits = np.frombuffer(text.encode(), np.uint8) - ord("0")
    return np.packbits(bits).tolist()


def decode_brush(runs: list[int], size: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels (H, W) of which the brush covers at least half, as their alpha says: its edges are soft.

    Raises `ValueError` for bytes that are of no such picture.
    """
    height, width = size
    content = bytes(runs) + bytes(8)
    at = 0

    def read(count: int) -> int:
        nonlocal at
        if at + count > 8 * len(runs):
            raise ValueError("the runs of a brush end too early")
        window = int.from_bytes(content[at >> 3 : (at >> 3) + 8])
        value = window >> (64 - (at & 7) - count) & ((1 << count) - 1)
        at += count
        return value

    words, word = read(32), read(5) + 1
    if words != 4 * height * width or not 0 < height * width <= MAX_SIZE or word != 8:
        raise ValueError(f"the runs of a brush are not of {width}×{height} pixels")
    counts = [read(4) + 1 for _ in range(4)]
    out, filled = np.zeros(words, np.uint8), 0
    while filled < words:
        repeated = read(1)
        count = read(counts[read(2)]) + 1
        if filled + count > words:
            raise ValueError(f"the runs of a brush are of more than {width}×{height} pixels")
        if repeated:
            out[filled : filled + count] = read(word)
        else:
            out[filled : filled + count] = [read(word) for _ in range(count)]
        filled += count
    return out.reshape(height, width, 4)[..., 3] > 127
