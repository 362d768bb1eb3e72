"""PASCAL VOC, and other data in its folders."""

from pathlib import Path

import numpy as np
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
