"""The report: what stands on the page is what stands in the files, and nothing else is needed to read it."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from beyondcam.data import open_images
from beyondcam.data.masks import Masks
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import LEVELS, Evidence, find_shelf, level_threshold
from beyondcam.evidence.store import checkpoint_hash, write_evidence
from beyondcam.label_images import overlay
from beyondcam.metrics import LabelCounts, Scores, write_segment
from beyondcam.metrics.rows import Curve, write_records
from beyondcam.report import write_report
from beyondcam.report.charts import _drawn, threshold_chart
from beyondcam.report.gallery import IMAGES, _choose
from beyondcam.report.groups import SHOWN, group_scores, verdict
from beyondcam.seeds import seed_labels
from conftest import complaint, shelf_for
from rows import ORIGIN, comparison, hash_of, network_row, score_row

HOSTILE = "<script>alert('cat')</script>"
METRICS = ("miou", "dr_recall", "ndr_recall", "fg_precision")
VOID_TAGS = {"meta", "img", "br", "path", "circle", "use"}


class Page(HTMLParser):
    """Addresses, ids, tags and the cells of every table; raises where tags are not nested."""

    def __init__(self, text):
        super().__init__()
        self.addresses, self.ids, self.tags, self.tables, self.alts = [], [], [], [], []
        self.open, self.cell, self.words = [], None, []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append(tag)
        self.addresses += [given[k] for k in ("src", "href", "xlink:href") if k in given]
        self.ids += [given["id"]] if "id" in given else []
        self.alts += [given.get("alt")] if tag == "img" else []
        if tag not in VOID_TAGS:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.cell = []

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID_TAGS:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        if tag in VOID_TAGS:
            return
        assert self.open.pop() == tag
        if tag in ("td", "th"):
            self.tables[-1][-1].append(" ".join(self.cell))
            self.cell = None

    def handle_data(self, data):
        words = " ".join(data.split())
        if words and self.open and self.open[-1] != "style":
            self.words.append(words)
            if self.cell is not None:
                self.cell.append(words)

    @property
    def text(self):
        return " ".join(self.words)


def row(recipe, miou, rule="train", /, **changes):
    """A row with everything that the page shows."""
    values = dict(zip(METRICS, (miou, 0.8123, 0.2345, 0.6789), strict=True))
    return score_row(recipe, miou, rule, **{
        "threshold": level_threshold(100), "reference_threshold": level_threshold(90), "metrics": values,
        "iou": {"background": 0.9, HOSTILE: miou, "dog": None}, "iou_ci": {HOSTILE: (0.1, 0.8), "dog": None},
        "shown": {HOSTILE: {"images": 2, "area": 0.0123}, "dog": {"images": 0, "area": None}},
        "ci": {m: [v - 0.01, v + 0.02] for m, v in values.items()},
        "cost": {"forward": 1.0, "backward": 1.5, "megapixels": 0.01, "seconds": 0.1234},
    } | changes)  # fmt: skip


def curve(recipe, height=0.5):
    rising = np.linspace(0, 1, LEVELS)
    return Curve.model_validate(ORIGIN | {
        "recipe": recipe, "recipe_hash": hash_of(recipe), "classes": (HOSTILE, "dog"),
        "threshold": (rising**2).tolist(), "miou": (rising * height).tolist(),
        "levels": {"train": 100, "oracle": 110}, "reference_levels": {"train": 90, "oracle": 95},
        "dr_recall": [*rising[:-1].tolist(), None], "ndr_recall": [None, *rising[1:].tolist()],
    })  # fmt: skip


@pytest.fixture
def run(tmp_path):
    """A RUN over two photos, one wide and one tall, with evidence of two recipes."""
    data, run = tmp_path / "data", tmp_path / "run"
    (data / "images").mkdir(parents=True)
    (data / "masks").mkdir()
    rng = np.random.default_rng(0)
    for name, (height, width) in {"a": (30, 40), "b": (500, 300)}.items():
        Image.fromarray(rng.integers(0, 255, (height, width, 3), np.uint8)).save(data / f"images/{name}.png")
        Image.fromarray(rng.integers(0, 3, (height, width), np.uint8)).save(data / f"masks/{name}.png")
    (data / "labels.csv").write_text(f"image,labels\na,{HOSTILE}\nb,{HOSTILE};dog\n")
    (data / "classes.txt").write_text(f"{HOSTILE}\ndog\n")
    images = open_images(f"folder:{data}", "all")
    run.mkdir()
    (run / "classifier.safetensors").write_bytes(b"of no use but its hash")
    for name in ("cam", "saliency"):
        shelf = shelf_for(run, images, name)
        for i in images.ids:
            targets = tuple(sorted(images.labels[i]))
            size = images.read(i).size
            levels = rng.integers(0, 256, (len(targets), *size), np.uint8)
            ones = (1.0,) * len(targets)
            write_evidence(shelf, i, Evidence(levels, targets, ones, ones, size))
    rows = [
        row("cam", 0.3123),
        row("saliency", 0.4567),
        row("cam", 0.3333, "oracle"),
        row("saliency", 0.4666, "oracle"),
    ]
    dump(
        run,
        scores=rows,
        comparisons=[comparison("cam", "saliency", 0.1444, [0.0511, 0.2], r) for r in ("train", "oracle")],
        curves=[curve("cam"), curve("saliency")],
        config={"train": {"data": images.data}, "classes": [HOSTILE, "dog"]},
        training={"epochs": [{"epoch": 1, "loss": 0.5, "held_out_map": 0.7654}]},
    )
    return run


def dump(run, **files):
    """Write JSON files; the rows get the RUN's data and, unless they name one, its checkpoint."""
    own = {"data": f"folder:{run.parent / 'data'}"}
    for name, content in files.items():
        if name in ("scores", "comparisons", "curves"):
            rows = [row.model_copy(update=own | checkpoint_of(run, row)) for row in content]
            write_records(run / f"{name}.json", rows)
        else:
            (run / f"{name}.json").write_text(json.dumps(content))


