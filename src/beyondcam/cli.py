"""The command line: the edge where arguments are checked and errors become one line.

Exit status: 0 done; 1 the run ended but some inputs were left out; 2 unusable arguments or data.
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import typer

from beyondcam.errors import BeyondcamError, first_complaint

app = typer.Typer(
    name="beyondcam",
    help="From image-level labels to scored segmentation masks.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

T = TypeVar("T")

_UsageError: Any = typer.BadParameter.__base__  # of every wrong option; typer exports no name for it

Run = Annotated[Path, typer.Argument(metavar="RUN", help="The folder that `beyondcam train` made.")]
Data = Annotated[
    str | None,
    typer.Option(
        metavar="D",
        help="digits, voc:PATH, coco:IMAGES_DIR:INSTANCES_JSON or folder:PATH; the default is the RUN's own.",
    ),
]
Classes = Annotated[str | None, typer.Option(help="Classes to keep, separated by commas.")]
Split = Annotated[str, typer.Option(help="Split of the data.")]
Recipes = Annotated[Path | None, typer.Option("--recipes", help="A TOML file of your own recipes.")]
Seed = Annotated[int, typer.Option(help="Seed of every random draw.")]
Batch = Annotated[int, typer.Option(min=1, help="Views a forward pass.")]
Mean = Annotated[str | None, typer.Option(metavar="R,G,B", help="Mean of the input, for pixels from 0 to 1.")]
Std = Annotated[str | None, typer.Option(metavar="R,G,B", help="Standard deviation, likewise.")]
Targets = Literal["labels", "predicted"]


def main() -> None:
    """Run the command line; errors are one line on stderr."""
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except _UsageError as error:
        _fail(f"{error.format_message().rstrip('.')}; see --help")
    except typer.Abort:
        sys.exit(130)
    except BeyondcamError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{error.filename or 'disk'}: {error.strerror or error}")


def _fail(message: str) -> None:
    print(f"beyondcam: {message}", file=sys.stderr)  # noqa: T201
    sys.exit(2)


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)  # noqa: T201


def _end(left_out: dict[str, str]) -> None:
    """Name what was left out, and exit 1 if anything was."""
    for what, reason in left_out.items():
        _say(f"left out: {what}: {reason}")
    if left_out:
        raise typer.Exit(1)


def _open(run: Path, data: str | None, split: str, classes: str | None) -> Any:
    """The images of a split, by default of the RUN's own data and classes."""
    from beyondcam.classifier import read_config
    from beyondcam.data import open_images

    config, own = read_config(run)
    images = open_images(data or config.data, split, _names(classes) or own)
    if images.classes != own:
        raise BeyondcamError(f"--classes {classes}: give --classes as in training, {','.join(own)}")
    return images


def _check_name(text: str, option: str) -> None:
    """See to it that a name can be that of a folder in the RUN."""
    if not re.fullmatch(r"\w[\w.+-]*", text):
        raise BeyondcamError(f"{option} {text}: a name holds letters, digits, _, ., + and -")


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(name.strip() for name in text.split(","))


def _floats(text: str | None, name: str) -> tuple[float, ...] | None:
    """The numbers of an option, separated by commas."""
    try:
        return None if text is None else tuple(float(number) for number in text.split(","))
    except ValueError:
        raise BeyondcamError(f"{name}: {text}: write three numbers, separated by commas") from None


@app.command()
def adopt(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder to make.")],
    model: Annotated[
        str,
        typer.Option(
            metavar="KIND:NAME",
            help="timm:NAME, torchvision:NAME, hf:DIR, clip:DIR, or PACKAGE.MODULE:FUNCTION, imported.",
        ),
    ],
    weights: Annotated[Path | None, typer.Option(metavar="FILE[:KEY]", help="Its weights.")] = None,
    classes: Annotated[str | None, typer.Option(help="Its classes in their order, by commas.")] = None,
    mean: Mean = None,
    std: Std = None,
    size: Annotated[int | None, typer.Option(min=1, help="Side of the square input, pixels.")] = None,
    multi_label: Annotated[
        bool,
        typer.Option("--multi-label", help="Any number of classes an image (sigmoid), not one (softmax)."),
    ] = False,
    prompt: Annotated[
        list[str] | None, typer.Option(help="Of a CLIP: a sentence with {} for the class; repeat for more.")
    ] = None,
    data: Annotated[
        str, typer.Option(metavar="D", help="Data that commands on the RUN use by default.")
    ] = "",
) -> None:
    """A network that others trained → RUN."""
    from beyondcam.classifier import adopt_network

    prompts = {"prompts": prompt} if prompt else {}
    classifier = adopt_network(
        run, model, _names(classes), weights=weights, mean=_floats(mean, "mean"), std=_floats(std, "std"),
        size=size, single_label=not multi_label, data=data, log=_say, **prompts,
    )  # fmt: skip
    _say(f"{run}: {model}, {len(classifier.classes)} classes, {classifier.size} × {classifier.size} pixels")


