"""What each refinement does, alone and after another, for CAM and for saliency."""

from collections.abc import Mapping
from importlib.util import find_spec

from beyondcam.metrics import Scores
from beyondcam.perturbations import Crops
from beyondcam.recipes import Cookbook, Recipe, Source
from beyondcam.refinements import CRF, Refinement, Smooth, Superpixels
from beyondcam.studies.bench import Bench
from beyondcam.studies.finding import Finding, Plot, Table, cell, point, signed

SIGMAS = (0.004, 0.008, 0.016, 0.032, 0.064)
NUMBERS = (100, 200, 400, 800)
BACKGROUNDS = (0.1, 0.2, 0.3, 0.5)
CHAINS = (
    "", "smooth", "superpixels", "resolve", "walk", "affinity", "crf", "smooth+superpixels",
    "superpixels+smooth", "smooth+resolve", "resolve+smooth", "superpixels+resolve", "smooth+walk",
    "walk+affinity", "affinity+walk", "walk+affinity+resolve", "smooth+crf", "crf+smooth", "superpixels+crf",
    "smooth+superpixels+crf", "smooth+crf+resolve", "walk+affinity+crf",
)  # fmt: skip
HAS_CRF = find_spec("pydensecrf") is not None
BASES = {
    "cam": Source(map="cam"),
    "crops-cam": Source(map="cam", perturbation=Crops(), weight="score", normalise=True),
    "saliency": Source(map="saliency"),
    "crops": Source(map="saliency", perturbation=Crops(), weight="score", normalise=True),
}


def refinement(bench: Bench) -> Finding:
    """Every chain of refinements on every base, against the base alone."""
    subject = bench.subject()
    chains = menu()
    recipes = {
        refined(base, name): Recipe(source=source, refine=chain)
        for base, source in BASES.items()
        for name, chain in chains.items()
    }
    scores = bench.scored(subject, bench.mapped(subject, recipes))

    best = {}
    for base in BASES:
        miou = {name: scores.row(refined(base, name)).miou for name in chains}
        best[base] = max(miou, key=miou.__getitem__)
    gains = "; ".join(
        f"{base} by {signed(scores.difference(refined(base, name), base))} ({name})"
        for base, name in best.items()
        if name
    )
    left = scores.difference(*(refined(base, best[base]) for base in ("crops", "crops-cam")))
    statement = (
        f"On {bench.notes['images']} images the best refinement raises mIoU of {gains}. Each refined at its "
        f"best, crops of saliency less crops of CAM is {signed(left)} (oracle τ; the best of a menu is "
        "picked on the scored images, which flatters all of them)."
    )
    rows = [(name or "none", *(cells(scores, base, name) for base in BASES)) for name in chains]
    table = Table(
        "mIoU, oracle τ, and its difference to the map alone"
        + ("" if HAS_CRF else " (no CRF: not installed)"),
        ("refinement", *BASES),
        rows,
    )
    sigmas: dict[float, str] = {sigma: f"σ={sigma}" for sigma in SIGMAS}
    numbers: dict[float, str] = {number: f"number={number}" for number in NUMBERS}
    plots = [
        over(scores, sigmas, "the width of the smoothing", "σ, share of the longer side"),
        over(scores, numbers, "the number of superpixels", "superpixels"),
    ]
    if HAS_CRF:
        backgrounds: dict[float, str] = {b: f"b={b}" for b in BACKGROUNDS}
        plots.append(over(scores, backgrounds, "the background score of the CRF", "b"))
    return Finding(statement, (table,), plots)


def over(scores: Scores, chains: Mapping[float, str], what: str, axis: str) -> Plot:
    """MIoU of every base over a setting: value → the chain that has it."""
    lines = {
        base: [point(value, scores.row(refined(base, chain))) for value, chain in chains.items()]
        for base in BASES
    }
    return Plot(f"mIoU against {what}", axis, "mIoU", lines, log=True)


def menu() -> dict[str, tuple[Refinement, ...]]:
    """The chains by name; those with a CRF only where it is installed."""
    named = Cookbook().refinements
    there = [c for c in CHAINS if "crf" not in c or HAS_CRF]
    chains = {c: tuple(named[step] for step in c.split("+") if step) for c in there}
    chains |= {f"σ={sigma}": (Smooth(sigma=sigma),) for sigma in SIGMAS}
    chains |= {f"number={number}": (Superpixels(number=number),) for number in NUMBERS}
    return chains | {f"b={b}": (CRF(background=b),) for b in BACKGROUNDS if HAS_CRF}


def refined(base: str, chain: str) -> str:
    """The name of a recipe."""
    return f"{base}+{chain}" if chain else base


def cells(scores: Scores, base: str, name: str) -> str:
    """A recipe's mIoU and what it gains over the base."""
    if not name:
        return cell(scores.row(base))
    gain = scores.difference(refined(base, name), base)
    return f"{scores.row(refined(base, name)).miou:.3f}, {signed(gain)}"
