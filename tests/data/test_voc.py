"""PASCAL VOC, and other data in its folders."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from builders import make_voc, present
from PIL import Image

from beyondcam.data import open_images
from beyondcam.data.masks import open_masks
from conftest import complaint


def test_voc_labels_come_from_the_xml_even_where_the_mask_says_otherwise(tmp_path: Path) -> None:
    make_voc(tmp_path)
    (tmp_path / "Annotations/b.xml").write_text(
        "<annotation><object><name>sheep</name></object></annotation>"
    )
    images = open_images(f"voc:{tmp_path}", "train")
    assert images.ids == ("a", "b")
    assert present(images, "a") == {"cat", "dog"}
    assert present(images, "b") == {"sheep"}
    assert images.classes == tuple(sorted(images.classes))
    assert len(images.classes) == 20


def test_voc_labels_come_from_the_mask_where_there_is_no_xml(tmp_path: Path) -> None:
    images = open_images(f"voc:{make_voc(tmp_path, xml=False)}", "train")
    assert present(images, "a") == {"cat", "dog"}
    assert images.labels["b"] == frozenset()
    assert not images.unlabelled


def test_voc_masks_number_the_classes_kept_and_void_the_others(tmp_path: Path) -> None:
    make_voc(tmp_path)
    kept = open_masks(f"voc:{tmp_path}", "train", ["sheep", "dog"])
    assert kept.read("a")[:, 0].tolist() == [255, 2, 255, 0]
    assert open_images(f"voc:{tmp_path}", "train", ["sheep", "dog"]).labels["a"] == {1}
    assert open_masks(f"voc:{tmp_path}", "train").read("a")[:, 0].tolist() == [8, 12, 255, 0]


def test_voc_without_lists_has_the_splits_of_a_hash_and_all_is_all_photos(tmp_path: Path) -> None:
    root = make_voc(tmp_path, masks=False)
    (root / "ImageSets/Segmentation/train.txt").write_text("a\n")
    assert open_images(f"voc:{root}", "train").ids == ("a",)
    assert open_images(f"voc:{root}", "all").ids == ("a", "b")
    (root / "ImageSets/Segmentation/train.txt").unlink()
    assert [open_images(f"voc:{root}", split).ids for split in ("train", "val")] == [("b",), ("a",)]


def test_voc_with_a_missing_split_is_one_line_that_says_which_there_are(tmp_path: Path) -> None:
    make_voc(tmp_path)
    for opener in (open_images, open_masks):
        complaint(lambda opener=opener: opener(f"voc:{tmp_path}", "val"), "val.txt", "train")
        complaint(lambda opener=opener: opener(f"voc:{tmp_path / 'nowhere'}", "val"), "nowhere", "none")


def test_voc_with_an_empty_split_is_one_line_that_names_it(tmp_path: Path) -> None:
    make_voc(tmp_path)
    (tmp_path / "ImageSets/Segmentation/val.txt").write_text("\n  \n")
    complaint(lambda: open_images(f"voc:{tmp_path}", "val"), "val.txt", "empty")


def test_voc_with_an_image_twice_in_a_split_is_one_line_that_names_it(tmp_path: Path) -> None:
    make_voc(tmp_path)
    (tmp_path / "ImageSets/Segmentation/val.txt").write_text("a\nb\na\n")
    complaint(lambda: open_images(f"voc:{tmp_path}", "val"), "val.txt", "a stands here twice")


def test_voc_with_a_split_that_is_no_text_is_one_line_that_names_it(tmp_path: Path) -> None:
    make_voc(tmp_path)
    (tmp_path / "ImageSets/Segmentation/val.txt").write_bytes(b"\xff\x00a")
    complaint(lambda: open_images(f"voc:{tmp_path}", "val"), "val.txt")


def test_voc_id_without_files_is_unlabelled_and_not_readable_and_says_why(tmp_path: Path) -> None:
    make_voc(tmp_path)
    (tmp_path / "ImageSets/Segmentation/train.txt").write_text("a\nghost\n")
    images = open_images(f"voc:{tmp_path}", "train")
    assert "ghost" not in images.labels
    assert "ghost.png" in images.unlabelled["ghost"]
    assert "\n" not in images.unlabelled["ghost"]
    complaint(lambda: images.read("ghost"), "ghost.jpg")
    complaint(lambda: open_masks(f"voc:{tmp_path}", "train").read("ghost"), "ghost.png")


def test_voc_mask_with_a_value_of_no_class_is_one_line_that_names_file_and_value(tmp_path: Path) -> None:
    make_voc(tmp_path)
    Image.fromarray(np.full((4, 6), 21, np.uint8)).save(tmp_path / "SegmentationClass/a.png")
    complaint(lambda: open_masks(f"voc:{tmp_path}", "train").read("a"), "a.png", "21")


def test_voc_broken_xml_leaves_the_image_unlabelled_and_says_why(tmp_path: Path) -> None:
    make_voc(tmp_path)
    (tmp_path / "Annotations/a.xml").write_text("<annotation><object>")
    images = open_images(f"voc:{tmp_path}", "train")
    assert "a" not in images.labels
    assert "a.xml" in images.unlabelled["a"]
    assert "\n" not in images.unlabelled["a"]


def test_voc_xml_that_names_an_unknown_class_does_not_pass_as_without_labels(tmp_path: Path) -> None:
    make_voc(tmp_path)
    (tmp_path / "Annotations/a.xml").write_text("<annotation><object><name>dgo</name></object></annotation>")
    images = open_images(f"voc:{tmp_path}", "train")
    assert "a" not in images.labels
    assert "a.xml" in images.unlabelled["a"]
    assert "dgo" in images.unlabelled["a"]


def test_voc_xml_may_be_indented(tmp_path: Path) -> None:
    make_voc(tmp_path)
    (tmp_path / "Annotations/a.xml").write_text(
        "<annotation>\n <object>\n  <name>\n   dog\n  </name>\n </object>\n</annotation>"
    )
    assert present(open_images(f"voc:{tmp_path}", "train"), "a") == {"dog"}


def test_unknown_class_is_one_line_with_a_suggestion(tmp_path: Path) -> None:
    make_voc(tmp_path)
    for opener in (open_images, open_masks):
        complaint(lambda opener=opener: opener(f"voc:{tmp_path}", "train", ["kat"]), "classes: ", "'cat'")
    complaint(lambda: open_images(f"voc:{tmp_path}", "train", ["cat", "cat"]), "twice")


def test_voc_without_masks_has_no_truth(tmp_path: Path) -> None:
    assert open_masks(f"voc:{make_voc(tmp_path, masks=False)}", "train") is None


def write_annotation(root: Path, image_id: str, *names: str, encoding: str = "utf-8") -> None:
    objects = "".join(f"<object><name>{name}</name></object>" for name in names)
    text = f'<?xml version="1.0" encoding="{encoding}"?><annotation>{objects}</annotation>'
    (root / f"Annotations/{image_id}.xml").write_bytes(text.encode(encoding))


def own_voc(root: Path, labels: dict[str, list[str]], suffix: str = ".jpg", *, masks: bool = False) -> str:
    """Data of other classes in VOC's folders."""
    for folder in ("JPEGImages", "Annotations", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    for image_id, names in labels.items():
        Image.new("RGB", (6, 4), "green").save(root / f"JPEGImages/{image_id}{suffix}")
        write_annotation(root, image_id, *names)
    (root / "ImageSets/Segmentation/train.txt").write_text("\n".join(labels) + "\n")
    return f"voc:{root}"


@pytest.mark.parametrize("suffix", [".jpg", ".JPG", ".png", ".jpeg", ".webp"])
def test_voc_photos_may_have_any_suffix(tmp_path: Path, suffix: str) -> None:
    images = open_images(own_voc(tmp_path, {"a": ["cat"]}, suffix), "train")
    assert images.read("a").size == (4, 6)
    assert images.file_name("a") == f"a{suffix}"


def test_voc_jpeg_comes_before_another_photo_of_its_name(tmp_path: Path) -> None:
    data = own_voc(tmp_path, {"a": ["cat"]})
    Image.new("RGB", (9, 9)).save(tmp_path / "JPEGImages/a.png")
    assert open_images(data, "train").read("a").size == (4, 6)


def test_voc_ids_may_hold_spaces_and_lines_vocs_mark_of_presence(tmp_path: Path) -> None:
    """By their first words these would be one image, and that one another photo."""
    labels = {"photo 1": ["cat"], "photo 0": ["dog"], "photo": ["cow"], "other": ["cat"], "last 3": ["cow"]}
    data = own_voc(tmp_path, labels)
    path = tmp_path / "ImageSets/Segmentation/train.txt"
    path.write_text("photo 1\nphoto 0\nphoto -1\nother  1\n  last 3 \n")
    images = open_images(data, "train")
    assert images.ids == ("photo 1", "photo 0", "photo", "other", "last 3")
    assert {i: present(images, i) for i in images.ids} == {i: set(names) for i, names in labels.items()}


def test_voc_lists_may_have_suffixes(tmp_path: Path) -> None:
    data = own_voc(tmp_path, {"a": ["cat"], "b.1": ["dog"], "c": []})
    (tmp_path / "ImageSets/Segmentation/train.txt").write_text("a.jpg\nb.1\nc.jpg  1\n")
    assert open_images(data, "train").ids == ("a", "b.1", "c")


def test_voc_names_are_the_same_however_their_accents_are_written(tmp_path: Path) -> None:
    """Some systems take é apart, in the names of files but not in a list."""
    whole, apart = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    for xml in (True, False):
        root = make_voc(tmp_path / str(xml), xml=xml)
        for path in [*root.rglob("a.*")]:
            path.rename(path.with_name(f"{apart}{path.suffix}"))
        (root / "ImageSets/Segmentation/train.txt").write_text(f"{whole}\n", encoding="utf-8")
        images = open_images(f"voc:{root}", "train")
        assert present(images, whole) == {"cat", "dog"}
        assert open_masks(f"voc:{root}", "train").read(whole)[:, 0].tolist() == [8, 12, 255, 0]


def test_voc_xml_may_be_in_other_encodings_and_have_a_namespace(tmp_path: Path) -> None:
    data = own_voc(tmp_path, {"a": ["cat"], "b": ["cat"]})
    text = '<?xml version="1.0" encoding="gb2312"?><annotation><folder>图片</folder>'
    text += "<object><name>dog</name></object></annotation>"
    (tmp_path / "Annotations/a.xml").write_bytes(text.encode("gb2312"))
    (tmp_path / "Annotations/b.xml").write_text(
        '<annotation xmlns="urn:x"><object><name> dog </name></object></annotation>'
    )
    images = open_images(data, "train")
    assert [present(images, i) for i in images.ids] == [{"dog"}, {"dog"}]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<html><object><name>cat</name></object></html>", "root element"),
        ("<annotation><object><pose/></object></annotation>", "has no name"),
        ("", "XML"),
        ('<?xml version="1.0" encoding="rot13"?><annotation/>\xe9', "XML"),
    ],
)
def test_voc_xml_that_is_no_annotation_leaves_its_image_alone_unlabelled(
    tmp_path: Path, text: str, words: str
) -> None:
    data = own_voc(tmp_path, {"a": ["cat"], "b": ["dog"]})
    (tmp_path / "Annotations/a.xml").write_bytes(text.encode("latin-1"))
    images = open_images(data, "train")
    assert present(images, "b") == {"dog"}
    assert "a.xml" in images.unlabelled["a"]
    assert words in images.unlabelled["a"]