@app.command()
def train(
    data: Annotated[str, typer.Option(metavar="D", help="Where the images and their labels are.")],
    out: Annotated[Path, typer.Option(help="The RUN folder to make.")],
    split: Split = "train",
    classes: Classes = None,
    backbone: Annotated[
        str | None, typer.Option(help="convnet, or any name timm knows, with OPTION=NUMBER after commas.")
    ] = None,
    kernel: Annotated[int | None, typer.Option(help="F of the convnet's F×F kernels.")] = None,
    output_stride: Annotated[int | None, typer.Option(help="8, 16 or 32, where timm offers it.")] = None,
    pretrained: Annotated[bool | None, typer.Option(help="Start from ImageNet weights.")] = None,
    weights: Annotated[Path | None, typer.Option(help="ImageNet weights, torchvision's or timm's.")] = None,
    start: Annotated[Path | None, typer.Option(help="RUN whose classifier to tune further.")] = None,
    size: Annotated[int | None, typer.Option(help="Side of the square input, pixels.")] = None,
    mean: Mean = None,
    std: Std = None,
    epochs: Annotated[int | None, typer.Option()] = None,
    batch: Annotated[int | None, typer.Option()] = None,
    optimizer: Annotated[str | None, typer.Option(help="adamw or sgd.")] = None,
    lr: Annotated[float | None, typer.Option(help="Highest learning rate of the backbone.")] = None,
    head_lr: Annotated[float | None, typer.Option(help="The head's, as a multiple of it.")] = None,
    weight_decay: Annotated[float | None, typer.Option()] = None,
    warmup: Annotated[float | None, typer.Option(help="Share of the steps that warm up.")] = None,
    flip: Annotated[bool | None, typer.Option(help="Mirror images at random.")] = None,
    freeze_bn: Annotated[bool | None, typer.Option(help="Keep batch norm's pretrained statistics.")] = None,
    ema: Annotated[float | None, typer.Option(help="Decay of the running average of the weights.")] = None,
    perturb: Annotated[str | None, typer.Option(help="noise or mask: train on inputs perturbed so.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every random draw.")] = None,
) -> None:
    """Image labels → classifier."""
    from beyondcam.classifier import TrainConfig, digits_config, train_run
    from beyondcam.data import is_digits

    given = {
        "data": data, "split": split, "classes": _names(classes), "backbone": backbone, "kernel": kernel,
        "output_stride": output_stride, "pretrained": pretrained, "weights": weights, "start": start,
        "size": size, "mean": _floats(mean, "mean"), "std": _floats(std, "std"),
        "epochs": epochs, "batch": batch, "optimizer": optimizer, "lr": lr, "head_lr": head_lr,
        "weight_decay": weight_decay, "warmup": warmup, "flip": flip,
        "freeze_bn": freeze_bn, "ema": ema, "perturb": perturb, "seed": seed,
    }  # fmt: skip
    config = _settings(digits_config if is_digits(data) else TrainConfig, given)
    _end(train_run(config, out, _say))


