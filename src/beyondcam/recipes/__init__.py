"""Recipes and the engine that runs them."""

from beyondcam.recipes.engine import TARGETS, Cost, Item, Raw, Result, finish, raw_maps, run, scores
from beyondcam.recipes.recipe import Cookbook, Recipe, Source, hash_of

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
    "hash_of",
    "raw_maps",
    "run",
    "scores",
]
