"""Write docs/api.md, the reference of the public names, from their docstrings: `python docs/api.py`."""

import ast
import inspect
import re
from collections.abc import Iterator, Sequence
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import BaseModel

import beyondcam
from beyondcam.registry import Kinds

PAGE = Path(__file__).with_name("api.md")

HEAD = """\
# API reference

Written by `python docs/api.py` from the docstrings; a test checks that it is current. `bc` is
`import beyondcam as bc`. What is not on this page is private and may change without notice.

Letters in shapes: B inputs, C classes, K channels, H × W pixels, h × w places, k targets of an image, P pairs
of an input and a target. A `BeyondcamError` is one line that says what to do.
"""

SECTIONS: dict[str, tuple[str, Sequence[str]]] = {
    "library": ("One picture or one batch", ()),
    "plotting": ("Pictures of maps", ()),
    "classifier": ("Classifiers", ()),
    "data": ("Images and labels", ()),
    "data.masks": ("Masks, for scoring alone", ()),
    "recipes": ("Recipes", ()),
    "maps": ("Maps", ("Forward", "Needs", "run_forward")),
    "perturbations": ("Perturbations", ("View",)),
    "refinements": ("Refinements", ()),
    "evidence": ("Evidence", ()),
    "metrics": ("Scores", ()),
    "seeds": ("Seeds", ()),
    "segmentation": ("Segmentation networks", ()),
    "studies": ("Studies", ("Workspace", "Setup", "Budget", "Finding", "Table", "Plot", "Dots")),
    "errors": ("Errors", ()),
}
"""By module: its heading, and the public names that it has beside those of `beyondcam`."""


LISTED = ("Parameters", "Inherited parameters", "Attributes", "Raises", "Yields")
WIDTH = 100


def public() -> Iterator[tuple[str, str, Any]]:
    """Module, name as it is written, and object of all that is public, in the order of the page."""
    stub = ast.parse(Path(beyondcam.__file__).with_name("__init__.pyi").read_text(encoding="utf-8"))
    names = {
        node.module: [alias.name for alias in node.names]
        for node in stub.body
        if isinstance(node, ast.ImportFrom) and node.module
    }
    if names.keys() != SECTIONS.keys():
        raise SystemExit(f"SECTIONS lacks or exceeds {sorted(names.keys() ^ SECTIONS.keys(), key=str)}")
    for module, (_, more) in SECTIONS.items():
        loaded = import_module(f"beyondcam.{module}")
        for name in names[module]:
            yield module, f"bc.{name}", getattr(loaded, name)
        registries = [
            of for of in vars(loaded).values() if isinstance(of, Kinds) and of.group.endswith(f".{module}")
        ]
        kinds = [kind.__name__ for of in registries for kind in of.kinds.values()]
        for name in (*more, *kinds):
            yield module, f"bc.{module}.{name}", getattr(loaded, name)


def reference() -> str:
    """The page."""
    parts, last = [HEAD], ""
    for module, name, value in public():
        if module != last:
            parts.append(f"## {SECTIONS[module][0]}\n")
            last = module
        parts += [
            f"### `{name}`\n",
            *signature(name, value),
            markdown(value),
            *fields(value),
            *members(value),
        ]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts))


def signature(name: str, value: Any) -> Iterator[str]:
    """The signature as code, but for exceptions and for settings that describe each field."""
    if inspect.isclass(value) and (issubclass(value, Exception) or describes_fields(value)):
        return
    made = inspect.signature(value)
    settings = inspect.isclass(value) and issubclass(value, BaseModel)
    arguments = list[str]()
    for parameter in made.parameters.values():
        if settings and parameter.name == "kind":
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in arguments:
            arguments.append("*")
        arguments.append(plain(parameter.replace(annotation=parameter.empty) if settings else parameter))
    given = inspect.formatannotation(made.return_annotation)
    returned = "" if inspect.isclass(value) else f" -> {plain(given)}"
    name = name.rpartition(".")[2]
    whole = f"{name}({', '.join(arguments)}){returned}"
    if len(whole) > WIDTH:
        whole = "\n".join((f"{name}(", *(f"    {argument}," for argument in arguments), f"){returned}"))
    yield f"```python\n{whole}\n```\n"