def _settings(make: Callable[..., T], given: dict[str, Any]) -> T:
    """Settings of the options that were given; what is wrong with one is said in a line."""
    from pydantic import ValidationError

    try:
        return make(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        fields, what = first_complaint(error)
        raise BeyondcamError(f"--{fields[0].replace('_', '-')}: {what}" if fields else what) from None


@app.command("map")
def map_(
    run: Run,
    recipe: Annotated[list[str], typer.Option(help="A recipe, NAME or NAME+REFINEMENT; repeat for more.")],
    data: Data = None,
    split: Split = "val",
    classes: Classes = None,
    recipes: Recipes = None,
    targets: Annotated[Targets, typer.Option(help="Ask about the labels, or what is predicted.")] = "labels",
    seed: Seed = 0,
    batch: Batch = 8,
    precision: Annotated[Literal["float32", "bf16"], typer.Option()] = "float32",
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Map only every N-th chunk, from the I-th.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=0, help="Processes that refine and write; by default as many as pay."),
    ] = None,
    witnesses: Annotated[
        bool, typer.Option(help="Also what the rule blind needs, of up to 128 images: three passes each.")
    ] = True,
) -> None:
    """Evidence for every image and recipe; killed at any moment, it goes on where it stopped."""
    from beyondcam.classifier import load_classifier
    from beyondcam.devices import open_fabric, to_device
    from beyondcam.evidence import map_split, map_witnesses
    from beyondcam.recipes import Cookbook

    cookbook = Cookbook(recipes)
    chosen = {name: cookbook.recipe(name) for name in recipe}
    part = _shard(shard)
    images = _open(run, data, split, classes)
    fabric = open_fabric("gloo")  # nccl would keep a GPU busy with waiting
    classifier = to_device(load_classifier(run), fabric)
    how: dict[str, Any] = {
        "targets": targets, "batch": batch, "precision": precision, "shard": part, "workers": workers,
        "report": _say,
    }  # fmt: skip
    left_out = map_split(classifier, images, chosen, run, seed=seed, **how)
    if witnesses:
        left_out |= map_witnesses(classifier, images, run, **how)
    fabric.barrier()  # torchrun ends the others as soon as one exits 1
    _end(left_out)


def _shard(text: str | None) -> tuple[int, int]:
    """(I, N) of `--shard`, or of the process where torchrun started several."""
    from beyondcam.devices import processes

    rank, world = processes()
    if text is None:
        return rank + 1, world
    if world > 1:
        raise BeyondcamError(f"--shard {text}: torchrun shares out the chunks itself")
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
        raise BeyondcamError(f"--shard {text}: write I/N with 1 ≤ I ≤ N")
    return int(index), int(count)


@app.command()
def score(
    run: Run,
    data: Data = None,
    split: Split = "val",
    classes: Classes = None,
    train_split: Annotated[
        str, typer.Option(help="Split whose masks choose τ for the rule train.")
    ] = "train",
    threshold: Annotated[float | None, typer.Option(min=0, max=1, help="τ for the rule fixed.")] = None,
    reference_threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="The reference CAM's τ for the rule fixed.")
    ] = None,
    few: Annotated[
        str | None, typer.Option(metavar="ID,ID", help="Images of the training split for the rule few.")
    ] = None,
    absent: Annotated[
        Literal["auto", "drop", "zero"],
        typer.Option(help="A class absent from the truth: 0 if predicted, left out, or 0 always."),
    ] = "auto",
) -> None:
    """Evidence against masks → RUN/scores.json and a table."""
    from beyondcam.data import open_masks
    from beyondcam.files import write_json
    from beyondcam.metrics import Training, score_split, write_scores
    from beyondcam.metrics.table import print_table

    if reference_threshold is not None and threshold is None:
        raise BeyondcamError("--reference-threshold: is of the rule fixed, which needs --threshold too")
    images = _open(run, data, split, classes)
    masks = open_masks(images.data, split, images.classes)
    if masks is None:
        raise BeyondcamError(f"{images.data}: has no masks to score against")
    training = None
    try:
        training_images = _open(run, data, train_split, classes)
        training_masks = open_masks(images.data, train_split, images.classes)
    except BeyondcamError as error:
        _say(f"no rule train: {error}")
    else:
        if images.shared(training_images):
            _say(f"no rule train: --split {split} shares images with --train-split {train_split}")
        elif training_masks is not None:
            training = Training(training_images, training_masks, _names(few) or ())
    if few and training is None:
        raise BeyondcamError(f"--few {few}: needs a --train-split with masks, apart from --split {split}")
    scores = score_split(
        run, images, masks,
        training=training, threshold=threshold, reference_threshold=reference_threshold, absent=absent,
    )  # fmt: skip
    if not any(row["threshold_rule"] == "blind" for row in scores.rows):
        _say(f"no rule blind: no witnesses of --split {split} agree on anything; `beyondcam map` asks them")
    write_scores(run, images, scores)
    write_json(run / "left_out" / f"score-{split}.json", scores.left_out)
    print_table(scores.rows)
    _end(scores.left_out)


