"""Labels in files as annotation tools write them, and what a path is taken for."""

from pathlib import Path

import pytest
from builders import labels_of, make_coco, photos

from beyondcam.data import open_images, recognised
from conftest import complaint

CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta>
    <task>
      <id>7</id>
      <name>garden</name>
      <size>4</size>
      <mode>annotation</mode>
      <labels>
        <label>
          <name>cat</name>
          <color>#fa3253</color>
          <type>tag</type>
          <attributes>
          </attributes>
        </label>
      </labels>
    </task>
    <dumped>2024-05-02 08:20:11.000000+00:00</dumped>
  </meta>
  <image id="0" name="Train/a.jpg" subset="Train" task_id="7" width="4" height="3">
    <tag label="cat" source="manual">
      <attribute name="age">old</attribute>
    </tag>
    <tag label="größe" source="manual">
    </tag>
  </image>
  <image id="1" name="b.jpg" width="4" height="3">
    <box label="dog" source="manual" occluded="0" xtl="0.0" ytl="0.0" xbr="2.0" ybr="2.0" z_order="0">
    </box>
  </image>
  <image id="2" name="c.jpg" width="4" height="3">
  </image>
  <image id="3" name="d.jpg" width="4" height="3">
    <tag label="clean" source="manual">
    </tag>
  </image>