def describes_fields(value: Any) -> bool:
    """Whether it is a class of settings whose fields carry the help of the command line."""
    return any(field.description for field in getattr(value, "model_fields", {}).values())


def plain(written: object) -> str:
    """A type or an argument without the modules of its types, and with functions by their names."""
    text = re.sub(r"<function \S+<lambda>[^>]*>|<factory>", "…", str(written).replace("~", ""))
    text = re.sub(r"<(?:built-in )?(?:function|class) '?([\w.]+)[^>]*>", r"\1", text)
    text = re.sub(r"ForwardRef\('(.*?)'\)|^'(\w+)'$", r"\1\2", text)
    return re.sub(r"(?<![\w.'])(?:[a-z_]\w*\.)+(?=\w)", "", text)


def markdown(value: Any) -> str:
    """A docstring in numpydoc's layout as markdown, with the parameters that a base class describes."""
    doc = inspect.getdoc(value) or ""
    for base in value.__mro__[1:] if inspect.isclass(value) and issubclass(value, BaseModel) else ():
        inherited = re.search(r"Parameters\n-+\n(.*?)(?=\n\n|\Z)", inspect.getdoc(base) or "", re.DOTALL)
        if inherited and base is not BaseModel and base.__module__.startswith("beyondcam."):
            title = "Inherited parameters\n---\n" if "Parameters\n---" in doc else "Parameters\n---\n"
            doc = f"{doc}\n\n{title}{inherited[1]}"
    text, section = list[str](), ""
    for line, below in pairwise([*doc.splitlines(), ""]):
        if below and not below.strip("-"):
            section = line
            text.append(f"**{line}**\n")
        elif not line or line.strip("-"):
            text.append(item(line) if section in LISTED else line)
    page = "\n".join(text).rstrip()
    return re.sub(r"(>>> .*?)(?=\n\n|\Z)", r"```python\n\1\n```", page, flags=re.DOTALL) + "\n"


def item(line: str) -> str:
    """A line of a section that lists names: a name begins a bullet, what is indented goes on with it."""
    if not line or line.startswith(" "):
        return f"  {line.strip()}" if line else ""
    names, _, rest = line.partition(" : ")
    return f"- `{names}`: {rest}".rstrip()


def fields(value: Any) -> Iterator[str]:
    """The fields of settings that describe themselves, with their defaults."""
    if not (inspect.isclass(value) and describes_fields(value)):
        return
    for name, field in getattr(value, "model_fields", {}).items():
        default = "" if field.is_required() else f" = {field.default!r}"
        yield f"- `{name}{default}`: {field.description}"
    yield ""


def members(value: Any) -> Iterator[str]:
    """The public methods and properties of a class; those of a kind of map and so on are their base's."""
    if not inspect.isclass(value) or (
        "kind" in vars(value).get("__annotations__", {}) and value.__mro__[1] is not BaseModel
    ):
        return
    for name, member in vars(value).items():
        function = getattr(member, "__func__", member)
        doc = inspect.getdoc(member)
        if (
            name.startswith("_")
            or not doc
            or not (inspect.isfunction(function) or isinstance(member, property))
        ):
            continue
        given = (
            "" if isinstance(member, property) else f"({', '.join(inspect.signature(function).parameters)})"
        )
        given = given.replace("(self, ", "(").replace("(self)", "()").replace("(cls, ", "(")
        says = re.sub(r"(\w+)\n-+\n", r"\1: ", doc)
        yield f"- `.{name}{given}`: {' '.join(says.split())}"
    yield ""


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