def checkpoint_of(run, row):
    return {"checkpoint": checkpoint_hash(run)} if row.checkpoint == ORIGIN["checkpoint"] else {}


def opened(run):
    return Page(write_report(run).read_text(encoding="utf-8"))


def test_everything_referred_to_is_local_and_there(run):
    page = opened(run)
    files = [address for address in page.addresses if not address.startswith("#")]
    assert len(files) == 2 * (2 + 2 * 2)  # photo and truth, map and seed of each recipe
    for file in files:
        with Image.open(run / "report" / file) as picture:
            assert picture.format == "JPEG"
            assert picture.width <= 220
    assert {a[1:] for a in page.addresses if a.startswith("#")} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert all(page.alts)


def test_the_tables_hold_the_numbers_of_the_files(run):
    page = opened(run)
    rows = json.loads((run / "scores.json").read_text())
    for table, rule in zip(page.tables[:2], ("train", "oracle"), strict=True):
        head, *body = table
        assert head[:5] == ["recipe", "τ", "τ of cam", "mIoU", "DR-Recall"]
        own = sorted((r for r in rows if r["threshold_rule"] == rule), key=lambda r: -r["miou"])
        assert [cells[0] for cells in body] == [r["recipe"] for r in own]
        for cells, r in zip(body, own, strict=True):
            assert cells[1:3] == [f"{r['threshold']:.3f}", f"{r['reference_threshold']:.3f}"]
            expected = [f"{r[m]:.3f} [{r['ci'][m][0]:.3f}, {r['ci'][m][1]:.3f}]" for m in METRICS]
            assert cells[3:7] == expected
            assert cells[7:] == ["1 + 1.5", "0.01", "0.12"]
    cam, saliency = (f"{r['miou']:.3f} [0.100, 0.800]" for r in rows[:2])
    assert [HOSTILE, "2", "1.2%", saliency, cam] in page.tables[2]
    assert ["dog", "0", "–", "–", "–"] in page.tables[2]
    assert "chosen on the scored masks" in page.text
    assert "0.765" in page.text


def test_networks_stand_in_a_table_and_their_predictions_beside_the_seeds(run):
    data = f"folder:{run.parent / 'data'}"
    base = {"data": data, "split": "all", "seeds_split": "more", "ci": {"miou": [0, 1]}}
    hits = {"cam-train-0": 10, "truth-0": 40}  # of 50 pixels of the class, and as many of the background
    for name, of, rule in (("cam-train-0", "seeds", "train"), ("truth-0", "truth", None)):
        miou = hits[name] / (100 - hits[name])
        row = network_row(
            name, of, **base, threshold_rule=rule, threshold=0.1234 if rule else None, miou=miou
        )
        counts = np.array([[[hits[name]] * 2, [50, 50], [50, 50]]] * 2)
        write_segment(run, row, LabelCounts(("a", "b"), counts))
        folder = run / "segment" / name / "predictions" / "all"
        folder.mkdir(parents=True)
        for i, (height, width) in {"a": (30, 40), "b": (500, 300)}.items():
            Image.fromarray(np.ones((height, width), np.uint8)).save(folder / f"{i}.png")
    page = opened(run)
    (table,) = (t for t in page.tables if t[0][0] == "network")
    assert [cells[0] for cells in table] == ["network", "truth-0", "cam-train-0"]
    assert table[2][1:4] == ["seeds of more", "2 images of all", "0.123 train"]
    assert table[2][4] == f"{10 / 90:.3f} [0.000, 1.000]"
    share = 10 / 90 * 60 / 40
    assert table[2][5] == f"{share:.3f} [{share:.3f}, {share:.3f}]"  # all images are alike
    assert table[1][5] == "–"
    shown = [a for a in page.addresses if "prediction" in a]
    assert len(shown) == 4
    assert all((run / "report" / file).is_file() for file in shown)