@app.command()
def seed(
    run: Run,
    recipe: Annotated[str, typer.Option(help="Recipe whose evidence to take.")],
    out: Annotated[Path, typer.Option(help="Folder for masks/, overlays/ and classes.txt.")],
    threshold: Annotated[
        str,
        typer.Option(
            metavar="VALUE|RULE",
            help="τ in [0, 1]; blind, which needs no mask; few:ID,ID, the best on the masks of these images; "
            "or few, train or oracle as `score` found them.",
        ),
    ] = "blind",
    void: Annotated[
        str,
        typer.Option(
            metavar="VALUE|blind",
            help="Leave void what is this close to τ, both as square roots; blind: as much as witnesses "
            "disagree about.",
        ),
    ] = "0",
    coco: Annotated[bool, typer.Option("--coco", help="Also OUT/instances.json, in COCO's format.")] = False,
    npy: Annotated[bool, typer.Option("--npy", help="Also OUT/npy, the evidence in IRN's format.")] = False,
    data: Data = None,
    split: Split = "val",
    classes: Classes = None,
) -> None:
    """Evidence and a threshold → label PNGs (VOC palette) and overlays."""
    from beyondcam.data import open_masks
    from beyondcam.files import write_json
    from beyondcam.metrics import band_of, threshold_of
    from beyondcam.seeds import find_shelf, write_coco, write_npy, write_seeds

    images = _open(run, data, split, classes)
    shelf = find_shelf(run, images, recipe)
    masks = None
    try:
        masks = open_masks(images.data, split, images.classes)
    except BeyondcamError as error:
        _say(f"no mask is looked at: {error}")
    tau = threshold_of(run, shelf, images, threshold, masks)
    band = band_of(run, shelf, images, void, tau)
    written = write_seeds(images, shelf, tau, out, band=band, masks=masks)
    if coco:
        write_coco(images, written.left_out, out)
    if npy:
        write_npy(images, _keys(images), shelf, written.left_out, out)
    write_json(run / "left_out" / f"seed-{split}.json", written.left_out)
    _say(f"{len(images.ids) - len(written.left_out)} seeds in {out}, τ {tau:.3f}, {written.void:.1%} void")
    if written.right is not None:
        _say(f"{written.right:.1%} of the rest right, background and all, by {written.judged} masks")
    _end(written.left_out)


def _keys(images: Any) -> Any:
    """The classes that keys of IRN's files count: the data's own, where it knows all that are asked about."""
    from beyondcam.data import open_images

    try:
        known = open_images(images.data, images.split).classes
    except BeyondcamError:
        return images.classes
    return known if set(images.classes) <= set(known) else images.classes


@app.command("import")
def import_(
    run: Run,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Files ID.npy as IRN writes them.")],
    recipe: Annotated[str, typer.Option(help="What to call them.")],
    data: Data = None,
    split: Split = "val",
    classes: Classes = None,
) -> None:
    """Maps that other code made → evidence, to be scored beside ours."""
    from beyondcam.evidence import import_irn
    from beyondcam.files import write_json
    from beyondcam.recipes import Cookbook

    _check_name(recipe, "--recipe")
    if recipe.partition("+")[0] in Cookbook().recipes:
        raise BeyondcamError(f"--recipe {recipe}: is the name of a built-in recipe; give another")
    images = _open(run, data, split, classes)
    left_out = import_irn(run, images, _keys(images), folder, recipe)
    write_json(run / "left_out" / f"import-{split}.json", left_out)
    _end(left_out)


