"""The one door for bytes that others made: pictures, tables, JSON, XML and pickled NumPy files.

No other module opens such a file. Whatever a decoder raises on one becomes a `BeyondcamError` of one line
that names the file; what a decoder may allocate is bounded before it starts; and nothing in a file is run.
"""

from beyondcam.decode.documents import (
    Table,
    beginning,
    read_json,
    read_json_lines,
    read_table,
    read_text,
    read_xml,
    read_yaml,
)
from beyondcam.decode.door import Fingerprint, decoding, fingerprint, open_regular, read_bytes
from beyondcam.decode.pickled import read_npy, read_pickled
from beyondcam.decode.pictures import (
    MAX_PIXELS,
    is_geotiff,
    open_png,
    pixels_of,
    read_header,
    read_index_picture,
    read_notes,
    read_pixels,
    read_thumbnail,
)
from beyondcam.decode.rgb import upright

__all__ = [
    "MAX_PIXELS",
    "Fingerprint",
    "Table",
    "beginning",
    "decoding",
    "fingerprint",
    "is_geotiff",
    "open_png",
    "open_regular",
    "pixels_of",
    "read_bytes",
    "read_header",
    "read_index_picture",
    "read_json",
    "read_json_lines",
    "read_notes",
    "read_npy",
    "read_pickled",
    "read_pixels",
    "read_table",
    "read_text",
    "read_thumbnail",
    "read_xml",
    "read_yaml",
    "upright",
]
