"""The colours by which the field shows label images."""

import numpy as np


def voc_palette() -> list[int]:
    """The colour map of PASCAL VOC: 256 RGB triples, flat."""
    colours = np.zeros((256, 3), np.uint8)
    index = np.arange(256)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= (((index >> (3 * bit + channel)) & 1) << (7 - bit)).astype(np.uint8)
    return colours.ravel().tolist()


PALETTE = voc_palette()
