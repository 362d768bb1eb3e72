"""The pages of docs: their length, links, pictures, and the figures that they repeat."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import api
import tables
from beyondcam import Cookbook, studies
from beyondcam.evidence import WITNESSES
from pictures import PICTURES
from plots import PLOTS
from results import hashes_of

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = (*sorted(ROOT.glob("*.md")), *sorted(DOCS.glob("**/*.md")))
TABLES = [page for page in PAGES if page.parent.name == "results" or page.stem in ("endpoints", "methods")]

LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")
INTERVAL = re.compile(r"[-+]?\d\.\d+\s+\[[-+]?\d\.\d+,\s+[-+]?\d\.\d+\]")


def figures(text: str) -> set[str]:
    """All figures with an interval."""
    return {" ".join(figure.split()) for figure in INTERVAL.findall(text)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}-{page.stem}")
def test_a_page_is_short_and_its_links_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    assert page == api.PAGE or text.count("\n") <= 300
    for target, _ in LINK.findall(text):
        drawn = re.fullmatch(r"(?:\.\./)?pictures/(.*)", target)
        assert drawn[1] in PICTURES if drawn else (page.parent / target).exists(), target


def test_each_picture_that_is_drawn_is_shown() -> None:
    shown = set(re.findall(r"pictures/([^)]*)", "".join(page.read_text() for page in PAGES)))
    assert shown == set(PICTURES)


def test_every_recipe_and_refinement_has_its_picture() -> None:
    page = (DOCS / "recipes.md").read_text()
    for name in Cookbook().recipes.keys() - set(WITNESSES):
        assert f"`{name}`: " in page, name
    for name in Cookbook().refinements:
        assert f"**`+{name}`**: " in page, name


def test_the_recipes_that_the_page_writes_are_understood(tmp_path: Path) -> None:
    (written,) = re.findall(r"```toml\n(.*?)```", (DOCS / "recipes.md").read_text(), re.DOTALL)
    (tmp_path / "mine.toml").write_text(written)
    recipe = Cookbook(tmp_path / "mine.toml").recipe("both+smooth")
    assert (len(recipe.of), len(recipe.refine)) == (2, 2)


def test_every_study_is_on_its_page() -> None:
    page = (DOCS / "studies.md").read_text()
    for name, study in studies.STUDIES.kinds.items():
        assert f"| `{name}` | {study.question}" in page, name


def test_the_ten_sentences_have_intervals_that_stand_in_the_tables_they_name() -> None:
    page = (DOCS / "results.md").read_text()
    sentences = re.findall(r"^\d+\. (.*(?:\n   .*)*)", page, re.MULTILINE)
    assert len(sentences) == 10
    for sentence in sentences:
        pages = [(DOCS / target).read_text() for target, _ in LINK.findall(sentence)]
        assert figures(sentence), sentence
        assert figures(sentence) <= figures("".join(pages)), sentence
    assert sum(f"pictures/{plot}" in page for plot in PLOTS) == 6


def test_the_figures_of_the_readme_stand_in_the_tables() -> None:
    shown = figures((ROOT / "README.md").read_text())
    assert shown
    assert shown <= figures("".join(page.read_text() for page in TABLES))


@pytest.mark.parametrize("page", TABLES, ids=lambda page: page.stem)
def test_tables_of_recipes_that_have_changed_since_say_so(page: Path) -> None:
    text = page.read_text()
    for name, commit, section in re.findall(
        r"<!-- ([\w-]+) -->\n## .*\n\nMade by `.+` at commit ([0-9a-f]+)(.*?)<!-- end \1 -->", text, re.DOTALL
    ):
        stated = re.search(r"<!-- recipes (.*) -->", section)
        words = stated[1].split() if stated else []
        then = dict(zip(words[::2], words[1::2], strict=True))
        if not hashes_of(section).items() <= then.items():
            assert re.search(rf"made by older code, at commit {commit}", text, re.IGNORECASE), name


@pytest.mark.parametrize("page", TABLES, ids=lambda page: page.stem)
def test_tables_name_their_command_and_a_warning_of_older_code_is_about_one_of_them(page: Path) -> None:
    text = page.read_text()
    sections = re.findall(r"<!-- ([\w-]+) -->\n## .*\n\nMade by `(.+)` at commit ([0-9a-f]+)", text)
    assert len(sections) == len(re.findall(r"<!-- end ", text)) > 0
    for commit in re.findall(r"made by older code, at commit (\w+)", text, re.IGNORECASE):
        assert commit in {made for *_, made in sections}, f"{commit}: made anew; drop the warning"


def test_a_table_is_read_with_its_intervals() -> None:
    assert tables.measured("+0.096 [+0.077, +0.116]") == (0.096, 0.077, 0.116)
    assert tables.measured("0.363 at 0.66") == (0.363, 0.363, 0.363)
    with pytest.raises(ValueError, match="not a figure: '–'"):
        tables.measured("–")


def test_tables_of_a_section_are_rows_by_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "DOCS", tmp_path)
    (tmp_path / "p.md").write_text(
        "<!-- a -->\n| recipe | x | x |\n| --- | --- | --- |\n| `cam` | 1 | 2 |\n\nwords\n\n"
        "| n |\n| --- |\n| 3 |\n<!-- end a -->\n| not | ours |\n"
    )
    first, second = tables.tables("p", "a")
    assert tables.by(first) == {"cam": {"recipe": "`cam`", "x": "1", "x 2": "2"}}
    assert second == [{"n": "3"}]
    with pytest.raises(ValueError, match="has no section b"):
        tables.tables("p", "b")


def test_the_site_is_built_without_a_warning_and_fetches_nothing_from_elsewhere(tmp_path: Path) -> None:
    for name in PICTURES:
        (DOCS / "pictures").mkdir(exist_ok=True)
        (DOCS / "pictures" / name).touch()
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for page in tmp_path.glob("**/*.html"):
        loaded = re.findall(
            r"<(?:script|link|img|iframe)[^>]*?(?:src|href)=\"?(https?:[^\">\s]+)", page.read_text()
        )
        assert not loaded, page.name
    assert "data:image/jpeg" in (tmp_path / "tour.html").read_text()
    shown = (tmp_path / "results.html").read_text()
    for figure in figures((DOCS / "results.md").read_text()):
        assert figure.replace(" ", "\u00a0") in shown
