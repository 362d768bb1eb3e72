"""Labels as Label Studio exports them, and photos by the names that it gives to uploads."""

import csv
import json
from pathlib import Path

import pytest
from builders import labels_of, photos

from beyondcam.data import open_images, recognised
from conftest import complaint


def task(number: int, image: str, *results: object, **changes: object) -> dict[str, object]:
    """A task of Label Studio's JSON with an annotation for each result, as version 1.23 writes it."""
    annotations = [
        {
            "id": 10 * number + n, "completed_by": 1, "was_cancelled": False, "ground_truth": False,
            "created_at": "2024-05-02T08:14:09.216373Z", "updated_at": "2024-05-02T08:14:09.216401Z",
            "draft_created_at": None, "lead_time": 4.217, "prediction": {}, "result_count": 1,
            "unique_id": "3a6b1a3e-5d0c-4f2b-8f43-6a9b7b9b7f7f", "import_id": None, "last_action": None,
            "bulk_created": False, "task": number, "project": 1, "updated_by": 1,
            "parent_prediction": None, "parent_annotation": None, "last_created_by": None, "result": result,
            **changes,
        }
        for n, result in enumerate(results)
    ]  # fmt: skip
    return {
        "id": number, "annotations": annotations, "file_upload": image.rpartition("/")[2], "drafts": [],
        "predictions": [], "data": {"image": image}, "meta": {}, "created_at": "2024-05-02T08:13:40.131Z",
        "updated_at": "2024-05-02T08:14:09.240Z", "inner_id": number, "total_annotations": len(annotations),
        "cancelled_annotations": 0, "total_predictions": 0, "comment_count": 0, "project": 1,
        "unresolved_comment_count": 0, "last_comment_updated_at": None, "updated_by": 1,
        "comment_authors": [], "allow_skip": True,
    }  # fmt: skip


def choice(*names: str) -> list[object]:
    return [
        {"value": {"choices": [*names]}, "id": "qVvJ3uJYr_", "from_name": "choice", "to_name": "image",
         "type": "choices", "origin": "manual"}
    ]  # fmt: skip


BOX = [
    {"original_width": 4, "original_height": 3, "image_rotation": 0, "id": "Dx_aB2", "from_name": "label",
     "value": {"x": 0.0, "y": 0.0, "width": 50.0, "height": 50.0, "rotation": 0, "rectanglelabels": ["cow"]},
     "to_name": "image", "type": "rectanglelabels", "origin": "manual"}
]  # fmt: skip
RATING = [{"value": {"rating": 4}, "from_name": "r", "to_name": "image", "type": "rating"}]
TASKS = [
    task(1, "/data/upload/1/f9a5f6b4-garden_1.jpg", choice("cat")),
    task(2, "/data/upload/1/0b1c2d3e-b.jpg", choice("cat", "dog")),
    task(3, "/data/local-files/?d=shots%2Fmy%20c.jpg", []),
    task(4, "https://host.example/bucket/d.jpg?X-Amz-Expires=3600", choice("dog"), was_cancelled=True),
    task(5, "s3://bucket/deep/e.jpg", choice("cat"), choice("dog")),
    task(6, "/data/upload/1/00ff00ff-f.jpg", BOX),
    task(7, "/data/upload/1/00ff00ff-g.jpg", RATING),
]


def test_label_studio_export_is_read(tmp_path: Path) -> None:
    root = photos(
        tmp_path, "garden_1.jpg", "b.jpg", "shots/my c.jpg", "d.jpg", "e.jpg", "f.jpg", "g.jpg", "new.jpg"
    )
    file = root / "project-1-at-2024-05-02-08-20-3d2c1b0a.json"
    file.write_text(json.dumps(TASKS))
    assert recognised(str(root)) == f"folder:{root}"
    wanted = {"garden_1": {"cat"}, "b": {"cat", "dog"}, "shots/my c": set(), "f": {"cow"}}
    for data in (str(root), str(file), f"folder:{file}"):
        assert labels_of(data) == wanted
    images = open_images(str(root), "all")
    assert images.form.endswith("choices of Label Studio")
    assert "differ" in images.unlabelled["e"]
    assert "nobody" in images.unlabelled["d"]
    assert "task 7: has no choices or labels" in images.unlabelled["g"]
    assert images.unlabelled["new"] == f"{file}: has no line for it"
    TASKS[4]["annotations"][1]["ground_truth"] = True  # type: ignore[index]
    file.write_text(json.dumps(TASKS))
    assert labels_of(str(root)) == wanted | {"e": {"dog"}}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([{"image": "/data/upload/1/f9a5f6b4-a.jpg", "id": 1, "choice": "cat"}], ["annotations"]),
        ([task(1, "no photo", choice("cat"))], ["task 1"]),
        ([1], ["no list of tasks"]),
        ([task(1, "a.jpg", [{"type": "choices"}])], ["Label Studio"]),
    ],
)
def test_label_studio_export_that_is_none_is_one_line(
    tmp_path: Path, content: object, words: list[str]
) -> None:
    photos(tmp_path, "a.jpg")
    (tmp_path / "export.json").write_text(json.dumps(content))
    complaint(lambda: open_images(f"folder:{tmp_path}", "all"), "export.json", *words)


def test_an_export_that_names_no_class_is_told_no_header(tmp_path: Path) -> None:
    photos(tmp_path, "0.png", "1.png")
    (tmp_path / "x.json").write_text(json.dumps([task(n, f"{n}.png", []) for n in range(2)]))
    message = complaint(lambda: open_images(str(tmp_path), "all"), "x.json: names no class")
    assert "header" not in message


