"""What each refinement does, alone and after another, for CAM and for saliency."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from beyondcam.metrics import Scores
from beyondcam.metrics.text import cell, signed
from beyondcam.perturbations import Crops
from beyondcam.recipes import Cookbook, Recipe, Source
from beyondcam.refinements import CRF, Refinement, Smooth, Superpixels
from beyondcam.studies.finding import Finding, Plot, Table, miou_point
from beyondcam.studies.workspace import Workspace

HAS_CRF = find_spec("pydensecrf") is not None
UNREFINED = {
    "cam": Source(map="cam"),
    "crops-cam": Source(map="cam", perturbation=Crops(), weight="score", normalise=True),
    "saliency": Source(map="saliency"),
    "crops": Source(map="saliency", perturbation=Crops(), weight="score", normalise=True),
}


@dataclass(frozen=True)
class RefinementSettings:
    """The chains that are tried, and the values of single refinements. A CRF is tried if it is installed."""

    chains: tuple[str, ...] = (
        "", "smooth", "superpixels", "resolve", "walk", "affinity", "crf", "smooth+superpixels",
        "superpixels+smooth", "smooth+resolve", "resolve+smooth", "superpixels+resolve", "smooth+walk",
        "walk+affinity", "affinity+walk", "walk+affinity+resolve", "smooth+crf", "crf+smooth",
        "superpixels+crf", "smooth+superpixels+crf", "smooth+crf+resolve", "walk+affinity+crf",
    )  # fmt: skip
    sigmas: tuple[float, ...] = (0.004, 0.008, 0.016, 0.032, 0.064)  # of smoothing, share of the longer side
    superpixels: tuple[int, ...] = (100, 200, 400, 800)
    backgrounds: tuple[float, ...] = (0.1, 0.2, 0.3, 0.5)  # scores of the CRF

    def refinements(self) -> dict[str, tuple[Refinement, ...]]:
        """The chains by name."""
        steps = Cookbook().refinements
        available = [c for c in self.chains if "crf" not in c or HAS_CRF]
        chains = {c: tuple(steps[step] for step in c.split("+") if step) for c in available}
        chains |= {f"σ={sigma}": (Smooth(sigma=sigma),) for sigma in self.sigmas}
        chains |= {f"number={number}": (Superpixels(number=number),) for number in self.superpixels}
        return chains | {f"b={b}": (CRF(background=b),) for b in self.backgrounds if HAS_CRF}


def study_refinement(workspace: Workspace, settings: RefinementSettings = RefinementSettings()) -> Finding:
    """Compare every chain of refinements with the map alone."""
    setup = workspace.main_setup()
    chains = settings.refinements()
    recipes = {
        refined(name, chain): Recipe(source=source, refine=refine)
        for name, source in UNREFINED.items()
        for chain, refine in chains.items()
    }
    scores = workspace.score(setup, workspace.map_images(setup, recipes))

    best = {}
    for name in UNREFINED:
        miou = {chain: scores.row(refined(name, chain)).miou for chain in chains}
        best[name] = max(miou, key=miou.__getitem__)
    gains = "; ".join(
        f"{name} by {signed(scores.difference(refined(name, chain), name))} ({chain})"
        for name, chain in best.items()
        if chain
    )
    over_cam = scores.difference(*(refined(name, best[name]) for name in ("crops", "crops-cam")))
    statement = (
        f"On {workspace.notes['images']} images, the best refinement raises the mIoU of {gains or 'no map'}. "
        f"With the best refinement of each, crops of saliency minus crops of CAM is {signed(over_cam)} "
        "(oracle τ; the best are chosen on the scored images, so these figures are optimistic)."
    )
    rows = [(chain or "none", *(gain_cell(scores, name, chain) for name in UNREFINED)) for chain in chains]
    table = Table(
        "mIoU at oracle τ, and its difference to the map alone"
        + ("" if HAS_CRF else " (no CRF: not installed)"),
        ("refinement", *UNREFINED),
        rows,
    )
    plots = [
        miou_plot(scores, "σ", settings.sigmas, "width of smoothing", "σ, share of the longer side"),
        miou_plot(scores, "number", settings.superpixels, "number of superpixels", "superpixels"),
    ]
    if HAS_CRF:
        plots.append(miou_plot(scores, "b", settings.backgrounds, "background score of the CRF", "b"))
    return Finding(statement, (table,), plots)


def miou_plot(scores: Scores, key: str, values: Sequence[float], setting: str, axis: str) -> Plot:
    """MIoU of every map by the value of a refinement's setting."""
    lines = {
        name: [miou_point(value, scores.row(refined(name, f"{key}={value}"))) for value in values]
        for name in UNREFINED
    }
    return Plot(f"mIoU by {setting}", axis, "mIoU", lines, log=True)


def refined(name: str, chain: str) -> str:
    """The name of a recipe with a chain of refinements."""
    return f"{name}+{chain}" if chain else name


def gain_cell(scores: Scores, name: str, chain: str) -> str:
    """The mIoU of a refined recipe, and its difference to the unrefined one."""
    if not chain:
        return cell(scores.row(name))
    gain = scores.difference(refined(name, chain), name)
    return f"{scores.row(refined(name, chain)).miou:.3f}, {signed(gain)}"