def test_voc_classes_of_ones_own_are_those_that_the_annotations_name(tmp_path: Path) -> None:
    data = own_voc(tmp_path, {"a": ["widget"], "b": ["gadget", "widget"], "c": []})
    images = open_images(data, "train")
    assert images.classes == ("gadget", "widget")
    assert {i: present(images, i) for i in images.ids} == {
        "a": {"widget"},
        "b": {"gadget", "widget"},
        "c": set(),
    }
    (tmp_path / "ImageSets/Segmentation/val.txt").write_text("a\n")
    assert open_images(data, "val", ["gadget", "widget"]).labels["a"] == {1}  # which shows one of them
    complaint(lambda: open_images(data, "train", ["gadgte"]), "no class named 'gadgte'")


def test_voc_classes_of_which_some_are_vocs_are_named_or_refused(tmp_path: Path) -> None:
    data = own_voc(tmp_path, {"a": ["person"], "b": ["helmet", "person"]})
    images = open_images(data, "train")
    assert "'helmet'" in images.unlabelled["b"]
    assert "classes" in images.unlabelled["b"]
    named = open_images(data, "train", ["helmet", "person"])
    assert {i: present(named, i) for i in named.ids} == {"a": {"person"}, "b": {"helmet", "person"}}
    (tmp_path / "classes.txt").write_text("person\nhelmet\n")
    listed = open_images(data, "train")
    assert listed.classes == ("person", "helmet")
    assert present(listed, "b") == {"helmet", "person"}