def test_a_hostile_class_name_stays_text(run):
    page = opened(run)
    assert "script" not in page.tags
    assert HOSTILE in page.text


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        (("cam", "saliency", 0.14, [0.05, 0.2]), "saliency reaches mIoU 0.457, 0.140 above cam"),
        (("saliency", "cam", -0.14, [-0.2, -0.05]), "difference [+0.050, +0.200]"),
        (("cam", "saliency", 0.14, [-0.01, 0.2]), "cannot be told from it"),
        (("cam", "saliency", -0.14, [-0.2, -0.05]), "no recipe is better than cam"),
    ],
)
def test_the_finding_says_no_more_than_the_interval(run, pair, words):
    dump(run, comparisons=[comparison(*pair)])
    assert words in opened(run).text


def test_the_oracle_alone_is_called_an_upper_bound(run):
    dump(
        run,
        scores=[
            row("cam", 0.3, "oracle"),
            row(
                "saliency",
                0.4,
                "oracle",
                cost=None,
                metrics={"miou": 0.4},
                ci={"miou": None},
            ),
        ],
        comparisons=[comparison("cam", "saliency", 0.1, [0.05, 0.2], "oracle")],
    )
    page = opened(run)
    assert page.text.index("upper bound") < page.text.index("above cam")
    assert page.tables[0][1][5] == "–"


def test_without_the_reference_nothing_is_said_of_a_difference(run):
    dump(run, scores=[row("saliency", 0.4)], comparisons=[], curves=[])
    assert "not compared with cam" in opened(run).text
    dump(run, scores=[row("cam", 0.4)])
    assert "cam , the only recipe scored" in opened(run).text


def test_the_seed_that_is_shown_is_that_of_the_threshold_in_its_table(run: Path) -> None:
    page = write_report(run)
    images = open_images(f"folder:{run.parent / 'data'}", "all")
    grey = images.read("a").pixels.permute(1, 2, 0).numpy().mean(-1, keepdims=True)
    pale = np.repeat(140 + 0.42 * grey, 3, -1).astype(np.uint8)
    for recipe in ("cam", "saliency"):
        found = re.search(rf'src="([^"]*)"[^>]* alt="seed of {recipe} for a"', page.read_text())
        assert found
        with Image.open(page.parent / found[1]) as picture:
            shown = np.array(picture.resize((40, 30), Image.Resampling.BOX)).astype(int)
        evidence = find_shelf(run, images, recipe).read("a")
        errors = [
            abs(shown - np.asarray(overlay(pale, seed_labels(evidence, level_threshold(level))))).mean()
            for level in (100, 60, 140, 255)
        ]
        assert errors[0] < 5  # what JPEG costs
        assert min(errors[1:]) > 2 * errors[0], errors


def test_an_image_that_cannot_be_read_is_named(run):
    (run.parent / "data/images/b.png").write_bytes(b"no picture")
    page = opened(run)
    assert "Left out: b:" in page.text
    assert sum("photo" in alt for alt in page.alts) == 1


