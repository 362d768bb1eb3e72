"""The import contract, read from the source: what a module imports, at its top or in a function, counts."""

import ast
from collections.abc import Collection, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import beyondcam

SOURCE = Path(beyondcam.__file__).parent

FLOORS = (
    "errors",
    "decode outcome devices registry",
    "files",
    "progress",
    "data perturbations",
    "label_images training refinements",
    "classifier formats reviews",
    "maps",
    "recipes windows",
    "evidence library",
    "metrics plotting seeds",
    "segmentation report review_page",
    "exchange forecast segment",
    "demo job studies",
    "cli",
)
"""The folders and files of `src/beyondcam`, from the bottom: each imports from floors below its own only."""

BLIND = ("classifier", "maps", "perturbations", "refinements", "recipes", "evidence.mapper", "segmentation")
"""All of training and mapping, which must not see a mask."""

SIGHT = {
    "Masks", "open_masks", "Reviews", "open_reviews", "read_mask", "read_label_image", "read_index_picture",
    "paint", "make_canvas", "import_module", "__import__",
}  # fmt: skip
"""The names by which masks are opened, read or made, or modules imported that this test cannot see."""

SEES = {
    "decode": {"read_index_picture"},
    "decode.pictures": {"read_index_picture"},
    "data.mask_file": {"read_mask", "read_label_image", "read_index_picture"},
    "data.voc": {"read_mask"},  # into a table of labels
    "data.digits": {"make_canvas"},  # into photos, and a table of labels
    "classifier.build": {"import_module"},  # of a package with weights
    "classifier.sources": {"import_module"},  # that the user names
}
"""The only modules that may have them, of all that training and mapping import, directly or not."""

OPENERS = {
    "Image.open", "np.load", "np.fromfile", "np.loadtxt", "np.memmap", "pickle.load", "pickle.Unpickler",
}  # fmt: skip
"""What opens files that may be masks, or runs what is in them; whoever needs it asks `decode`."""

Graph = Mapping[str, Collection[str]]


def modules() -> dict[str, ast.Module]:
    """Every module by its name below `beyondcam`; a package's `__init__` has the name of the package."""
    found = {}
    for path in SOURCE.rglob("*.py"):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = ast.parse(path.read_text())
    return found


TREES = modules()


def lazy_names(package: str) -> dict[str, str]:
    """The names that a package loads when they are first used, and the modules they come from."""
    stub = SOURCE / package.replace(".", "/") / "__init__.pyi"
    nodes = ast.walk(ast.parse(stub.read_text())) if stub.exists() else ()
    return {
        alias.name: f"{package}.{node.module or alias.name}".removeprefix(".")
        for node in nodes
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def imports(name: str) -> Iterator[str]:
    """The modules of this package that a module imports, by the names it takes from them."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            taken = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name} has a relative import"
            taken = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for whole in taken:
            if whole == "beyondcam":
                yield ""
            elif whole.startswith("beyondcam."):
                module, _, last = whole.removeprefix("beyondcam.").rpartition(".")
                inside = f"{module}.{last}".removeprefix(".")
                yield inside if inside in TREES else LAZY.get(module, {}).get(last, module)


LAZY = {name: lazy_names(name) for name in TREES}
IMPORTS = {name: set(imports(name)) for name in TREES}
"""By module; "" is the package itself."""


def unit(module: str) -> str:
    return module.partition(".")[0]


def reach(starts: Sequence[str], graph: Graph) -> dict[str, list[str]]:
    """The shortest chain of imports to every module that one of `starts` leads to."""
    chains, found = {name: [name] for name in starts}, [*starts]
    for name in found:
        for other in sorted({*graph[name]} - chains.keys()):
            chains[other] = [*chains[name], other]
            found.append(other)
    return chains


def test_imports_lead_to_lower_floors_only() -> None:
    floor = {name: number for number, names in enumerate(FLOORS) for name in names.split()}
    units = {unit(name) for name in TREES} - {"", "__main__"}
    assert units == set(floor), "give each folder and file of src/beyondcam its floor"
    upwards = {
        f"{name} imports {other}"
        for name, others in IMPORTS.items()
        if name not in ("", "__main__")
        for other in others - {""}
        if unit(name) != unit(other) and floor[unit(name)] <= floor[unit(other)]
    }
    assert not upwards


def test_nothing_imports_itself_in_a_circle() -> None:
    try:
        TopologicalSorter({name: others - {""} for name, others in IMPORTS.items()}).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_no_name_of_a_package_hides_one_of_its_modules() -> None:
    for package, names in LAZY.items():
        nodes = [node for node in TREES[package].body if isinstance(node, ast.ImportFrom)]
        taken = [a.name for node in nodes if node.module != f"beyondcam.{package}" for a in node.names]
        assert not [name for name in (*names, *taken) if f"{package}.{name}" in TREES]


def mentioned(tree: ast.Module) -> set[str]:
    """The names in a module's code: defined, imported or used, alone or after a dot."""
    found = set[str]()
    for node in ast.walk(tree):
        for field in ("name", "id", "attr"):
            found |= {value} if isinstance(value := getattr(node, field, None), str) else set()
    return found


def sightings() -> Iterator[tuple[str, set[str]]]:
    """Chains of imports from training and mapping to what sees masks, and the names that are no exception."""
    # whoever imports a module runs the `__init__` of the packages it lies in, too
    graph = {name: {*others, name.rpartition(".")[0]} - {""} for name, others in IMPORTS.items()}
    blind = [name for name in TREES if any(f"{name}.".startswith(f"{part}.") for part in BLIND)]
    for name, path in reach(blind, graph).items():
        of_all = {"beyondcam"} if "" in IMPORTS[name] else set[str]()  # by which every name can be had
        if names := (SIGHT & mentioned(TREES[name])) - SEES.get(name, set()) | of_all:
            yield " imports ".join(path), names


def test_training_and_mapping_reach_no_mask_by_any_import() -> None:
    assert not dict(sightings())
    assert {name: SIGHT & mentioned(TREES[name]) for name in SEES} == SEES, "strike out what is gone"


def openers(tree: ast.Module) -> set[str]:
    """What a module uses of `OPENERS`, as an attribute or by a name that it imports from a package."""
    found = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            package = {"numpy": "np"}.get(node.module, node.module.rpartition(".")[2])
            found |= {f"{package}.{alias.name}" for alias in node.names}
    return found & OPENERS


def test_pictures_and_arrays_are_opened_in_decode_alone() -> None:
    outside = {name: openers(tree) for name, tree in TREES.items() if unit(name) != "decode"}
    assert not {name: found for name, found in outside.items() if found}
    for line in ("Image.open(path)", "from numpy import load", "from PIL.Image import open"):
        assert openers(ast.parse(line)), line


@pytest.mark.parametrize("name", ["classifier.training", "data.photo"])
@pytest.mark.parametrize(
    "line",
    [
        "from beyondcam.data.mask_file import read_mask",
        "from beyondcam.data.mask_file import read_mask as picture",
        "from beyondcam.data import masks",
        "from beyondcam.decode import read_index_picture",
        "from beyondcam.metrics import score_split",
        "from beyondcam import open_masks",
        "import beyondcam as bc",
        "from importlib import import_module",
    ],
)
def test_a_way_to_a_mask_is_noticed(line: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TREES, name, ast.parse(f"{ast.unparse(TREES[name])}\n{line}"))
    monkeypatch.setitem(IMPORTS, name, set(imports(name)))
    assert any(name in path for path, _ in sightings())
