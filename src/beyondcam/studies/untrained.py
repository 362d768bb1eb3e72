"""What a network of random weights does in a recipe: for its maps, or for its affinities alone."""

from dataclasses import replace

import torch

from beyondcam.classifier import Classifier, folded, read_config
from beyondcam.classifier.load import build_as
from beyondcam.evidence import Evidence, Shelf, open_shelf, write_evidence
from beyondcam.recipes import Item, Recipe, Result, Source, finish, raw_maps
from beyondcam.refinements import Affinity
from beyondcam.studies.workspace import Setup, Workspace, mapping_cost


def untrained(setup: Setup) -> Classifier:
    """The network of a setup as it is before any training, with no ImageNet weights either."""
    config, classes = read_config(setup.run)
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        network = build_as(config, classes)
    return network.to(setup.classifier.device).eval()


def map_crossed(
    workspace: Workspace, setup: Setup, name: str, recipe: Recipe, maps_of: Classifier, walks_of: Classifier
) -> Shelf:
    """The evidence of a recipe whose maps are of one network, and whose affinities are of another."""
    shelf = open_shelf(
        setup.run, setup.images, targets="labels", precision="float32", name=name,
        recipe=f"{name} {recipe.hash}", seed=0,
    )  # fmt: skip
    images = setup.images
    workspace.announce(mapping_cost(setup, [recipe]), f"{name} × {len(images.ids)} images")
    networks = folded(maps_of), folded(walks_of)
    for i in images.ids:
        targets = tuple(sorted(images.labels[i]))
        if not shelf.has(i, targets, images.file_of(i)):
            item = Item(i, images.read(i), targets)
            result = crossed(item, recipe, *networks)
            evidence = Evidence.of(result.maps, targets, (), item.photo.size, result.uncovered)
            write_evidence(shelf, i, evidence, item.photo.file)
            shelf.add_cost(1, result.cost)
    return replace(shelf, images=images)  # which reads evidence of these photos alone


def crossed(item: Item, recipe: Recipe, maps_of: Classifier, walks_of: Classifier) -> Result:
    """The maps of one image by such a recipe; its cost is as if one network had made all."""
    (raw,) = raw_maps(maps_of, [item], [recipe], scored=True)
    walks = [
        Recipe(source=Source(map="centre"), refine=(Affinity(size=size),)) for size in recipe.affinity_sizes()
    ]
    (other,) = raw_maps(walks_of, [item], walks)
    return finish(recipe, item, replace(raw, affinities=other.affinities).on_cpu())
