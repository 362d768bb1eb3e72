"""Recipes and the engine that runs them."""

from beyondcam.recipes.engine import Cost, Item, Result, run, scores
from beyondcam.recipes.recipe import Cookbook, Recipe, Source

__all__ = ["Cookbook", "Cost", "Item", "Recipe", "Result", "Source", "run", "scores"]
