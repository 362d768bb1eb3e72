"""beyondcam: from image-level labels to scored segmentation masks.

The public names are in `__init__.pyi`; each is loaded when it is first used. Everything else may move.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