def brief(number: int, image: str, annotation: int | None, **labels: object) -> dict[str, object]:
    """A record of JSON-MIN, as version 1.23 writes it: an annotation, or a task without any."""
    time = annotation and "2026-11-27T13:13:17.943130Z"
    return {
        "image": image, "id": number, **labels, "annotator": annotation and 1, "annotation_id": annotation,
        "created_at": time, "updated_at": time, "lead_time": annotation and 2.5,
    }  # fmt: skip


BRIEF = [
    brief(1, "/data/upload/1/a20ec907-copy_50_offv2.jpg", 4, choice="größe"),
    brief(2, "/data/upload/1/e5f7c3db-deadbeef-prefix.jpg", 10, choice={"choices": ["crack, deep", "größe"]}),
    brief(3, "/data/upload/1/f05a17d4-draft_only.jpg", None),
    brief(4, "/data/upload/1/157a9f9a-empty_choice.jpg", 8),
    brief(5, "/data/upload/1/7ee9746a-gr%C3%B6%C3%9Fe_%C3%A9_%E7%A3%81.jpg", 3, choice="crack, deep"),
    brief(10, "/data/upload/1/c7528373-twice.jpg", 6, choice="größe"),
    brief(10, "/data/upload/1/c7528373-twice.jpg", 5, choice="crack, deep"),
]
NAMES = "(copy) 50% off,v2.jpg", "deadbeef-prefix.jpg", "draft only.jpg", "empty choice.jpg", "größe é 磁.jpg"


def exported(root: Path, suffix: str, records: list[dict[str, object]]) -> None:
    """Write records as Label Studio does: sorted columns, text quoted; TSV is `.csv` too."""
    if suffix == ".json":
        (root / "project-1.json").write_text(json.dumps(records, ensure_ascii=False, indent=2))
        return
    columns = sorted({key for record in records for key in record})
    cells = (
        {k: json.dumps(v, ensure_ascii=False) if isinstance(v, dict | list) else v for k, v in record.items()}
        for record in records
    )
    with (root / "project-1.csv").open("w", newline="", encoding="utf-8") as file:
        delimiter = {".csv": ",", ".tsv": "\t"}[suffix]
        writer = csv.DictWriter(file, columns, quoting=csv.QUOTE_NONNUMERIC, delimiter=delimiter)
        writer.writeheader()
        writer.writerows(cells)


@pytest.mark.parametrize("suffix", [".json", ".csv", ".tsv"])
@pytest.mark.parametrize("column", ["choice", "label"])  # a column called label is as that of any table
def test_brief_exports_are_read(tmp_path: Path, suffix: str, column: str) -> None:
    root = photos(tmp_path, *NAMES, "twice.jpg", "skipped.jpg")
    exported(root, suffix, [{k.replace("choice", column): v for k, v in r.items()} for r in BRIEF])
    assert labels_of(str(root)) == {
        "(copy) 50% off,v2": {"größe"}, "deadbeef-prefix": {"crack, deep", "größe"}, "empty choice": set(),
        "größe é 磁": {"crack, deep"},
    }  # fmt: skip
    images = open_images(str(root), "all")
    assert images.unlabelled.keys() == {"draft only", "twice", "skipped"}
    assert "task 3: nobody" in images.unlabelled["draft only"]
    assert "task 10: its annotators differ" in images.unlabelled["twice"]


@pytest.mark.parametrize("suffix", [".json", ".csv"])
def test_brief_exports_of_regions_are_read(tmp_path: Path, suffix: str) -> None:
    root = photos(tmp_path, "a b.jpg", "c.jpg", "d.jpg", "e.jpg")
    box = {"x": 10, "y": 10, "width": 20, "height": 20, "rotation": 0, "original_width": 4}
    regions = [box | {"rectanglelabels": [name]} for name in ("cow", "cat", "cow")]
    tasks = [
        brief(1, "/data/upload/3/113df541-a_b.jpg", 24, label=regions),
        brief(2, "c.jpg", 25),
        brief(3, "d.jpg", 26, label=[box]),  # of no label
        brief(4, "e.jpg", 27, label=[{"format": "rle", "rle": [0] * 60_000, "brushlabels": ["cat"]}]),
    ]
    exported(root, suffix, tasks)
    assert labels_of(str(root)) == {"a b": {"cow", "cat"}, "c": set(), "e": {"cat"}}


@pytest.mark.parametrize("suffix", [".json", ".csv"])
def test_brief_exports_do_not_tell_data_from_labels(tmp_path: Path, suffix: str) -> None:
    exported(photos(tmp_path, "a.jpg"), suffix, [brief(1, "a.jpg", 3, choice="cat", camera="left")])
    complaint(
        lambda: open_images(str(tmp_path), "all"), "project-1", "camera and choice", "export it as JSON"
    )


def test_uploads_are_found_by_what_is_left_of_their_names(tmp_path: Path) -> None:
    apart = "e\N{COMBINING ACUTE ACCENT} n.jpg"
    root = photos(tmp_path, "sub/a b.jpg", "a+b.jpg", "a_c.jpg", "a c.jpg", apart, "00ff00ff-x.jpg")
    names = ("a_b", "ab", "a_c", "e_n", "x")
    (root / "x.json").write_text(
        json.dumps([task(n, f"/data/upload/1/00ff00ff-{i}.jpg", choice("cat")) for n, i in enumerate(names)])
    )
    labels = labels_of(str(root))
    unknown = "data/upload/1/00ff00ff-a_c"  # of two photos, which Label Studio calls the same
    assert labels.keys() == {"sub/a b", "a+b", unknown, "é n", "00ff00ff-x"}
    complaint(lambda: open_images(str(root), "all").read(unknown), "a_c")
