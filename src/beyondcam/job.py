"""The whole job on somebody's photos, in one go: from labels to masks to look at."""

from pathlib import Path

from lightning_fabric import Fabric

from beyondcam.classifier import TrainConfig, load_classifier, read_config, train_run
from beyondcam.classifier.load import doubt_of
from beyondcam.classifier.training import written_labels
from beyondcam.data import LabelledImages, open_images, recognised
from beyondcam.devices import to_device
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import Targets, find_shelf, map_split, map_witnesses, shelves
from beyondcam.files import hash_of, read_json
from beyondcam.forecast import seconds_of_masks, seconds_of_network
from beyondcam.label_images import LabelFolder, check_apart
from beyondcam.metrics import second_opinion, threshold_of
from beyondcam.progress import Log, duration
from beyondcam.recipes import Cookbook
from beyondcam.report import write_overview
from beyondcam.reviews import open_reviews
from beyondcam.seeds import write_seeds
from beyondcam.segment import LabelSource, labels_of_seeds, segment_run
from beyondcam.segmentation import SegmentConfig, digests_of, load_segmenter, write_predictions
from beyondcam.training.checkpoint import CHECKPOINT

RECIPES = ("fast", "best")
"""The first makes the masks of the quick job; of the careful one the last, each with a confidence."""

TARGETS: Targets = "mixed"
"""One kind of evidence, whether all photos have labels or some come without."""


