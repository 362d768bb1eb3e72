"""Noise, masks and crops at equal cost, on a classifier as trained and on ones fine-tuned with them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from beyondcam.metrics import Scores, number
from beyondcam.metrics.text import cell, signed
from beyondcam.perturbations import Crops, Mask, Noise, Perturbation
from beyondcam.recipes import Recipe, Source
from beyondcam.studies.finding import Finding, Plot, Table, miou_point
from beyondcam.studies.workspace import Workspace, smoothed

VIEWS = 16
"""Views of every perturbation, all at the training size: equal megapixels."""

SIGMAS = (0.05, 0.15, 0.3)
RATES = (0.1, 0.3, 0.5)
BLOCKS = (4, 8, 16)
NOISES: tuple[Noise | Mask, ...] = (
    *(Noise(n=VIEWS, sigma=sigma) for sigma in SIGMAS),
    Noise(n=VIEWS, sigma=0.15, distribution="uniform"),
    Noise(n=VIEWS, sigma=0.15, distribution="salt-and-pepper"),
)
MASKS = tuple(Mask(n=VIEWS, rate=rate, block=block) for rate in RATES for block in BLOCKS)
MAP_NAMES = ("saliency", "cam")

CONTROL = "nothing"
"""Fine-tuning on unperturbed inputs for as many epochs: the control for longer training alone."""


@dataclass(frozen=True)
class PerturbationsSettings:
    """Fine-tuning: on which perturbations, and for which part of the classifier's own epochs."""

    tuned_on: tuple[Noise | Mask, ...] = (*NOISES, *(Mask(n=VIEWS, rate=rate) for rate in RATES))
    quick_tuned_on: tuple[Noise | Mask, ...] = (Noise(n=VIEWS, sigma=0.15), Mask(n=VIEWS, rate=0.3))
    epochs_divisor: int = 4