</annotations>
"""


def test_cvat_export_is_read(tmp_path: Path) -> None:
    photos(tmp_path, "images/a.jpg", "images/b.jpg", "images/c.jpg", "images/d.jpg")
    (tmp_path / "annotations.xml").write_text(CVAT, encoding="utf-8")
    labels = {"a": {"cat", "größe"}, "b": {"dog"}, "d": {"clean"}}
    assert labels_of(str(tmp_path)) == labels
    assert labels_of(f"folder:{tmp_path}:clean") == labels | {"d": set()}
    images = open_images(str(tmp_path), "all")
    assert images.form == "photos in images/, annotations.xml, tags of CVAT"
    assert "no tag" in images.unlabelled["c"]
    runs = "1, " * 2**23  # a mask in 24 MB
    mask = f'<mask label="cat" rle="{runs}1" left="0" top="0" width="4" height="3" z_order="0"></mask>'
    (tmp_path / "annotations.xml").write_text(CVAT.replace("<box", f"{mask}<box"), encoding="utf-8")
    assert labels_of(str(tmp_path)) == labels | {"b": {"cat", "dog"}}
    for other in ("<dataset/>", "<annotations><track id='0' label='cat'><box/></track></annotations>"):
        (tmp_path / "annotations.xml").write_text(other)
        complaint(lambda: open_images(str(tmp_path), "all"), "annotations.xml", "CVAT for images 1.1")


def test_xml_files_of_voc_beside_photos_are_read(tmp_path: Path) -> None:
    """As LabelImg leaves them, in a folder or in one for each split."""
    flat, parted = tmp_path / "flat", tmp_path / "parted"
    cat, dog, capital = (f"<object><name>{name}</name></object>" for name in ("cat", "dog", "Cat"))
    for root in (flat, parted / "train"):
        photos(root, "a.1.jpg", "b.JPG", "c.png", "d.jpg")
        (root / "a.1.xml").write_text(f'<annotation verified="yes">{cat}{dog}</annotation>')
        (root / "b.xml").write_text(f'<?xml version="1.0" ?>\n<annotation>\n{dog}{dog}</annotation>')
        declared = '<?xml version="1.0" encoding="UTF-8" standalone="no"?>'
        (root / "c.xml").write_text(f"{declared}\n<!-- of a tool that says so -->\n<annotation></annotation>")
        (root / "._b.xml").write_bytes(b"\0")  # of a Mac
    labels = {"a.1": {"cat", "dog"}, "b": {"dog"}, "c": set()}
    assert recognised(str(flat)) == f"folder:{flat}"
    assert labels_of(str(flat)) == labels
    assert labels_of(str(parted), "train") == {f"train/{i}": own for i, own in labels.items()}
    images = open_images(str(flat), "all")
    assert images.form == "photos in flat/, an XML file of VOC's kind for each"
    assert images.unlabelled.keys() == {"d"}
    (flat / "c.xml").write_text(f"<annotation>{capital}</annotation>")
    complaint(lambda: open_images(str(flat), "all"), f"{flat}, c.xml", "'Cat' is also written 'cat'")
    (flat / "c.xml").write_text("<annotation><object/></annotation>")
    complaint(lambda: open_images(str(flat), "all"), f"{flat / 'c.xml'}: an object has no name")
    (flat / "c.csv").write_text("image,labels\n")
    complaint(lambda: open_images(str(flat), "all"), "could hold the labels")


@pytest.mark.parametrize(
    ("lines", "labels"),
    [
        (
            ['{"file_name": "1.png", "label": "cat"}', '{"file_name": "2.png", "label": "dog"}'],
            ["cat", "dog"],
        ),
        (['{"file_name": "./1.png", "labels": ["cat"]}', '{"file_name": "2.png", "labels": []}'], ["cat"]),
        (
            [
                '{"file_name": "1.png", "objects": {"bbox": [[302.0, 109.0, 73.0, 5]], "categories": [0]}}',
                '{"file_name": "2.png", "objects": {"bbox": [[810, 100, 57, 2], [1, 2, 3, 4]], "categories": '
                "[1, 2]}}",
            ],
            ["0", "1 2"],
        ),
    ],
)
def test_metadata_of_hugging_face_is_read(tmp_path: Path, lines: list[str], labels: list[str]) -> None:
    photos(tmp_path, "train/1.png", "train/2.png", "test/1.png")
    for split in ("train", "test"):
        (tmp_path / split / "metadata.jsonl").write_text("\n".join(lines[: 2 if split == "train" else 1]))
    every = [set(text.split()) for text in labels] + [set()]
    train = {"train/1": every[0], "train/2": every[1]}
    assert labels_of(str(tmp_path), "train") == train
    assert labels_of(str(tmp_path), "test") == {"test/1": every[0]}
    assert labels_of(str(tmp_path)) == train | {"test/1": every[0]}
    complaint(lambda: open_images(str(tmp_path), "val"), "test, train and all")
    (tmp_path / "train" / "metadata.jsonl").write_text('{"file_name": "1.png", "text": "a cat"}')
    complaint(lambda: open_images(str(tmp_path), "all"), "metadata.jsonl", "objects.categories")


def test_a_photo_whose_name_is_no_unicode_is_none_that_is_there(tmp_path: Path) -> None:
    photos(tmp_path, "a.png")
    lines = ('{"file_name": "a.png", "label": "cat"}', r'{"file_name": "\ud83d.png", "label": "dog"}')
    (tmp_path / "metadata.jsonl").write_text("\n".join(lines))
    data = f"folder:{tmp_path}"
    ids = [*open_images(data, "all").ids, *open_images(data, "train").ids]
    assert "a" in ids
    assert all(i.encode() for i in ids)
    assert "1 of its photos are not there" in open_images(data, "all").form


@pytest.mark.parametrize("folders", [("train", "valid"), ("Train", "Valid")])
def test_table_of_each_split_is_read(tmp_path: Path, folders: tuple[str, str]) -> None:
    """As Roboflow exports several classes an image."""
    train, valid = folders
    photos(tmp_path, f"{train}/a_jpg.rf.1f.jpg", f"{valid}/b_jpg.rf.2e.jpg")
    for split, row in ((train, "a_jpg.rf.1f.jpg, 1, 0"), (valid, "b_jpg.rf.2e.jpg, 1, 1")):
        (tmp_path / split / "_classes.csv").write_text(f"filename, cat, dog\n{row}\n")
    assert labels_of(str(tmp_path), "val") == {f"{valid}/b_jpg.rf.2e": {"cat", "dog"}}
    assert labels_of(str(tmp_path), "train") == {f"{train}/a_jpg.rf.1f": {"cat"}}


def test_coco_is_recognised_as_tools_lay_it_out(tmp_path: Path) -> None:
    made = make_coco(tmp_path / "one")
    assert recognised(str(tmp_path / "one")) == made
    assert recognised(str(tmp_path / "one" / "instances.json")) == made
    photos(tmp_path / "flat", "a.jpg")
    (tmp_path / "flat" / "_annotations.coco.json").write_text('{"info": {}, "images": []}')
    assert recognised(str(tmp_path / "flat")).startswith(f"coco:{tmp_path / 'flat'}:")
    official = photos(tmp_path / "coco", "train2017/a.jpg", "val2017/b.jpg")
    (official / "annotations").mkdir()
    for name in ("instances_train2017", "instances_val2017", "captions_train2017"):
        (official / "annotations" / f"{name}.json").write_text('{"images": []}')
    places = f"{official}/{{split}}2017", f"{official}/annotations/instances_{{split}}2017.json"
    assert recognised(str(official)) == ":".join(("coco", *places))
    cvat = photos(tmp_path / "cvat", "images/default/a.jpg")  # as datumaro writes it
    (cvat / "annotations").mkdir()
    (cvat / "annotations/instances_default.json").write_text('{"licenses": []}')
    whole = f"coco:{cvat}/images/default:{cvat}/annotations/instances_default.json"
    assert recognised(str(cvat)) == whole
    assert recognised(str(cvat / "annotations/instances_default.json")) == whole
    for split in ("train", "val"):
        photos(cvat, f"images/{split}/a.jpg")
        (cvat / f"annotations/instances_{split}.json").write_text('{"licenses": []}')
    parts = f"coco:{cvat}/images/{{split}}:{cvat}/annotations/instances_{{split}}.json"
    assert recognised(str(cvat)) == parts


def test_coco_of_one_split_whose_photos_are_there_is_read_alone(tmp_path: Path) -> None:
    """All annotations come in one archive, the photos of each split in another."""
    for name in ("person_keypoints_train2017", "instances_train2017", "instances_val2017"):
        make_coco(tmp_path, name=f"annotations/{name}.json")
    (tmp_path / "images").rename(tmp_path / "val2017")
    file = tmp_path / "annotations/instances_val2017.json"
    assert recognised(str(tmp_path)) == recognised(str(file)) == f"coco:{tmp_path}/val2017:{file}"
    assert labels_of(str(tmp_path)) == {"7": set(), "12": {"cat", "dog", "zebra"}}


def test_coco_files_of_which_several_could_be_meant_are_named(tmp_path: Path) -> None:
    """Their folders would else be classes."""
    root = photos(tmp_path, "images/cam1/1.jpg", "images/cam2/1.jpg")
    for name in ("train", "val"):
        make_coco(root, name=f"annotations/{name}.json")
    for path in root.glob("images/*.png"):
        path.unlink()
    say = f"say which, as in coco:{root / 'images'}:{root / 'annotations/train.json'}"
    complaint(lambda: open_images(str(root), "all"), "train.json and val.json could hold the labels", say)
    assert open_images(f"imagefolder:{root / 'images'}", "all").classes == ("cam1", "cam2")
    (root / "table.csv").write_text("image,labels\ncam1/1.jpg,cat\n")
    assert labels_of(str(root)) == {"cam1/1": {"cat"}}


def test_coco_as_roboflow_exports_it_is_recognised(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        make_coco(tmp_path / split, name="_annotations.coco.json")
        for path in (tmp_path / split / "images").iterdir():
            path.rename(tmp_path / split / path.name)
    assert (
        recognised(str(tmp_path)) == f"coco:{tmp_path}/{{split}}:{tmp_path}/{{split}}/_annotations.coco.json"
    )
    val = open_images(str(tmp_path), "val")
    assert val.ids == ("7", "12")
    assert val.file_of("7") == tmp_path / "valid/0007.png"
    assert open_images(str(tmp_path), "train").file_of("7") == tmp_path / "train/0007.png"
    complaint(lambda: open_images(str(tmp_path), "test"), f"{tmp_path}/test: no such folder")
    (tmp_path / "train/_annotations.coco.json").unlink()
    assert open_images(str(tmp_path), "all").file_of("7") == tmp_path / "valid/0007.png"


def test_two_files_that_could_hold_the_labels_are_named(tmp_path: Path) -> None:
    photos(tmp_path, "a.png", "masks/a.png")
    for name in ("first", "second"):
        (tmp_path / f"{name}.csv").write_text("image,labels\na,cat\n")
    complaint(lambda: open_images(str(tmp_path), "all"), "first.csv and second.csv", "folder:")
    assert labels_of(f"folder:{tmp_path / 'second.csv'}") == {"a": {"cat"}}