def test_of_many_images_those_with_masks_are_shown_and_few_are_looked_at():
    ids = [f"{n:04}" for n in range(5000)]
    read = []

    def masks_of(named):
        def one(image_id):
            if image_id not in named:
                raise BeyondcamError("no such mask")
            read.append(image_id)

        return Masks((), one)

    scattered = ids[7::50]
    chosen, without = _choose(ids, masks_of(scattered))
    assert chosen == sorted(read)
    assert len(read) == IMAGES
    assert all(any(start <= i < start + 1000 for i in map(int, chosen)) for start in range(0, 5000, 1000))
    (passed,) = without
    assert passed.startswith("0000 and ")
    assert without[passed] == "no such mask"
    assert _choose(ids, masks_of(ids[40:45])) == (ids[40:45], {"0000 and 4994 more": "no such mask"})
    assert _choose(ids[:2], masks_of(ids[:1])) == (ids[:1], {"0001": "no such mask"})
    evenly = [ids[n * 5000 // IMAGES] for n in range(IMAGES)]
    assert _choose(ids, None) == _choose(ids, masks_of(ids)) == (evenly, {})


def test_a_report_without_its_data_still_has_its_tables(run):
    (run.parent / "data").rename(run.parent / "elsewhere")
    page = opened(run)
    assert "Left out: every image:" in page.text
    assert len(page.tables) > 4


def test_writing_again_changes_nothing_and_leaves_no_old_pictures(run):
    first = write_report(run).read_bytes()
    old = run / "report/gallery/9-00-photo.jpg"
    old.write_bytes(b"")
    assert write_report(run).read_bytes() == first
    assert not old.exists()


def test_higher_is_said_by_holms_correction_over_the_table():
    """0.002 · 3 = 0.006 is clear; 0.03 · 2 = 0.06 is not, nor is 0.04, though their intervals leave 0 out."""
    pairs = [
        comparison("cam", name, difference, [difference - 0.01, difference + 0.01], p={"miou": p})
        for name, difference, p in (("crops", 0.1, 0.03), ("saliency", -0.2, 0.002), ("best", 0.3, 0.04))
    ]
    assert [verdict(pair, pairs) for pair in pairs] == ["open", "lower", "open"]
    assert [verdict(pair, [pair]) for pair in pairs] == ["higher", "lower", "higher"]
    older = [pair.model_copy(update={"p": {}}) for pair in pairs]
    assert [verdict(pair, older) for pair in older] == ["higher", "lower", "higher"]


def test_each_recipe_is_drawn_by_its_own_curve():
    heights = {"cam": 0.3, "saliency": 0.4}
    rows = [row(name, height) for name, height in heights.items()]
    (group,) = group_scores(Scores(rows, [], [curve(name, height) for name, height in heights.items()]))
    drawn = [(own.recipe, max(line.miou), style.recipe) for own, line, style in _drawn(group)]
    assert drawn == [("saliency", 0.4, "saliency"), ("cam", 0.3, "cam")]


def test_the_legend_of_a_curve_names_a_mark_on_it():
    """Under the leading rule each image may have a τ of its own, which no mark of the curve can have."""
    rows = [row("cam", 0.3, "adaptive", threshold=None), row("cam", 0.4, "oracle")]
    rules = {"levels": {"oracle": 110}, "reference_levels": {"oracle": 95}}
    (group,) = group_scores(Scores(rows, [], [curve("cam").model_copy(update=rules)]))
    chart = threshold_chart(group, "t")
    (line,) = chart.lines
    assert line.note == f"{110 / 255 * 0.5:.3f}, τ {(110 / 255) ** 2:.3f}, oracle"
    assert list(chart.markers) == ["oracle"]
    (group,) = group_scores(Scores([*rows, row("cam", 0.3)], [], [curve("cam")]))
    assert threshold_chart(group, "t").lines[0].note.endswith(", train")


def test_the_reference_is_drawn_however_many_are_better():
    names = [f"r{n}" for n in range(SHOWN + 3)]
    rows = [row("cam", 0.2 + n / 100, recipe=name) for n, name in enumerate(names)]
    (group,) = group_scores(Scores([row("cam", 0.1), *rows]))
    assert [r.recipe for r in group.shown] == [*reversed(names[-SHOWN + 1 :]), "cam"]


def test_scores_and_networks_of_another_classifier_are_not_shown(run):
    base = {"data": f"folder:{run.parent / 'data'}", "split": "all"}
    counts = LabelCounts(("a",), np.array([[[1, 1], [2, 2], [2, 2]]]))
    for name, of, checkpoint in (("old", "seeds", "another"), ("truth-0", "truth", None)):
        write_segment(run, network_row(name, of, **base, checkpoint=checkpoint), counts)
    (table,) = (t for t in opened(run).tables if t[0][0] == "network")
    assert [cells[0] for cells in table] == ["network", "truth-0"]
    dump(run, scores=[row("cam", 0.3, checkpoint="another")])
    complaint(lambda: write_report(run), "scores.json", "another classifier")


@pytest.mark.parametrize("content", [None, "[]", "{}", "[{}]", "nonsense"])
def test_scores_that_are_missing_or_odd_name_the_command(run, content):
    path: Path = run / "scores.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(BeyondcamError, match=r"scores\.json.*`beyondcam score`"):
        write_report(run)


@pytest.mark.parametrize(
    "content", [[], 7, {}, {"epochs": [{}]}, {"epochs": [], "val_map": ["x"]}, {"epochs": None}]
)
def test_a_damaged_record_of_training_is_named(run, content):
    (run / "training.json").write_text(json.dumps(content))
    complaint(lambda: write_report(run), "training.json", "`beyondcam train`")


def test_curves_of_lists_that_do_not_fit_are_named(run):
    whole = json.loads((run / "curves.json").read_text())
    for change in ({"miou": [0.5]}, {"ndr_recall": None}, {"levels": {"train": 256}}):
        (run / "curves.json").write_text(json.dumps([whole[0] | change]))
        complaint(lambda: write_report(run), "curves.json", "`beyondcam score`")
