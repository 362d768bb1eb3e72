"""What a RUN holds beside evidence: a small one, made once, and readers of each of its files."""

import atexit
import io
import shutil
import tempfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from PIL import Image
from torch import nn

from beyondcam.classifier import Classifier, TrainConfig, load_classifier
from beyondcam.classifier.load import build_as, read_config
from beyondcam.classifier.weights import fitting
from beyondcam.data import open_images
from beyondcam.data.masks import open_masks
from beyondcam.evidence import Evidence, open_shelf, write_evidence
from beyondcam.files import write_json
from beyondcam.metrics import (
    LabelCounts,
    NetworkRow,
    counts_of,
    read_scores,
    read_segments,
    score_split,
    write_scores,
    write_segment,
)
from beyondcam.recipes import Cookbook
from beyondcam.report import write_report
from beyondcam.segmentation import SegmentConfig, build_segmenter, load_segmenter
from beyondcam.training.checkpoint import read_checkpoint, write_weights

CLASSES = ("cat", "dog")
TINY = {"architecture": "unet", "encoder": "test_efficientnet", "pretrained": False, "size": 32}


def make_run(root: Path) -> Path:
    """Four photos with evidence of two recipes, scores, a network's row, and all that a report shows."""
    rng = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (root / "data" / kind).mkdir(parents=True)
    for i in "abcd":
        Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)).save(root / f"data/images/{i}.png")
        Image.fromarray(rng.integers(0, 3, (6, 8), np.uint8)).save(root / f"data/masks/{i}.png")
    (root / "data/classes.txt").write_text("cat\ndog\n")
    rows = "".join(f"{i}.png,cat;dog\n" for i in "abcd")
    (root / "data/labels.csv").write_text("image,labels\n" + rows)
    run, data = root / "run", f"folder:{root / 'data'}"
    config = TrainConfig(data=data, backbone="convnet", kernel=1, size=16, pretrained=False)
    write_weights(run / "classifier.safetensors", build_as(config, CLASSES).state_dict())
    write_json(run / "config.json", {"train": config.model_dump(mode="json"), "classes": CLASSES})
    epochs = [{"epoch": 1, "loss": 0.5, "held_out_map": 0.75}]
    write_json(
        run / "training.json",
        {"epochs": epochs, "images": 4, "left_out": {}, "doubt": None, "val_map": None},
    )
    images, masks = open_images(data, "all"), open_masks(data, "all")
    for name in ("cam", "saliency"):
        shelf = open_shelf(
            run, images, targets="labels", precision="float32", name=name,
            recipe=Cookbook().recipe(name), seed=0,
        )  # fmt: skip
        for i in images.ids:
            maps = torch.from_numpy(rng.random((2, 6, 8), np.float32))
            write_evidence(shelf, i, Evidence.of(maps, (0, 1), (0.5, 1.0), (6, 8)))
    assert masks is not None
    write_scores(run, images, score_split(run, images, masks))
    counts = LabelCounts(images.ids, rng.integers(1, 9, (4, 3, 3)))
    recipe = dict.fromkeys(("recipe", "recipe_hash", "mapped", "threshold_rule", "threshold", "void"))
    row = NetworkRow.model_validate({
        "name": "net", "trained_on": "truth", "seeds_split": "train", **recipe, "round": 1,
        "training_seed": 0, "architecture": "unet", "encoder": "resnet18", "config": {"seed": 0},
        "data": data, "split": "all", "miou": 0.5, "iou": {"cat": 0.5}, "ci": {"miou": [0.4, 0.6]},
        "images": 4,
    })  # fmt: skip
    write_segment(run, row, counts)
    segmenter = build_segmenter(TINY["architecture"], TINY["encoder"], CLASSES, 32)
    folder = run / "segment" / "net"
    write_weights(folder / "network.safetensors", segmenter.state_dict())
    about = {"config": SegmentConfig(**TINY).model_dump(mode="json"), "classes": CLASSES, "trained_on": {}}
    write_json(folder / "segment.json", about)
    return run


ROOT = Path(tempfile.mkdtemp(prefix="beyondcam-fuzz-"))
atexit.register(shutil.rmtree, ROOT, ignore_errors=True)
RUN = make_run(ROOT)


def replaced(name: str, read: Callable[[], object]) -> Callable[[Path, bytes], None]:
    """A reader of a file of the RUN, which is put back afterwards."""
    path = RUN / name
    before = path.read_bytes() if path.exists() else None

    def read_it(_: Path, content: bytes) -> None:
        path.write_bytes(content)
        try:
            read()
        finally:
            path.unlink() if before is None else path.write_bytes(before)

    return read_it


def saved(content: object) -> bytes:
    """What `torch.save` writes."""
    out = io.BytesIO()
    torch.save(content, out)
    return out.getvalue()


def reported(path: Path) -> None:
    """Read results and, since that takes long, only a few of them as far as the page."""
    if zlib.crc32(path.read_bytes()) % 8 == 0:
        write_report(RUN)
        return
    read_scores(RUN)
    for row in read_segments(RUN):
        counts_of(RUN, row)


def read_settings() -> None:
    read_config(RUN)
    assert isinstance(load_classifier(RUN), Classifier)


def read_weights(suffix: str) -> Callable[[Path, bytes], None]:
    def read(folder: Path, content: bytes) -> None:
        path = folder / f"weights{suffix}"
        path.write_bytes(content)
        fitting(small(), path, "resnet18")

    return read


def small() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))


def texts(name: str) -> bytes:
    return (RUN / name).read_bytes()


STATE = small().state_dict()
KEPT = {
    "key": "k",
    "progress": {"epochs": [], "left_out": {}, "weights": STATE, "best": 0.5},
    "network": STATE,
}
REPORTED = ("scores.json", "comparisons.json", "curves.json", "segments.json", "training.json",
            "segment/net/counts-all.json")  # fmt: skip

Parts = tuple[str, bytes, Callable[[Path, bytes], None]]

RESULTS: list[Parts] = [
    *[(name, texts(name), replaced(name, partial(reported, RUN / name))) for name in REPORTED],
    ("config.json", texts("config.json"), replaced("config.json", read_settings)),
    ("classifier", texts("classifier.safetensors"), replaced("classifier.safetensors", read_settings)),
    ("checkpoint", saved(KEPT), replaced("checkpoint.pt", lambda: read_checkpoint(RUN, "k"))),
    ("segment.json", texts("segment/net/segment.json"),
     replaced("segment/net/segment.json", lambda: load_segmenter(RUN / "segment/net"))),
    ("pth", saved(STATE), read_weights(".pth")),
    ("pth", saved({"model": STATE, "epoch": 3, "args": None}), read_weights(".pth")),
    ("safetensors", safetensors.torch.save(STATE), read_weights(".safetensors")),
]  # fmt: skip
