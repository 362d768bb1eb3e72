"""`labels.csv` and `classes.txt` as people and their programs write them."""

import shutil
from pathlib import Path

import pytest
from builders import make_folder, present
from PIL import Image

import beyondcam as bc
from beyondcam.data import open_images
from conftest import complaint


def labels_of(data: str) -> dict[str, set[str]]:
    images = open_images(data, "all")
    return {i: present(images, i) for i in images.ids if i in images.labels}


@pytest.mark.parametrize(
    "table",
    [
        "image;labels\na.png;dog\nb.png;cat;dog\nc.png;\n",
        "image\tlabels\na.png\tdog\nb.png\tcat;dog\nc.png\t\n",
        "Image, LABELS\na.png, dog\nb.png, cat; dog\nc.png,\n",
        "\ufeffimage,labels\r\na.png,dog\r\nb.png,cat;dog\r\nc.png,\r\n,\r\n,\r\n",
        "image,label\na.png,dog\nb.png,cat\nb.png,dog\nc.png,\n",
        "labels,note,image\ndog,x,a.png\ncat;dog,,b.png\n,,c.png\n",
        "image,labels\nimages/a.png,dog\nimages/b.png,cat;dog\n./c.png,\n",
        "image,labels\nimages\\a.png,dog\nimages\\b.png,cat;dog\nC.PNG,\n",
        "image,labels\na.png,dog\nb.png,cat|dog\nc.png,\n",
        'image,labels\na.png,dog\nb.png,"cat, dog"\nc.png,\n',
        "image,labels\na.png,dog\nb.png,cat,dog\nc.png,\n",
        "file_name,class\nC:\\Users\\me\\photos\\a.png,dog\n/home/me/b.png,cat;dog\nsub\\c.png,\n",
        "filename, cat, dog\na.png, 0, 1\nb.png, 1, 1\nc.png, 0, 0\n",
        "Image;cat;dog\r\na.png;FALSCH;WAHR\r\nb.png;x;x\r\nc.png;;\r\n",
        'image,labels\na.png, "dog"\nb.png, "cat, dog"\nc.png,\n',
        "sep=;\r\nimage;labels;;\r\na.png;dog;;\r\nb.png;cat,dog;;\r\nc.png;;;\r\n",
        "image,labels\na.png,dog\na.png,dog\nb.png,cat;dog\nb.png,cat;dog\nc.png,\n",
        "image,labels\na.png,dog\u200b\nb.png,\ufeffcat; dog \nc.png,\u00a0\n",
    ],
    ids=[
        "semicolon",
        "tab",
        "capitals",
        "blank",
        "row-a-label",
        "columns",
        "folder",
        "backslash",
        "bar",
        "comma",
        "unquoted",
        "elsewhere",
        "column-a-class",
        "excel",
        "quoted",
        "separator-said",
        "rows-twice",
        "unseen",
    ],
)
def test_table_of_a_spreadsheet_is_read(tmp_path: Path, table: str) -> None:
    assert labels_of(make_folder(tmp_path, table)) == {"a": {"dog"}, "b": {"cat", "dog"}, "c": set()}


def test_table_in_utf_16_and_with_absolute_paths_is_read(tmp_path: Path) -> None:
    data = make_folder(tmp_path, "")
    text = f"image,labels\n{tmp_path.resolve()}/images/a.png,größe\n"
    (tmp_path / "labels.csv").write_bytes(text.encode("utf-16"))
    assert labels_of(data) == {"a": {"größe"}}


def test_columns_that_are_not_read_are_said(tmp_path: Path) -> None:
    data = make_folder(tmp_path, "image,label,note,Split\na,cat,x,train\nb,cat,,val\n")
    assert open_images(data, "all").form.endswith(
        "not read: note, Split (splits are folders train/ and val/)"
    )


def test_column_that_is_no_class_is_named(tmp_path: Path) -> None:
    table = "image,cat,weight\na,1,17\n"
    complaint(lambda: open_images(make_folder(tmp_path, table), "all"), "line 2", "'weight'", "'17'")


def test_table_of_windows_is_told_from_utf_8_and_says_so(tmp_path: Path) -> None:
    data = make_folder(tmp_path, "")
    for encoding, said in (("cp1252", True), ("utf-8", False)):
        (tmp_path / "labels.csv").write_bytes("image;labels\r\na.png;größe – été\r\n".encode(encoding))
        assert labels_of(data) == {"a": {"größe – été"}}
        assert ("Windows-1252" in open_images(data, "all").form) == said


