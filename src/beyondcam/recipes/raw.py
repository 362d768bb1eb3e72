"""Raw maps: what the network has given for an image, before anything is combined or refined."""

from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field, replace

from torch import Tensor

from beyondcam.perturbations import Perturbation, Plain
from beyondcam.recipes.cost import Cost, Ledger, Work
from beyondcam.recipes.recipe import Recipe, Source


@dataclass
class RawMaps:
    """The raw maps of one image, and what they cost.

    Attributes
    ----------
    scored : whether a pass over the whole image is made for its logits.
    sane : whether the logits of all views are numbers.
    scores : float32 (C,) on the CPU, its logits, if so or if its targets were predicted; for evidence, see
        `Classifier.log_odds`.
    maps : float32 (k, H, W) by source, where the network is.
    affinities : float16 (n, n) by the size of the input, where the network is.
    uncovered : share of its pixels that no view covers, by perturbation.
    ledger : what was done for it.

    """

    scored: bool = False
    sane: bool = True
    scores: Tensor | None = None
    maps: dict[Source, Tensor] = field(default_factory=dict)
    affinities: dict[float, Tensor] = field(default_factory=dict)
    uncovered: dict[Perturbation, float] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=lambda: defaultdict(Cost))

    def on_cpu(self) -> "RawMaps":
        """The same with all maps and affinities on the CPU."""
        maps = {source: values.cpu() for source, values in self.maps.items()}
        affinities = {size: values.cpu() for size, values in self.affinities.items()}
        return replace(self, maps=maps, affinities=affinities)

    @property
    def fault(self) -> str | None:
        """What gives no numbers for the image, if anything does: the network or a map."""
        if not (self.sane and (self.scores is None or self.scores.isfinite().all())):
            return "the network gives NaN or infinite numbers for it"
        bad = (source.map.kind for source, values in self.maps.items() if not values.isfinite().all())
        return next((f"the map {kind} gives NaN or infinite numbers for it" for kind in bad), None)

    def cost(self, recipe: Recipe) -> Cost:
        """The cost of all that a recipe starts from; what its parts share counts once."""
        sources = recipe.sources()
        whole = [Plain(size=size) for size in recipe.affinity_sizes()]
        passes = [*(s.perturbation for s in sources), *whole, *([Plain()] if self.scored else [])]
        work = [Work("targets"), *(Work("forward", p) for p in _largest(passes))]
        for m in {source.map for source in sources}:
            perturbations = _largest(s.perturbation for s in sources if s.map == m)
            work += [Work("map", p, m) for p in perturbations]
        work += [Work("mean", source=source) for source in sources]
        work += [Work("affinities", p) for p in whole]
        return sum((self.ledger[key] for key in work), Cost())


def _largest(perturbations: Iterable[Perturbation]) -> Iterable[Perturbation]:
    """Of nested perturbations the one with the most views, since its passes serve the others."""
    by_nest: dict[Hashable, Perturbation] = {}
    for p in sorted(perturbations, key=lambda p: p.limit):
        by_nest[p.nest] = p
    return by_nest.values()
