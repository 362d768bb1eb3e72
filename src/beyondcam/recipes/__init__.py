"""Recipes and the engine that runs them."""

from beyondcam.recipes.engine import Cost, Item, Raw, Result, finish, raw_maps, run, scores
from beyondcam.recipes.recipe import Cookbook, Recipe, Source, hash_of

__all__ = [
    "Cookbook",
    "Cost",
    "Item",
    "Raw",
    "Recipe",
    "Result",
    "Source",
    "finish",
    "hash_of",
    "raw_maps",
    "run",
    "scores",
]
