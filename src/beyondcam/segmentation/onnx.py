"""Export a segmentation network to ONNX, for programs that know nothing of this package."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from beyondcam.errors import BeyondcamError
from beyondcam.files import write_whole
from beyondcam.segmentation.network import Segmenter


class _FromPixels(nn.Module):
    """The network with its normalisation in front, and the mean over both sides where `predict` takes it."""

    def __init__(self, segmenter: Segmenter) -> None:
        super().__init__()
        self.segmenter = segmenter

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits (1, C + 1, S, S) of pixels (1, 3, S, S), float32 from 0 to 255, RGB."""
        return self.segmenter.averaged(self.segmenter.normalise(pixels))


def export_onnx(segmenter: Segmenter, path: Path) -> None:
    """Write the network as ONNX, from `pixels` (1, 3, S, S), float32 0–255 RGB, to `logits` (1, C + 1, S, S).

    The label of a pixel is the index of its highest logit: 0 background, k class k. The file's metadata has
    the classes, joined by newlines, and nothing of the machine that it was made on. Raises `BeyondcamError`
    without the extra `onnx`.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  (torch's exporter needs it)
    except ModuleNotFoundError:
        raise BeyondcamError("needs an extra; pip install 'beyondcam[onnx]'", parameter="onnx") from None
    pixels = torch.zeros(1, 3, segmenter.size, segmenter.size)
    program: Any = torch.onnx.export(
        _FromPixels(deepcopy(segmenter)).cpu().eval(), (pixels,),
        dynamo=True, verbose=False, input_names=["pixels"], output_names=["logits"],
    )  # fmt: skip
    model = program.model_proto
    _strip(model)
    onnx.helper.set_model_props(model, {"classes": "\n".join(segmenter.classes)})
    write_whole(path, model.SerializeToString())


def _strip(message: Any) -> None:
    """Remove torch's remarks from a message of the file: they hold stack traces, and with these paths."""
    for field, value in message.ListFields():
        if field.name in ("metadata_props", "doc_string"):
            message.ClearField(field.name)
        elif field.message_type:
            for part in (value,) if hasattr(value, "ListFields") else value:
                _strip(part)