@app.command()
def segment(
    run: Run,
    recipe: Annotated[str | None, typer.Option(help="Recipe whose seeds to train on.")] = None,
    truth: Annotated[bool, typer.Option("--truth", help="Train on the masks: the upper bound.")] = False,
    threshold: Annotated[
        str, typer.Option(metavar="VALUE|RULE", help="τ of the seeds: a value, blind, few, train or oracle.")
    ] = "blind",
    void: Annotated[
        str, typer.Option(metavar="VALUE|blind", help="Do not train on what is this close to τ, as of seed.")
    ] = "0",
    data: Data = None,
    seeds_split: Annotated[str, typer.Option(help="Split that is trained on.")] = "train",
    eval_split: Annotated[
        str | None, typer.Option(help="Split that is predicted and scored; by default val, where it can be.")
    ] = None,
    classes: Classes = None,
    architecture: Annotated[
        str | None, typer.Option(help="Any that segmentation-models-pytorch has.")
    ] = None,
    encoder: Annotated[str | None, typer.Option(help="Any name timm knows.")] = None,
    pretrained: Annotated[bool | None, typer.Option(help="Start from ImageNet weights.")] = None,
    weights: Annotated[Path | None, typer.Option(help="ImageNet weights, torchvision's or timm's.")] = None,
    size: Annotated[int | None, typer.Option(help="Side of the square input, pixels.")] = None,
    epochs: Annotated[int | None, typer.Option()] = None,
    batch: Annotated[int | None, typer.Option()] = None,
    lr: Annotated[float | None, typer.Option(help="Highest learning rate of the encoder.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every random draw.")] = None,
    rounds: Annotated[
        int, typer.Option(min=1, help="Train again on what the network predicts, kept to the labels.")
    ] = 1,
    name: Annotated[str | None, typer.Option(help="Of the folder in RUN/segment.")] = None,
) -> None:
    """Seeds → segmentation network, RUN/segment/NAME, scored against masks where there are any."""
    from beyondcam.data import is_digits, open_masks
    from beyondcam.devices import processes
    from beyondcam.metrics import read_segments
    from beyondcam.metrics.table import print_segments
    from beyondcam.segment import seeds_lesson, segment_run, truth_lesson
    from beyondcam.segmentation import SegmentConfig, digits_segment_config

    if (recipe is None) != truth:
        raise BeyondcamError("write either --recipe NAME or --truth")
    if name is not None:
        _check_name(name, "--name")
    if truth and rounds > 1:
        raise BeyondcamError("--rounds: there are rounds of seeds only, not of --truth")
    images = _open(run, data, seeds_split, classes)
    given = {
        "architecture": architecture, "encoder": encoder, "pretrained": pretrained, "weights": weights,
        "size": size, "epochs": epochs, "batch": batch, "lr": lr, "seed": seed,
    }  # fmt: skip
    config = _settings(digits_segment_config if is_digits(images.data) else SegmentConfig, given)
    if truth:
        masks = open_masks(images.data, seeds_split, images.classes)
        if masks is None:
            raise BeyondcamError(f"--truth: {images.data} has no masks")
        lesson = truth_lesson(images, masks)
    else:
        lesson = seeds_lesson(run, images, str(recipe), threshold, void)
    exam = None
    try:
        exam = _exam(run, data, eval_split or "val", classes, images)
    except BeyondcamError as error:
        if eval_split is not None:
            raise
        _say(f"not scored: {error}")
    left_out = segment_run(run, lesson, config, exam, rounds=rounds, name=name, say=_say)
    if exam and processes()[0] == 0:
        own = (exam.images.data, exam.images.split)
        print_segments(run, [r for r in read_segments(run) if (r["data"], r["split"]) == own])
    _end(left_out)


def _exam(run: Path, data: str | None, split: str, classes: str | None, trained_on: Any) -> Any:
    """The images that a network trained on others is scored on, and their masks."""
    from beyondcam.data import open_masks
    from beyondcam.segment import Exam

    images = _open(run, data, split, classes)
    masks = open_masks(images.data, split, images.classes)
    if masks is None:
        raise BeyondcamError(f"{images.data} has no masks")
    exam = Exam(images, masks)
    exam.check(trained_on)
    return exam


