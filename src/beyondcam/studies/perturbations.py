"""Noise, masks and crops at equal cost, on the classifier as trained and on one trained on such inputs."""

from collections.abc import Sequence
from typing import Any

from beyondcam.perturbations import Crops, Mask, Noise, Perturbation
from beyondcam.recipes import Recipe, Source
from beyondcam.studies.bench import Bench, difference, row_of, smoothed
from beyondcam.studies.finding import Finding, Table, cell, signed

N = 16
"""Passes of every perturbation, all at the training size: the same megapixels."""

NOISES = [Noise(n=N, sigma=sigma) for sigma in (0.05, 0.15, 0.3)] + [
    Noise(n=N, sigma=0.15, distribution=other) for other in ("uniform", "salt-and-pepper")
]
MASKS = [Mask(n=N, rate=rate, block=block) for rate in (0.1, 0.3, 0.5) for block in (4, 8, 16)]
CROPS = {"crops": Crops(n=N)}


def perturbations(bench: Bench) -> Finding:
    """Every perturbation for saliency and for CAM; the tuned classifiers saw noise or masks in training."""
    subject = bench.subject()
    noises, masks = named(NOISES), named(MASKS)
    as_trained = recipes_of(noises | masks | CROPS)
    scores = bench.scored(subject, bench.mapped(subject, as_trained))
    tuned: dict[str, dict[str, Any]] = {}
    for kind, members in (("noise", noises), ("mask", masks)):
        own = bench.trained(f"tuned-{kind}", perturb=kind)
        recipes = recipes_of(members)
        found = bench.scored(own, bench.mapped(own, recipes))
        tuned |= {name: row_of(found, name) for name in recipes if name not in ("cam", "saliency")}

    rivals = [name for name in as_trained if name.startswith("saliency ") and name != "saliency crops"]
    best = max(rivals, key=lambda name: row_of(scores, name)["miou"])
    best_tuned = max(tuned, key=lambda name: tuned[name]["miou"])
    statement = (
        f"On {len(subject.images.ids)} images, {N} passes each: crops of saliency less plain saliency is "
        f"{signed(difference(scores, 'saliency crops', 'saliency'))} mIoU, less the best noise or mask as "
        f"trained ({best}) {signed(difference(scores, 'saliency crops', best))}, less crops of CAM "
        f"{signed(difference(scores, 'saliency crops', 'cam crops'))}. Trained on its own perturbation, "
        f"the best ({best_tuned}) reaches {cell(tuned[best_tuned])}, crops untuned "
        f"{cell(row_of(scores, 'saliency crops'))} (oracle τ)."
    )
    rows = [
        (
            name,
            cell(row_of(scores, name)),
            "–" if name == "saliency" else signed(difference(scores, name, "saliency")),
            cell(tuned[name]) if name in tuned else "–",
            cell(row_of(scores, name), "ndr_recall"),
        )
        for name in as_trained
    ]
    head = (
        "map and perturbation",
        "mIoU as trained",
        "less plain saliency",
        "mIoU trained on it",
        "NDR-Recall",
    )
    return Finding(statement, (Table("Equal cost, smoothed, oracle τ", head, rows),))


def named(settings: Sequence[Noise | Mask]) -> dict[str, Perturbation]:
    """The perturbations by what tells them apart."""
    names: dict[str, Perturbation] = {}
    for p in settings:
        own = f"{p.distribution} {p.sigma}" if isinstance(p, Noise) else f"mask {p.rate} of {p.block} px"
        names[own] = p
    return names


def recipes_of(perturbed: dict[str, Perturbation]) -> dict[str, Recipe]:
    """Each perturbation for both maps, SmoothGrad's relatives at its usual σ, and the maps alone."""
    recipes = {"cam": Recipe(source=Source(map="cam")), "saliency": smoothed("saliency")}
    for name, perturbation in perturbed.items():
        weight = {"weight": "score", "normalise": True} if name == "crops" else {}
        for of in ("saliency", "cam"):
            recipes[f"{of} {name}"] = smoothed(of, perturbation=perturbation, **weight)
    usual = next((p for p in perturbed.values() if p == NOISES[1]), None)
    if usual:
        recipes["saliency squared"] = smoothed("saliency", perturbation=usual, moment="square")
        recipes["saliency variance"] = smoothed("saliency", perturbation=usual, moment="variance")
    return recipes
