"""Recipes and the engine that runs them."""

from beyondcam.recipes.engine import TARGETS, Cost, Item, Raw, Result, finish, raw_maps, run, scores
from beyondcam.recipes.recipe import Cookbook, Recipe, Source

__all__ = [
    "TARGETS",
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
