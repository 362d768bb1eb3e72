"""The whole job on somebody's photos, in one go: from labels to masks to look at."""

from collections.abc import Callable
from pathlib import Path

from lightning_fabric import Fabric

from beyondcam.classifier import TrainConfig, load_classifier, read_config, train_run
from beyondcam.data import LabelledImages, open_images
from beyondcam.devices import to_device
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import Targets, find_shelf, map_split, map_witnesses
from beyondcam.forecast import seconds_of_masks, seconds_of_network
from beyondcam.metrics import second_opinion, threshold_of
from beyondcam.progress import duration
from beyondcam.recipes import Cookbook
from beyondcam.report import write_overview
from beyondcam.reviews import open_reviews
from beyondcam.seeds import write_seeds
from beyondcam.segment import labels_of_seeds, segment_run
from beyondcam.segmentation import SegmentConfig, load_segmenter, write_predictions

RECIPES = ("fast", "best")
"""The first makes the masks of the quick job; of the careful one the last, each with a confidence."""


def make_masks(
    config: TrainConfig,
    out: Path,
    fabric: Fabric,
    log: Callable[[str], None],
    *,
    best: bool = False,
    network: SegmentConfig | None = None,
) -> dict[str, str]:
    """Write masks of all photos of a split under `out`, and `out/index.html`, which shows them.

    Trains a classifier in `out/run`, unless that holds one of these photos, maps what is not mapped yet, and
    cuts at the threshold `adaptive`. Where some photos have no label, the classes that the classifier
    predicts are mapped. With the settings of a `network`, one is trained on these masks, and its own are
    written under `out/network`. Of masks, only those that a human accepted or corrected have a part in it.
    Returns the photos without a mask, with the reason. Raises `BeyondcamError` where `out` lies among the
    photos, which later runs would take it for.
    """
    run, images = out / "run", open_images(config.data, config.split, config.classes, config.max_pixels)
    _check_apart(out, images)
    log(images.taken_for(config.data))
    names, trained = RECIPES if best else RECIPES[:1], _is_trained(run, images)
    seconds = seconds_of_masks(config, images, names, fabric, train=not trained)
    if network:
        seconds += seconds_of_network(network, images, fabric)
    log(f"about {duration(seconds)} for {len(images.ids)} photos on this machine, less what is done already")
    if trained:
        log(f"{run}: has a classifier of these photos, which is taken; delete it to train anew")
    else:
        train_run(config, run, fabric, log, images=images)
    classifier, cookbook = to_device(load_classifier(run), fabric), Cookbook()
    targets: Targets = "labels" if all(i in images.labels for i in images.ids) else "predicted"
    recipes = {name: cookbook.recipe(name) for name in names}
    left_out = map_split(classifier, images, recipes, run, targets=targets, workers=None, log=log)
    left_out |= map_witnesses(classifier, images, run, targets=targets, workers=None, log=log)
    shelf = find_shelf(run, images, names[-1], targets)
    threshold, second = threshold_of(run, shelf, images, "adaptive"), second_opinion(run, shelf, images)
    reviews = open_reviews(run, images)
    written = write_seeds(images, shelf, threshold, out, second=second, reviews=reviews, log=log)
    if written.expected is not None:
        log(f"expected mean IoU of the classes: {written.expected:.2f} (no mask was used)")
    left_out |= written.left_out
    page = write_overview(images, written, out)
    if network:
        source = labels_of_seeds(run, images, names[-1], targets=targets)
        left_out |= segment_run(run, source, network, None, fabric, log=log)
        segmenter = to_device(load_segmenter(run / "segment" / f"{source.name}-{network.seed}"), fabric)
        left_out |= write_predictions(segmenter, images.ids, images.read, out / "network")
        log(f"the network's own masks: {out / 'network' / 'masks'}, shown in {out / 'network' / 'overlays'}")
    log(f"{len(images.ids) - len(written.left_out)} masks; open {page.resolve()}")
    return left_out


def _check_apart(out: Path, images: LabelledImages) -> None:
    """Raise `BeyondcamError` where a folder lies among the photos."""
    for i in images.ids[:1]:
        file, name = images.file_of(i), Path(images.file_name(i))
        if file and out.resolve().is_relative_to(file.resolve().parents[len(name.parts) - 1]):
            raise BeyondcamError(f"{out} lies among the photos; name another folder", parameter="out")


def _is_trained(run: Path, images: LabelledImages) -> bool:
    """Whether a RUN has a classifier of these photos and classes."""
    try:
        config, classes = read_config(run)
    except BeyondcamError:
        return False
    return (config.data, classes) == (images.data, images.classes)
