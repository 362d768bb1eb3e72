"""Recipes, and the engine that runs them."""

from beyondcam.recipes.cookbook import Cookbook
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
    "classify_photos",
    "finish",
    "map_items",
    "raw_maps",
]