def test_voc_classes_that_differ_in_case_are_one_line(tmp_path: Path) -> None:
    data = own_voc(tmp_path, {"a": ["widget"], "b": ["Widget"]})
    complaint(lambda: open_images(data, "train"), "'Widget'", "'widget'")


def test_voc_masks_of_classes_of_ones_own_are_numbered_by_classes_txt(tmp_path: Path) -> None:
    data = own_voc(tmp_path, {"a": ["widget"], "b": ["gadget"]})
    (tmp_path / "SegmentationClass").mkdir()
    for name, value in (("a", 1), ("b", 2)):
        Image.fromarray(np.full((4, 6), value, np.uint8)).save(tmp_path / f"SegmentationClass/{name}.png")
    complaint(lambda: open_masks(data, "train"), "classes.txt", "needed")
    (tmp_path / "classes.txt").write_text("widget\ngadget\n")
    masks = open_masks(data, "train", ["gadget", "widget"])
    assert masks.read("a").unique().tolist() == [2]


@pytest.mark.parametrize("line", ["../JPEGImages/a", "/etc/passwd", "..", "x/../../a"])
def test_voc_id_that_leads_out_is_never_read(tmp_path: Path, line: str) -> None:
    data = own_voc(tmp_path / "v", {"a": ["cat"]})
    (tmp_path / "v/ImageSets/Segmentation/train.txt").write_text(f"a\n{line}\n")
    images = open_images(data, "train")
    assert present(images, "a") == {"cat"}
    assert "leads out" in images.unlabelled[line]
    complaint(lambda: images.read(line), "leads out")
    complaint(lambda: open_images(data, "../Segmentation/train"), "leads out")
