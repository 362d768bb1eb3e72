"""Noise, masks and crops at equal cost, on the classifier as trained and on ones tuned on such inputs."""

from collections.abc import Mapping, Sequence

from beyondcam.metrics import Scores, number
from beyondcam.perturbations import Crops, Mask, Noise, Perturbation
from beyondcam.recipes import Recipe, Source
from beyondcam.studies.bench import Bench, smoothed
from beyondcam.studies.finding import Finding, Plot, Table, cell, point, signed

N = 16
"""Views of every perturbation, all at the training size: the same megapixels."""

SIGMAS = (0.05, 0.15, 0.3)
RATES = (0.1, 0.3, 0.5)
BLOCKS = (4, 8, 16)
NOISES: list[Noise | Mask] = [
    *(Noise(n=N, sigma=sigma) for sigma in SIGMAS),
    Noise(n=N, sigma=0.15, distribution="uniform"),
    Noise(n=N, sigma=0.15, distribution="salt-and-pepper"),
]
MASKS: list[Noise | Mask] = [Mask(n=N, rate=rate, block=block) for rate in RATES for block in BLOCKS]
TUNED: list[Noise | Mask] = [*NOISES, *(Mask(n=N, rate=rate) for rate in RATES)]
"""What a classifier of its own is tuned on."""

FEW: list[Noise | Mask] = [Noise(n=N, sigma=0.15), Mask(n=N, rate=0.3)]
"""Of these, those on a small budget."""

CONTROL = "nothing"
"""Tuned as long as the others, on inputs as they are: else what is only trained longer would look better."""

SHARE = 4
"""Tuning takes one SHARE-th of the epochs that the classifier was trained for."""

MAPS = ("saliency", "cam")


def perturbations(bench: Bench) -> Finding:
    """Every perturbation for saliency and for CAM; some also on a classifier tuned on such inputs."""
    subject = bench.subject()
    settings = named(NOISES) | named(MASKS)
    recipes = recipes_of(settings)
    scores = bench.scored(subject, bench.mapped(subject, recipes))
    chosen = named(TUNED if bench.budget.dear else FEW)
    tuned: dict[str, tuple[float | None, Scores]] = {}
    for name, setting in ({CONTROL: None} | chosen).items():
        own = bench.trained(
            f"tuned-{name.replace(' ', '-')}", perturb=setting, start=subject.run, weights=None,
            epochs=max(1, bench.config.epochs // SHARE),
        )  # fmt: skip
        found = bench.mapped(own, recipes_of({name: setting} if setting else {}))
        tuned[name] = own.mean_ap, bench.scored(own, found)

    best = max(settings, key=lambda name: scores.row(f"saliency {name}").miou)
    best_tuned = max(chosen, key=lambda name: tuned[name][1].row(f"saliency {name}").miou)
    of_tuned, winner = tuned[best_tuned][1], f"saliency {best_tuned}"
    over = {of: signed(scores.difference("saliency crops", of)) for of in (f"saliency {best}", "cam crops")}
    gains = {of: signed(of_tuned.difference(winner, of)) for of in ("saliency plain", "saliency crops")}
    statement = (
        f"On {bench.notes['images']} images, {N} views each and nothing weighted or divided: crops of "
        f"saliency less the best noise or mask on the classifier as trained ({best}) is "
        f"{over[f'saliency {best}']} mIoU, less crops of CAM {over['cam crops']}. On a classifier tuned on "
        f"such inputs the best perturbation ({best_tuned}) reaches {cell(of_tuned.row(winner))}: "
        f"less that classifier's one plain pass {gains['saliency plain']}, less its crops "
        f"{gains['saliency crops']}; crops on one tuned as long without any reach "
        f"{cell(tuned[CONTROL][1].row('saliency crops'))} (oracle τ; the best are picked on the scored "
        "images, which flatters them)."
    )
    by_sigma = Plot(
        "Gaussian noise on the classifier as trained: mIoU over σ", "σ", "mIoU",
        {of: [point(s, scores.row(f"{of} gaussian {s}")) for s in SIGMAS] for of in MAPS},
    )  # fmt: skip
    by_rate = Plot(
        "Masks, saliency, the classifier as trained: mIoU over the rate", "share of blocks dropped", "mIoU",
        {
            f"blocks of {b} px": [point(r, scores.row(f"saliency mask {r} of {b} px")) for r in RATES]
            for b in BLOCKS
        },
    )  # fmt: skip
    return Finding(statement, (untuned_table(scores, recipes), tuned_table(tuned)), (by_sigma, by_rate))


def untuned_table(scores: Scores, recipes: Mapping[str, Recipe]) -> Table:
    """Every recipe on the classifier as trained."""
    rows = []
    for name in recipes:
        plain = f"{name.partition(' ')[0]} plain"
        less = signed(scores.difference(name, plain)) if " " in name and name != plain else "–"
        row = scores.row(name)
        rows.append((name, *(cell(row, metric) for metric in ("miou", "ndr_recall", "fg_precision")), less))
    head = ("map and perturbation", "mIoU", "NDR-Recall", "FG-Precision", "mIoU less the map's plain pass")
    return Table(f"As trained; {N} views (plain: 1), smoothed but for cam, oracle τ", head, rows)


def tuned_table(tuned: Mapping[str, tuple[float | None, Scores]]) -> Table:
    """A row a tuned classifier: each map's plain pass, that perturbation, and crops."""
    rows = []
    for name, (mean_ap, scores) in tuned.items():
        cells = [
            "–" if what == CONTROL else cell(scores.row(f"{of} {what}"))
            for of in MAPS
            for what in ("plain", name, "crops")
        ]
        rows.append((name, number(mean_ap), *cells))
    columns = (f"{of}, {what}" for of in MAPS for what in ("plain", "so perturbed", "crops"))
    return Table("Classifiers tuned on a perturbation: mIoU, oracle τ", ("tuned on", "mAP", *columns), rows)


def named(settings: Sequence[Noise | Mask]) -> dict[str, Perturbation]:
    """The perturbations by what tells them apart."""
    names: dict[str, Perturbation] = {}
    for p in settings:
        own = f"{p.distribution} {p.sigma}" if isinstance(p, Noise) else f"mask {p.rate} of {p.block} px"
        names[own] = p
    return names


def recipes_of(perturbed: Mapping[str, Perturbation]) -> dict[str, Recipe]:
    """Each perturbation and crops for both maps, alike in all else; SmoothGrad's relatives; plain maps."""
    recipes = {"cam": Recipe(source=Source(map="cam"))}
    for of in MAPS:
        recipes[f"{of} plain"] = smoothed(of)
        for name, perturbation in (*perturbed.items(), ("crops", Crops(n=N))):
            recipes[f"{of} {name}"] = smoothed(of, perturbation=perturbation)
    usual = Noise(n=N)
    if usual in perturbed.values():
        recipes["saliency squared"] = smoothed("saliency", perturbation=usual, statistic="square")
        recipes["saliency variance"] = smoothed("saliency", perturbation=usual, statistic="variance")
    weighted = {"weight": "score", "normalise": True}
    return recipes | {"saliency crops weighted": smoothed("saliency", perturbation=Crops(n=N), **weighted)}
