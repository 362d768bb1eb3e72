"""Recipes and the engine that runs them."""

from beyondcam.recipes.engine import Cost, Item, Raw, Result, finish, raw_maps, run, scores
from beyondcam.recipes.recipe import Cookbook, Recipe, Source

__all__ = [
    "Cookbook",
    "Cost",
    "Item",
    "Raw",
    "Recipe",
    "Result",
    "Source",
    "finish",
    "raw_maps",
    "run",
    "scores",
]
