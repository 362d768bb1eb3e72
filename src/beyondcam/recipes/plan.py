"""The plan: which views are run through the network together, and what is made of each pass."""

from collections import defaultdict
from collections.abc import Collection, Hashable
from dataclasses import dataclass, field
from functools import reduce
from operator import or_

from beyondcam.maps import AFFINITY_NEEDS, Map, Needs
from beyondcam.perturbations import Perturbation, Plain
from beyondcam.recipes.recipe import Recipe, Source


@dataclass
class Group:
    """Perturbations with nested views, which share their passes, and what these passes are for.

    Attributes
    ----------
    perturbations : the perturbations.
    sources : the means of maps over their views that are needed.
    affinity_size : size of the input, if its affinities are needed; the only view is the whole image then.
    scored : whether the image's logits are needed; the only view is the whole image then.

    """

    perturbations: set[Perturbation] = field(default_factory=set)
    sources: list[Source] = field(default_factory=list)
    affinity_size: float | None = None
    scored: bool = False

    def nested(self) -> list[Perturbation]:
        """Its perturbations, that with the most views last."""
        return sorted(self.perturbations, key=lambda p: p.limit)

    def maps(self) -> list[Map]:
        """The maps that its sources are means of, each once."""
        return list(dict.fromkeys(source.map for source in self.sources))

    def needs(self) -> Needs:
        """What a pass has to provide."""
        affinity = Needs() if self.affinity_size is None else AFFINITY_NEEDS
        return reduce(or_, (m.needs for m in self.maps()), affinity)


def plan(recipes: Collection[Recipe], *, scored: bool) -> list[Group]:
    """The groups of passes that the recipes need; of the whole image also its logits, if it is `scored`."""
    groups: dict[Hashable, Group] = defaultdict(Group)
    for source in sorted(set().union(*(recipe.sources() for recipe in recipes)), key=repr):
        group = groups[source.perturbation.nest]
        group.perturbations.add(source.perturbation)
        group.sources.append(source)
    for size in sorted(set().union(*(recipe.affinity_sizes() for recipe in recipes))):
        whole = Plain(size=size)
        groups[whole.nest].perturbations.add(whole)
        groups[whole.nest].affinity_size = size
    if scored:
        groups[Plain().nest].perturbations.add(Plain())
        groups[Plain().nest].scored = True
    return list(groups.values())
