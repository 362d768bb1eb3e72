"""The import contract, read from the source: what a module imports, at its top or in a function, counts."""

import ast
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
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

MASKS = {"Masks", "open_masks", "Reviews", "open_reviews"}
BLIND = ("classifier", "maps", "perturbations", "refinements", "recipes", "evidence.mapper", "segmentation")
"""What must not reach a mask by any chain of imports: all of training and mapping."""

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
        alias.name: f"{package}.{node.module}"
        for node in nodes
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def imports(name: str) -> Iterator[str]:
    """The modules of this package that a module imports, by the names it takes from them."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            taken = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            taken = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for whole in taken:
            if whole.startswith("beyondcam."):
                module, _, last = whole.removeprefix("beyondcam.").rpartition(".")
                inside = f"{module}.{last}".removeprefix(".")
                yield inside if inside in TREES else LAZY.get(module, {}).get(last, module)


LAZY = {name: lazy_names(name) for name in TREES if name}
IMPORTS: Graph = {name: set(imports(name)) - {""} for name in TREES}


def unit(module: str) -> str:
    return module.partition(".")[0]


def chain(start: str, ends: Collection[str], graph: Graph) -> list[str]:
    """The shortest chain of imports from a module to one of `ends`; empty where there is none."""
    chains = [[start]]
    seen = {start}
    for path in chains:
        if path[-1] in ends:
            return path
        new = [module for module in sorted(graph[path[-1]]) if module not in seen]
        seen.update(new)
        chains.extend([*path, module] for module in new)
    return []


def test_imports_lead_to_lower_floors_only() -> None:
    floor = {name: number for number, names in enumerate(FLOORS) for name in names.split()}
    units = {unit(name) for name in TREES} - {"", "__main__"}
    assert units == set(floor), "give each folder and file of src/beyondcam its floor"
    upwards = {
        f"{name} imports {other}"
        for name, others in IMPORTS.items()
        if name not in ("", "__main__")
        for other in others
        if unit(name) != unit(other) and floor[unit(name)] <= floor[unit(other)]
    }
    assert not upwards


def test_nothing_imports_itself_in_a_circle() -> None:
    try:
        TopologicalSorter(IMPORTS).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_no_name_of_a_package_hides_one_of_its_modules() -> None:
    for package, names in LAZY.items():
        nodes = [node for node in TREES[package].body if isinstance(node, ast.ImportFrom)]
        taken = [a.name for node in nodes if node.module != f"beyondcam.{package}" for a in node.names]
        assert not [name for name in (*names, *taken) if f"{package}.{name}" in TREES]


def test_training_and_mapping_reach_no_mask_by_any_import() -> None:
    def defined(tree: ast.Module) -> set[str]:
        return {node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}

    ends = {name for name, tree in TREES.items() if MASKS & defined(tree)}
    assert ends == {"data.masks", "reviews.store"}
    # whoever imports a module runs the `__init__` of the packages it lies in, too
    graph = defaultdict[str, set[str]](set)
    for name, others in IMPORTS.items():
        graph[name] = {*others, name.rpartition(".")[0]}
    blind = [name for name in TREES if any(f"{name}.".startswith(f"{part}.") for part in BLIND)]
    assert len(blind) > 30
    chains = [" imports ".join(path) for path in (chain(name, ends, graph) for name in blind) if path]
    assert not chains