def study_perturbations(
    workspace: Workspace, settings: PerturbationsSettings = PerturbationsSettings()
) -> Finding:
    """Every perturbation of saliency and of CAM, for some also on a classifier fine-tuned on such inputs."""
    setup = workspace.main_setup()
    perturbations = by_name((*NOISES, *MASKS))
    recipes = perturbed_recipes(perturbations)
    scores = workspace.score(setup, workspace.map_images(setup, recipes))
    tuned_on = by_name(settings.tuned_on if workspace.budget.thorough else settings.quick_tuned_on)
    tuned: dict[str, tuple[float | None, Scores]] = {}
    for name, perturbation in ({CONTROL: None} | tuned_on).items():
        tuned_setup = workspace.train_setup(
            f"tuned-{name.replace(' ', '-')}", perturb=perturbation, start=setup.run, weights=None,
            epochs=max(1, workspace.epochs // settings.epochs_divisor),
        )  # fmt: skip
        tuned_recipes = perturbed_recipes({name: perturbation} if perturbation else {})
        evidence = workspace.map_images(tuned_setup, tuned_recipes)
        tuned[name] = tuned_setup.mean_ap, workspace.score(tuned_setup, evidence)

    best = max(perturbations, key=lambda name: scores.row(f"saliency {name}").miou)
    best_tuned = max(tuned_on, key=lambda name: tuned[name][1].row(f"saliency {name}").miou)
    tuned_scores, winner = tuned[best_tuned][1], f"saliency {best_tuned}"
    over_best, over_cam = (
        signed(scores.difference("saliency crops", other)) for other in (f"saliency {best}", "cam crops")
    )
    over_plain, over_crops = (
        signed(tuned_scores.difference(winner, f"saliency {other}")) for other in ("plain", "crops")
    )
    statement = (
        f"On {workspace.notes['images']} images, with {VIEWS} views, neither weighted nor normalised: on the "
        f"classifier as trained, mIoU of crops of saliency minus that of the best noise or mask ({best}) is "
        f"{over_best}, minus that of crops of CAM {over_cam}. Among classifiers tuned on the perturbation "
        f"used, the best ({best_tuned}) reaches {cell(tuned_scores.row(winner))}; minus a plain pass of the "
        f"same classifier {over_plain}, minus its crops {over_crops}. Crops on one tuned for as long on "
        f"unperturbed inputs reach {cell(tuned[CONTROL][1].row('saliency crops'))} (oracle τ; the best are "
        "chosen on the scored images, so these figures are optimistic)."
    )
    by_sigma = Plot(
        "Gaussian noise on the classifier as trained: mIoU by σ", "σ", "mIoU",
        {of: [miou_point(s, scores.row(f"{of} gaussian {s}")) for s in SIGMAS] for of in MAP_NAMES},
    )  # fmt: skip
    by_rate = Plot(
        "Masks and saliency on the classifier as trained: mIoU by rate", "share of blocks dropped", "mIoU",
        {f"blocks of {b} px": [miou_point(r, scores.row(f"saliency mask {r} of {b} px")) for r in RATES]
         for b in BLOCKS},
    )  # fmt: skip
    return Finding(statement, (untuned_table(scores, recipes), tuned_table(tuned)), (by_sigma, by_rate))


def untuned_table(scores: Scores, recipes: Mapping[str, Recipe]) -> Table:
    """One row per recipe, on the classifier as trained."""
    rows = []
    for name in recipes:
        plain = f"{name.partition(' ')[0]} plain"
        perturbed = " " in name and name != plain
        change = signed(scores.difference(name, plain)) if perturbed else "–"
        row = scores.row(name)
        rows.append((name, *(cell(row, m) for m in ("miou", "ndr_recall", "fg_precision")), change))
    head = ("map and perturbation", "mIoU", "NDR-Recall", "FG-Precision", "mIoU minus the map's plain pass")
    title = f"On the classifier as trained, {VIEWS} views (plain: 1), smoothed except for cam, oracle τ"
    return Table(title, head, rows)


def tuned_table(tuned: Mapping[str, tuple[float | None, Scores]]) -> Table:
    """One row per fine-tuned classifier: plain pass, the perturbation tuned on, and crops, for each map."""
    rows = []
    for name, (mean_ap, scores) in tuned.items():
        cells = [
            "–" if view == CONTROL else cell(scores.row(f"{of} {view}"))
            for of in MAP_NAMES
            for view in ("plain", name, "crops")
        ]
        rows.append((name, number(mean_ap), *cells))
    columns = (f"{of}, {views}" for of in MAP_NAMES for views in ("plain", "perturbed", "crops"))
    title = "Classifiers fine-tuned on a perturbation: mIoU, oracle τ"
    return Table(title, ("fine-tuned on", "mAP", *columns), rows)


def by_name(perturbations: Sequence[Noise | Mask]) -> dict[str, Perturbation]:
    """Perturbations by the settings in which they differ."""
    return {
        f"{p.distribution} {p.sigma}" if isinstance(p, Noise) else f"mask {p.rate} of {p.block} px": p
        for p in perturbations
    }


def perturbed_recipes(perturbations: Mapping[str, Perturbation]) -> dict[str, Recipe]:
    """Both maps plain, with each perturbation and with crops, all else equal; and variants of saliency."""
    recipes = {"cam": Recipe(source=Source(map="cam"))}
    for of in MAP_NAMES:
        recipes[f"{of} plain"] = smoothed(of)
        for name, perturbation in (*perturbations.items(), ("crops", Crops(n=VIEWS))):
            recipes[f"{of} {name}"] = smoothed(of, perturbation=perturbation)
    smoothgrad = Noise(n=VIEWS)
    if smoothgrad in perturbations.values():
        recipes["saliency squared"] = smoothed("saliency", perturbation=smoothgrad, statistic="square")
        recipes["saliency variance"] = smoothed("saliency", perturbation=smoothgrad, statistic="variance")
    weighted = {"perturbation": Crops(n=VIEWS), "weight": "score", "normalise": True}
    return recipes | {"saliency crops weighted": smoothed("saliency", **weighted)}
