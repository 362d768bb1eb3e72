"""The page: what was scored, what that shows, and how it looks."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from beyondcam import __version__
from beyondcam.classifier import TrainConfig, read_config
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import checkpoint_hash
from beyondcam.files import read_json, write_whole
from beyondcam.metrics import (
    FEW,
    METRICS,
    REFERENCE,
    RULES,
    Interval,
    number,
    read_scores,
    read_segments,
    share_of_truth,
)
from beyondcam.report.charts import recall_chart, threshold_chart
from beyondcam.report.gallery import write_gallery
from beyondcam.report.groups import SHOWN, group_scores, trust, verdict


def write_report(run: Path) -> Path:
    """Write `RUN/report/index.html` and its pictures from what `beyondcam score` left; return the page."""
    scores, checkpoint = read_scores(run), checkpoint_hash(run)
    if any(row.checkpoint != checkpoint for row in scores.rows):
        raise BeyondcamError(
            f"{run / 'scores.json'}: is of another classifier; run `beyondcam map` and `beyondcam score`"
        )
    config, classes = read_config(run)
    training = read_json(run / "training.json", "beyondcam train")
    folder = run / "report"
    # networks trained on the truth depend on no classifier
    segments = [row for row in read_segments(run) if row.checkpoint in (None, checkpoint)]
    segments.sort(key=lambda row: -row.miou)
    networks = [(row, share_of_truth(run, row, segments)) for row in segments]
    sections = []
    for n, group in enumerate(group_scores(scores)):
        charts = (threshold_chart(group, f"t{n}"), recall_chart(group, f"r{n}"))
        sections.append((group, *charts, write_gallery(run, group, segments, classes, folder, str(n))))
    try:
        facts = _facts(config, training)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise BeyondcamError(
            f"{run / 'training.json'}: is no record of a training; `beyondcam train` makes it anew"
        ) from error
    page = render(
        "page.html", sections=sections, networks=networks, facts=facts, classes=("background", *classes)
    )
    write_whole(folder / "index.html", page.encode())
    shown = {folder / file for *_, gallery in sections for file in gallery.files}
    for path in (folder / "gallery").glob("*.jpg"):
        if path not in shown:
            path.unlink()
    return folder / "index.html"


def _facts(config: TrainConfig, training: dict[str, Any]) -> dict[str, str]:
    """The classifier in a few words."""
    backbone = config.backbone
    if backbone == "convnet":
        backbone += f", {config.kernel}×{config.kernel} kernels"
    if config.perturb:
        backbone += f", trained on inputs perturbed by {config.perturb.kind}"
    facts = {"classifier": backbone, "input": f"{config.size} × {config.size} pixels"}
    if training.get("val_map") is not None:
        return facts | {"mAP on val": number(training["val_map"])}
    held_out = [epoch["held_out_map"] for epoch in training["epochs"] if epoch["held_out_map"] is not None]
    return facts | {"mAP on a held-out tenth": number(max(held_out, default=None))}


def render(template: str, **values: Any) -> str:
    """One of this folder's pages."""
    environment = Environment(
        loader=PackageLoader("beyondcam.report", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": number, "signed": signed, "between": between, "signed_between": signed_between,
        "short": short, "verdict": verdict,
    }  # fmt: skip
    environment.globals |= {
        "METRICS": METRICS.values(), "RULES": {name: RULES[name] for name in sorted(RULES, key=trust)},
        "REFERENCE": REFERENCE, "SHOWN": SHOWN, "FEW": FEW,
    }  # fmt: skip
    return environment.get_template(template).render(version=__version__, **values)


def short(value: float | None) -> str:
    """A number of any size in two digits or more."""
    return number(value, ".0f" if value is not None and value >= 100 else ".2g")


def signed(value: float | None, form: str = ".3f") -> str:
    """A difference with its sign."""
    return number(value, f"+{form}").replace("-", "−")


def between(interval: Interval | None, form: str = ".3f") -> str:
    """An interval, or nothing where there is none."""
    return "" if interval is None else f"[{number(interval[0], form)}, {number(interval[1], form)}]"


def signed_between(interval: Interval | None, form: str = ".3f") -> str:
    """An interval of a difference, or nothing where there is none."""
    return "" if interval is None else f"[{signed(interval[0], form)}, {signed(interval[1], form)}]"
