"""The cookbook: recipes by name, the built-in ones and those of a user's TOML file."""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from beyondcam.errors import BeyondcamError, one_line
from beyondcam.perturbations import Plain
from beyondcam.recipes.recipe import (
    AnyMap,
    AnyPerturbation,
    AnyRefinement,
    Recipe,
    Source,
    Statistic,
    Weight,
)
from beyondcam.refinements import REFINEMENTS, Refinement


class _Written(BaseModel):
    """A recipe as TOML has it."""

    model_config = ConfigDict(extra="forbid")

    map: AnyMap | None = None
    perturbation: AnyPerturbation = Plain()
    weight: Weight = "none"
    normalise: bool = False
    statistic: Statistic = "mean"
    combine: Literal["mean", "geometric-mean"] | None = None
    of: tuple[str, ...] = ()
    refine: tuple[AnyRefinement, ...] = ()

    @model_validator(mode="after")
    def _either(self) -> Self:
        of_source = self.model_fields_set & set(Source.model_fields)
        of_combination = self.model_fields_set & {"combine", "of"}
        if of_source and of_combination:
            raise ValueError(f"`{min(of_source)}` and `{min(of_combination)}` do not go together")
        return self


_Name = Annotated[str, Field(pattern=r"^\w[\w.-]*$")]
_RecipeName = Annotated[str, Field(pattern=r"^\w[\w.-]*(\+\+)?$")]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    recipes: dict[_RecipeName, _Written] = {}
    refinements: dict[_Name, AnyRefinement] = {}


class Cookbook:
    """The built-in recipes and, where a file is given, those of the file, which take precedence.

    Parameters
    ----------
    path : a TOML file; its layout is that of the built-in one, `recipes/builtin.toml`.

    Raises
    ------
    BeyondcamError
        For a file that cannot be read or has an unusable setting, which it names.

    """

    def __init__(self, path: str | PathLike[str] | None = None) -> None:
        written = _builtin() if path is None else _parse(Path(path).read_text, str(path))
        self.recipes = _builtin().recipes | written.recipes
        self.refinements = _builtin().refinements | written.refinements

    def recipe(self, name: str, within: tuple[str, ...] = ()) -> Recipe:
        """Look up a recipe, `NAME` or `NAME+REFINEMENT+...`. Raises `BeyondcamError`.

        A refinement is one of the file's, or a kind that is registered, at its defaults.

        `within` are the combinations that the recipe is looked up for, from the outermost inwards.
        """
        base, *steps = re.split(r"\+(?=[^+])", name)  # the base may end in two: gradcam++
        where = f"recipe {within[-1]}: `of`" if within else f"recipe: {name}"
        if base in within:
            raise BeyondcamError(f"{where}: {base} leads back to itself")
        if base not in self.recipes:
            known = ", ".join(each for each in self.recipes if not each.startswith("witness-"))
            several = "; write one a time" if "," in base else ""
            raise BeyondcamError(f"{where}: no recipe {base!r}{several}; there are {known}")
        written = self.recipes[base]
        starts: dict[str, Any] = {"combine": written.combine}
        if written.map is None:
            starts["of"] = tuple(self.recipe(part, (*within, base)) for part in written.of)
        else:
            starts["source"] = {field: getattr(written, field) for field in Source.model_fields}
        refine = (*written.refine, *(self._refinement(step, where) for step in steps))
        try:
            return Recipe(**starts, refine=refine)
        except BeyondcamError as error:
            raise BeyondcamError(f"recipe {base}: {error}") from None

    def _refinement(self, name: str, where: str) -> Refinement:
        """A refinement by its name in the file, or else by that of its kind, at the kind's defaults."""
        if name in self.refinements:
            return self.refinements[name]
        if name not in REFINEMENTS:
            known = ", ".join(dict.fromkeys([*self.refinements, *REFINEMENTS.names()]))
            raise BeyondcamError(f"{where}: no refinement {name!r}; there are {known}")
        try:
            return REFINEMENTS.find(name)(kind=name)
        except ValidationError as error:
            raise BeyondcamError(f"{where}: {name}: {one_line(error)}") from None


def as_recipe(recipe: str | Recipe) -> Recipe:
    """A recipe by its built-in name, or as it is. Raises `BeyondcamError`."""
    if isinstance(recipe, Recipe):
        return recipe
    if not isinstance(recipe, str):
        raise BeyondcamError(
            f"a name or a Recipe is needed, not a {type(recipe).__name__}", parameter="recipe"
        )
    return Cookbook().recipe(recipe)


def named_recipes(recipes: Mapping[str, str | Recipe] | Sequence[str]) -> dict[str, Recipe]:
    """Recipes by name, of names or recipes by name, or of names alone. Raises `BeyondcamError`."""
    if isinstance(recipes, Mapping):
        return {name: as_recipe(recipe) for name, recipe in recipes.items()}
    names = [recipes] if isinstance(recipes, str) else [*recipes]
    if not all(isinstance(name, str) for name in names):
        raise BeyondcamError("names, or recipes by name, are needed", parameter="recipes")
    return {name: as_recipe(name) for name in names}


@cache
def _builtin() -> _File:
    resource = files("beyondcam.recipes").joinpath("builtin.toml")
    return _parse(resource.read_text, "builtin.toml")


def _parse(read: Callable[..., str], where: str) -> _File:
    try:
        return _File.model_validate(tomllib.loads(read(encoding="utf-8")))
    except FileNotFoundError:
        raise BeyondcamError(f"{where}: no such recipes file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BeyondcamError(f"{where}: not readable as TOML ({error})") from None
    except ValidationError as error:
        raise BeyondcamError(f"{where}: {one_line(error)}") from None