def test_label_may_stand_for_photos_of_none(tmp_path: Path) -> None:
    data = make_folder(tmp_path, "image,labels\na,None\nb,cat\nc,cat\n")
    images = open_images(f"{data}:None", "all")
    assert (images.classes, present(images, "a"), images.data) == (("cat",), set(), f"{data}:None")
    complaint(lambda: open_images(data, "all"), "line 2", "'None'", "negatives")
    complaint(lambda: open_images(f"{data.replace('None', '')}:cats", "all", ["None", "cat"]), "negatives: ")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ('a,cat;dog\nb,dog\nc,"cat,dog"\n', ["line 4", "'cat,dog'", "joined by ';'"]),
        ("a,cat;dog\nb,cat|dog\n", ["line 3", "joined by ';'"]),
        ('a,"cat,dog"\nb,"dog|cow"\nc,dog\n', ["line 2", "'cat,dog'", "joined by '|'"]),
        ("a,b.png,cat\n", ["line 2", "'b.png'", "in quotes"]),
        ("a,['cat']\nb,[]\n", ["line 2", "joined by ';'"]),
        ("a,\"['cat', 'dog']\"\nb,\"['cat', 'cow']\"\n", ["line 2", "joined by ';'"]),
        ("a,\"('cat','dog')\"\nb,\"('dog',)\"\n", ["line 2", "joined by ';'"]),
        ("a,haze dry\nb,clear dry sea\nc,clear dry\nd,haze sea\ne,clear\n", ["line 2", "'haze dry'"]),
        ("a,cat\nb,dog cow\nc,dog\nd,cat dog\ne,cow\n", ["line 3", "'dog cow'", "classes.txt"]),
        ("a,cat\nb,Cat\n", ["line 3", "'Cat'", "'cat'"]),
        ("a,cat\nb,nan\n", ["line 3", "'nan'", "leave the cell empty"]),
        ("a,cat\nb,None\n", ["line 3", "leave the cell empty"]),
        ("a,cat;dog\na,cow\n", ["line 3", "twice"]),
        (",cat\n", ["line 2"]),
    ],
)
def test_what_is_surely_a_mistake_is_one_line_that_says_what_to_do(
    tmp_path: Path, rows: str, words: list[str]
) -> None:
    complaint(
        lambda: open_images(make_folder(tmp_path, "image,labels\n" + rows), "all"), "labels.csv", *words
    )


@pytest.mark.parametrize(
    "names",
    [
        "traffic light, traffic sign, light, stop sign",
        "teddy bear, bear, hot dog, dog",
        "fire, truck, fire truck",
        "fresh apple, rotten apple, fresh pear, rotten pear, apple, pear",
        "small red car, large red car, small blue car, large blue car, small red bus",
    ],
)
def test_classes_may_have_names_of_several_words(tmp_path: Path, names: str) -> None:
    rows = "".join(f"{n},{name}\n" for n, name in enumerate(names.split(", ")))
    data = make_folder(tmp_path, f"image,labels\n{rows}", names="x")
    assert open_images(data, "all").classes == tuple(sorted(names.split(", ")))


def test_classes_that_are_listed_or_asked_for_are_no_mistake(tmp_path: Path) -> None:
    table = 'image,labels\na,"sofa, red"\nb,nan;Cat\nc,cat\n'
    listed = "sofa, red\nnan\ncat\nCat\n"
    images = open_images(make_folder(tmp_path / "listed", table, classes=listed), "all")
    assert images.classes == ("sofa, red", "nan", "cat", "Cat")
    assert present(images, "b") == {"nan", "Cat"}
    asked = open_images(make_folder(tmp_path / "asked", table), "all", ["nan", "sofa, red", "cat", "Cat"])
    assert present(asked, "a") == {"sofa, red"}


@pytest.mark.parametrize("first", ["background", "_background_", "__ignore__\n_background_", "Background"])
def test_classes_that_begin_with_the_background_are_numbered_from_it(tmp_path: Path, first: str) -> None:
    data = make_folder(tmp_path, "image,labels\na,cat\n", classes=f"{first}\ncat\ndog\n")
    assert open_images(data, "all").classes == ("cat", "dog")


@pytest.mark.parametrize("name", ["a\x1bb", "\u2028", "bell\x07"])
def test_class_with_a_control_character_is_refused(tmp_path: Path, name: str) -> None:
    """It would break a line of classes.txt, or act on the terminal."""
    data = make_folder(tmp_path, f"image,labels\na,x{name}y\n")
    complaint(lambda: open_images(data, "all"), "classes: ", "control characters")


def test_photo_of_a_suffix_that_is_not_looked_for_is_read_where_the_table_names_it(tmp_path: Path) -> None:
    data = make_folder(tmp_path, "image,labels\na.jfif,cat\nplain,dog\nb.mpo,cat\n", names="x.png")
    for name in ("a.jfif", "plain", "b.mpo"):
        Image.new("RGB", (3, 2)).save(tmp_path / "images" / name, "JPEG")
    images = open_images(data, "all")
    assert {i: images.file_name(i) for i in images.ids if i in images.labels} == {
        "a": "a.jfif", "plain": "plain", "b.mpo": "b.mpo",
    }  # fmt: skip
    assert all(images.read(i).size == (2, 3) for i in images.ids)


