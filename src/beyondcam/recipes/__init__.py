"""Recipes, and the engine that runs them."""

from beyondcam.recipes.cookbook import Cookbook, as_recipe, named_recipes
from beyondcam.recipes.cost import Cost, Work
from beyondcam.recipes.engine import Result, classify_photos, finish, map_items, raw_maps
from beyondcam.recipes.item import Item
from beyondcam.recipes.raw import RawMaps
from beyondcam.recipes.recipe import Recipe, Source

__all__ = [
    "Cookbook",
    "Cost",
    "Item",
    "RawMaps",
    "Recipe",
    "Result",
    "Source",
    "Work",
    "as_recipe",
    "classify_photos",
    "finish",
    "map_items",
    "named_recipes",
    "raw_maps",
]