@app.command()
def predict(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="RUN/segment/NAME that `beyondcam segment` made.")
    ],
    images: Annotated[
        list[Path] | None, typer.Argument(metavar="IMAGES...", help="Photos, or folders of them.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for masks/, overlays/ and classes.txt.")] = None,
    onnx: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the network as ONNX.")] = None,
) -> None:
    """Photos → masks and overlays, with a segmentation network."""
    from beyondcam.devices import to_device
    from beyondcam.segmentation import export_onnx, load_segmenter, predict_photos

    if images and out is None:
        raise BeyondcamError("--out: name a folder for the masks")
    if not images and onnx is None:
        raise BeyondcamError("IMAGES: name photos, or folders of them")
    segmenter = load_segmenter(model)
    if onnx is not None:
        export_onnx(segmenter, onnx)
        _say(f"network in {onnx}")
    if images and out is not None:
        left_out = predict_photos(to_device(segmenter), images, out)
        _say(f"masks in {out}")
        _end(left_out)


@app.command()
def report(run: Run) -> None:
    """One page about a RUN: RUN/report/index.html."""
    from beyondcam.report import write_report

    print(write_report(run))  # noqa: T201


@app.command()
def explain(
    image: Annotated[Path, typer.Argument(metavar="IMAGE")],
    model: Annotated[Path | None, typer.Option(metavar="RUN", help="Its classifier and classes.")] = None,
    out: Annotated[Path, typer.Option(help="The picture to write.")] = Path("explain.png"),
    top: Annotated[int, typer.Option(min=1, help="How many classes.")] = 3,
    recipe: Annotated[list[str] | None, typer.Option(help="Recipes to show; repeat for more.")] = None,
    recipes: Recipes = None,
    seed: Seed = 0,
    batch: Batch = 8,
) -> None:
    """Maps of one photo, as one picture: by default of an ImageNet classifier's top classes."""
    from beyondcam.classifier import folded, imagenet_classifier, load_classifier
    from beyondcam.data import read_photo
    from beyondcam.devices import to_device
    from beyondcam.recipes import Cookbook
    from beyondcam.report import explain_photo

    if out.suffix.lower() != ".png":
        raise BeyondcamError(f"--out {out}: is a PNG; name it so")
    cookbook = Cookbook(recipes)
    chosen = {name: cookbook.recipe(name) for name in recipe or ("cam", "saliency+smooth", "crops+smooth")}
    photo = read_photo(image)
    classifier = to_device(folded(load_classifier(model) if model else imagenet_classifier().eval()))
    named = explain_photo(
        classifier, photo, chosen, out, image_id=image.stem, top=top, seed=seed, batch=batch
    )
    for name, probability in named:
        print(f"{name}: {probability:.3f}")  # noqa: T201
    print(out)  # noqa: T201


@app.command()
def study(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Which; --list says what there is.")
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="Say what each study asks, and end.")] = False,
    run: Annotated[
        Path | None, typer.Option(metavar="RUN", help="The RUN to study, by default one made of the digits.")
    ] = None,
    beside: Annotated[
        list[Path] | None, typer.Option(metavar="RUN", help="A RUN to set beside it; repeat for more.")
    ] = None,
    images: Annotated[int | None, typer.Option(min=3, help="How many images to map and score.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Minutes instead of an hour.")] = False,
    out: Annotated[Path | None, typer.Option(help="The folder; by default studies/NAME.")] = None,
) -> None:
    """One experiment, from nothing to a finding: OUT/index.html."""
    from dataclasses import replace

    from beyondcam.studies import FULL, QUICK, STUDIES, run_study

    if listed or name is None:
        for known, each in STUDIES.items():
            print(f"{known}: {each.question}")  # noqa: T201
        return
    budget = QUICK if quick else FULL
    budget = replace(budget, images=images or budget.images)
    folder, command = out or Path("studies") / name, f"beyondcam {' '.join(sys.argv[1:])}"
    _end(run_study(name, folder, budget, run, command, _say, beside or ()))


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="The RUN folder to make.")] = Path("demo"),
    full: Annotated[
        bool, typer.Option("--full", help="Also a segmentation network trained on seeds, and one on masks.")
    ] = False,
    seed: Seed = 0,
) -> None:
    """The whole job on the embedded digits: train, map, seeds, scores, report."""
    from beyondcam.demo import run_demo

    _end(run_demo(out, seed, _say, full=full))