def make_masks(
    given: TrainConfig,
    out: Path,
    fabric: Fabric,
    log: Log,
    *,
    best: bool | None = None,
    network: bool = False,
) -> dict[str, str]:
    """Write masks of all photos of a split under `out`, and `out/index.html`, which shows them.

    Trains a classifier in `out/run`, unless that holds one of these photos, maps what is not mapped yet, and
    cuts at the threshold `adaptive`. In photos without a label, the classes that the classifier predicts are
    mapped. With `network`, a segmentation network is trained on these masks, and its own are
    written under `out/network`. Of masks, only those that a human accepted or corrected have a part in it.

    Of the settings, those that are not `given` are the earlier classifier's, else the defaults; by default
    the split is `all`, or `train` of data with files of their own for each. The masks are of the recipe
    `best` where that is true, or not said and an earlier call began with it, else of `fast`.

    Photos that were moved are known by their content. Returns the photos without a mask, and with
    `network` those that it was not trained on, with the reason.
    Raises `BeyondcamError` where the earlier classifier was trained by other settings or labels, or on other
    photos, where `out` lies among the photos, which later runs would take it for, and where it holds masks of
    other classes.
    """
    run = out / "run"
    own, classes = _finished(run)
    whole = "train" if "{split}" in recognised(given.data) else "all"
    config = (own or TrainConfig(data=given.data, split=whole)).model_copy(
        update={name: getattr(given, name) for name in given.model_fields_set}
    )
    images = open_images(config.data, config.split, config.classes, config.max_pixels)
    check_apart(out, images)
    if own:
        _check_earlier(run, given, own.model_copy(update={"classes": classes}), images, log)
    for folder in (out, out / "network") if network else (out,):
        LabelFolder(folder, images.classes, images.data).check(images.ids)  # now, and not after hours
    if told := images.taken_for(config.data):
        log(told)
    if best is None and own:
        best = any(shelf.name == RECIPES[-1] for shelf in shelves(run, images))
        if best:
            log(f"{run}: has evidence of `{RECIPES[-1]}`, whose masks are made again")
    names = RECIPES if best else RECIPES[:1]
    segment = SegmentConfig(
        **config.model_dump(include={"seed", "pretrained", "flip"}),
        size=max(32, min(256, config.size // 32 * 32)),
    )
    seconds = seconds_of_masks(config, images, names, fabric, train=not own)
    if network:
        seconds += seconds_of_network(segment, images, fabric)
    log(f"about {duration(seconds)} for {len(images.ids)} photos on this machine, less what is done already")
    if own:
        log(f"{run}: has a classifier of the split {images.split}, which is taken; {_anew(run)}")
    else:
        train_run(config, run, fabric, log, images=images)
    classifier, cookbook = to_device(load_classifier(run), fabric), Cookbook()
    recipes = {name: cookbook.recipe(name) for name in names}
    left_out = map_split(classifier, images, recipes, run, targets=TARGETS, workers=None, log=log)
    left_out |= map_witnesses(classifier, images, run, targets=TARGETS, workers=None, log=log)
    shelf = find_shelf(run, images, names[-1], TARGETS, recipes[names[-1]].hash)
    threshold, second = threshold_of(run, images, shelf, "adaptive"), second_opinion(run, images, shelf)
    reviews = open_reviews(run, images)
    written = write_seeds(images, shelf, threshold, out, second=second, reviews=reviews, log=log)
    if written.expected is not None:
        log(f"expected mean IoU of the classes: {written.expected:.2f} (no mask was used)")
    left_out = written.left_out | left_out  # the first reason is why there is no evidence
    page = write_overview(images, written, out)
    log(f"{len(images.ids) - len(written.left_out)} masks; open {page.resolve()}")
    if empty := written.empty_seeds(images):
        log(empty)
    if network:
        source = labels_of_seeds(run, images, shelf)
        try:
            left_out = _masks_of_network(run, source, segment, out / "network", fabric, log) | left_out
        except BeyondcamError as error:  # whose parameters are not those of the classifier
            raise BeyondcamError(f"the masks are made, but no network: {error}") from error
    return left_out


def _masks_of_network(
    run: Path, source: LabelSource, config: SegmentConfig, out: Path, fabric: Fabric, log: Log
) -> dict[str, str]:
    """Train a network on the masks, and write its own under `out`; what was left out of either, and why."""
    images = source.images
    known = digests_of(images.ids, source.labels, len(images.classes)).results
    settings = [source.facts.to_json(), known, config.model_dump(mode="json")]
    name = f"{source.name}-{hash_of(settings)[:6]}"
    left_out = segment_run(run, source, config, None, fabric, name=name, log=log)
    segmenter = to_device(load_segmenter(run / "segment" / name), fabric)
    left_out |= write_predictions(segmenter, images.ids, images.read, out)
    log(f"the network's own masks: {out / 'masks'}, shown in {out / 'overlays'}")
    return left_out


def _finished(run: Path) -> tuple[TrainConfig | None, tuple[str, ...]]:
    """The settings and classes of the classifier of a RUN; none where its training is not finished.

    Raises `BeyondcamError` where its settings cannot be read: a training would replace it.
    """
    ended = (run / "training.json").exists() or not (run / CHECKPOINT).exists()
    if not (ended and (run / "config.json").exists()):
        return None, ()
    return read_config(run)


def _check_earlier(run: Path, given: TrainConfig, own: TrainConfig, images: LabelledImages, log: Log) -> None:
    """Raise `BeyondcamError` where a RUN's own settings, photos or labels are not those given."""
    asked = given.model_copy(update={"data": images.data, "classes": images.classes})
    moved = own.data != images.data and any(shelves(run, images))  # evidence knows its photos
    _check_same(run, asked, own.model_copy(update={"data": images.data}) if moved else own)
    _check_labels(run, images)
    if doubt := doubt_of(run):
        log(doubt)
    if moved:
        log(f"{run}: its photos were moved here from {own.data}; other commands have to be told (data)")


def _check_same(run: Path, given: TrainConfig, own: TrainConfig) -> None:
    """Raise `BeyondcamError` that names the first setting given that is not the RUN's own."""
    for name in TrainConfig.model_fields:
        asked, there = getattr(given, name), getattr(own, name)
        if name in given.model_fields_set and asked != there:
            asked, there = (", ".join(v) if name == "classes" else v for v in (asked, there))
            raise BeyondcamError(
                f"{run} was trained with {there}, not {asked}; take that again, or {_anew(run)}",
                parameter=name,
            )


def _check_labels(run: Path, images: LabelledImages) -> None:
    """Raise `BeyondcamError` that names the first photo whose label is not what the RUN was trained with."""
    path = run / "training.json"
    training = read_json(path, "beyondcam train") if path.exists() else None
    if not isinstance(training, dict) or not isinstance(training.get("labels"), dict):
        return  # it is adopted, or older than this record
    trained, now = training["labels"], written_labels(images)
    there = {*trained, *training["left_out"]}
    for i in images.ids:
        if now.get(i) != trained.get(i):
            here, before = (
                "without a label" if label is None else label or "of no class"
                for label in (now.get(i), trained.get(i))
            )
            then = f"and was {before} in training" if i in there else "and was not there in training"
            raise BeyondcamError(f"{run}: {i} is {here}, {then}; {_anew(run)}")


def _anew(run: Path) -> str:
    return f"to train anew, delete {run / 'config.json'}"