@pytest.mark.parametrize("slash", ["/", "//", "/./", "\\"])
def test_photos_in_subfolders_are_found_and_named_by_their_path(tmp_path: Path, slash: str) -> None:
    table = "image,labels\ncat/1.png,cat\ndog/1.png,dog\n".replace("/", slash)
    data = make_folder(tmp_path, table, names="top.png")
    for name in ("cat", "dog"):
        (tmp_path / "images" / name).mkdir()
        Image.new("RGB", (3, 2)).save(tmp_path / "images" / name / "1.png")
    images = open_images(data, "all")
    assert labels_of(data) == {"cat/1": {"cat"}, "dog/1": {"dog"}}
    assert set(images.unlabelled) == {"top"}
    assert images.file_name("dog/1") == "dog/1.png"
    assert images.read("dog/1").size == (2, 3)


OUT, NOT_THERE = "leads out", "there is no such photo below"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("../../other/x.png", OUT), ("../other/x.png", OUT), ("a/../../other/x", OUT),
        ("{}/other/x.png", NOT_THERE), ("C:x.png", NOT_THERE),
    ],
)  # fmt: skip
def test_line_that_leads_out_of_the_folder_is_never_read(tmp_path: Path, line: str, why: str) -> None:
    (tmp_path / "other").mkdir()
    Image.new("RGB", (3, 2)).save(tmp_path / "other" / "x.png")
    data = make_folder(tmp_path / "deep" / "data", f"image,labels\na,cat\n{line.format(tmp_path)},cat\n")
    images = open_images(data, "all")
    (out,) = set(images.ids) - {"a", "b", "c"}
    assert out not in images.labels
    assert why in images.unlabelled[out]
    assert "line 3" in images.unlabelled[out]
    complaint(lambda: images.read(out), why)
    assert images.file_of(out) is None


def test_names_of_files_in_no_encoding_or_with_line_breaks_have_ids_that_can_be_written(
    tmp_path: Path,
) -> None:
    data = make_folder(tmp_path, "image,labels\na,cat\n", names="a.png")
    for name in (b"m\xfcller.png", b"two\nlines.png"):
        shutil.copy(tmp_path / "images" / "a.png", bytes(tmp_path / "images") + b"/" + name)
    images = open_images(data, "all")
    assert images.ids == ("a", "m%FCller", "two%0Alines")
    assert all(images.read(i).size == (2, 3) for i in images.ids)
    assert open_images(data, "train").ids


def test_a_photo_that_is_gone_lends_its_label_to_no_other(tmp_path: Path) -> None:
    def rows(*lines: str, photos: tuple[str, ...]) -> bc.LabelledImages:
        root = tmp_path / str(len(list(tmp_path.iterdir())))
        for name in photos:
            path = root / "images" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (3, 2)).save(path)
        (root / "labels.csv").write_text("\n".join(["image,labels", *lines]))
        return open_images(f"folder:{root}", "all")

    def labelled(images: bc.LabelledImages) -> dict[str, set[str]]:
        return {i: present(images, i) for i in images.ids if i in images.labels}

    there = rows("b/1.jpg,dog", "2.jpg,cat", photos=("1.jpg", "2.jpg", "b/3.jpg"))
    assert labelled(there) == {"b/1": {"dog"}, "2": {"cat"}}
    assert "1 of its photos are not there, such as b/1" in there.form
    twice = rows("b/1.jpg,dog", "1.jpg,cat", photos=("1.jpg", "2.jpg"))
    assert labelled(twice) == {"b/1": {"dog"}, "1": {"cat"}}
    elsewhere = rows("/x/b/1.jpg,dog", "/x/1.jpg,cat", "/x/gone.jpg,cat", photos=("1.jpg", "2.jpg"))
    assert labelled(elsewhere) == {"1": {"cat"}}
    assert "2 of its photos are not there" in elsewhere.form


@pytest.mark.parametrize("folder", ["images", "annotations"])
def test_a_file_of_labels_may_lie_among_the_photos_or_in_annotations(tmp_path: Path, folder: str) -> None:
    data = make_folder(tmp_path, "image,labels\na,cat\nb,dog\n")
    root = Path(data.removeprefix("folder:"))
    (root / folder).mkdir(exist_ok=True)
    (root / "labels.csv").rename(root / folder / "my labels.csv")
    assert labels_of(str(root)) == {"a": {"cat"}, "b": {"dog"}}


def test_summary_says_how_many_photos_each_class_has(tmp_path: Path) -> None:
    data = make_folder(tmp_path, "image,labels\na,cat;dog\nb,cat\n")
    assert open_images(data, "all").summary() == "all: 3 photos, by class: cat 2, dog 1; 1 without a label"
    (tmp_path / "labels.csv").write_text("image,labels\na,cat\nb,\n")
    summary = "all: 3 photos, by class: cat 1; 1 of no class; 1 without a label"
    assert open_images(data, "all").summary() == summary
