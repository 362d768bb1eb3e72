"""The engine against a loop over single views, and what it counts."""

import math
from typing import Literal

import pytest
import torch
import torch.nn.functional as F

from beyondcam.classifier import Classifier
from beyondcam.data import Photo
from beyondcam.maps import Captum, Forward, GradCAM, InputXGradient, Map, Needs, Saliency, run_forward
from beyondcam.perturbations import Crops, LinearPath, Mask, Noise, Plain, Rise, Scales
from beyondcam.recipes import Item, Recipe, Source, map_items
from beyondcam.refinements import Affinity
from conftest import complaint
from networks import affinities_of, photo, targets, tiny

GRADIENT = Saliency().needs


def naive(classifier: Classifier, item: Item, source: Source, seed: int = 0) -> torch.Tensor:
    """A source's maps, one view and one target after the other."""
    height, width = item.photo.height, item.photo.width
    total = torch.zeros(len(item.targets), height, width)
    squares = torch.zeros(len(item.targets), height, width)
    covered = torch.zeros(height, width)
    for view in source.perturbation.views(item.id, height, width, classifier.size, seed):
        top, left, bottom, right = view.window
        cut = item.photo.pixels[None, :, top:bottom, left:right]
        small = F.interpolate(cut, (view.size, view.size), mode="bilinear", antialias=True)
        x = (small.float() / 255 - 0.5) / 0.5
        x = x.flip(-1) if view.flip else x
        x = view.alter(x[0])[None] if view.alter else x
        x = x * view.mask if view.mask is not None else x
        for k, c in enumerate(item.targets):
            x = x.detach().requires_grad_(True)
            scores, activations = classifier(x)
            gradient = torch.autograd.grad(scores[0, c], x)[0][0]
            found = {
                "cam": activations[0, c].detach().clamp_min(0),
                "saliency": gradient.abs().max(0).values,
                "input-x-gradient": (gradient * x.detach()[0]).sum(0),
                "visible": torch.ones(view.size, view.size) if view.mask is None else view.mask,
            }[source.map.kind]
            if source.normalise:
                found = found / found.abs().mean()
            probability = (scores[0].softmax(0) if classifier.single_label else scores[0].sigmoid()).detach()
            if source.weight == "score":
                found = found * probability[c]
            if source.weight == "share":
                found = found * probability[c] / sum(probability[t] for t in item.targets)
            found = found * view.factor
            found = found.flip(-1) if view.flip else found
            size = (bottom - top, right - left)
            back = F.interpolate(found[None, None], size, mode="bilinear", antialias=True)[0, 0]
            total[k, top:bottom, left:right] += back
            squares[k, top:bottom, left:right] += back * back
        covered[top:bottom, left:right] += 1
    mean, square = total / covered.clamp_min(1), squares / covered.clamp_min(1)
    return {"mean": mean, "square": square, "variance": square - mean * mean}[source.statistic]


SOURCES = [
    Source(map="cam"),
    Source(map="cam", perturbation=Scales()),
    Source(map="saliency"),
    Source(map="saliency", perturbation=Noise(n=3)),
    Source(map="cam", perturbation=Crops(n=7), weight="score"),
    Source(map="saliency", perturbation=Crops(n=7), weight="score", normalise=True),
    Source(map="saliency", perturbation=Crops(n=7, aspect="square")),
    Source(map="saliency", perturbation=Crops(n=3), weight="score", normalise=True),  # the first of the 7
    Source(map="saliency", perturbation=Crops(n=7), weight="share"),
    Source(map="saliency", perturbation=Noise(n=3), statistic="square"),
    Source(map="saliency", perturbation=Noise(n=5), statistic="variance"),
    Source(map="cam", perturbation=Crops(n=7), statistic="variance"),
    Source(map="input-x-gradient", perturbation=LinearPath(steps=3)),
    Source(map="input-x-gradient", perturbation=Crops(n=7), weight="score", normalise=True),
    Source(map="input-x-gradient", perturbation=Noise(n=5), statistic="square"),
    Source(map="visible", perturbation=Rise(n=6), weight="score"),
    Source(map="visible", perturbation=Mask(n=4), weight="share"),
    Source(map="visible", perturbation=Crops(n=3), weight="score"),
]


@pytest.mark.parametrize("single_label", [False, True])
@pytest.mark.parametrize("batch", [1, 5])
def test_the_engine_agrees_with_a_naive_loop(batch: int, single_label: bool) -> None:
    classifier = tiny(single_label=single_label)
    items = [
        Item("a", photo(40, 56), (2, 0)),
        Item("b", photo(64, 30, 1), (1,)),
        Item("empty", photo(20, 20, 2), ()),
        Item("c", photo(33, 33, 3), (0, 1, 2)),
    ]
    recipes = {str(n): Recipe(source=source) for n, source in enumerate(SOURCES)}
    for item, results in zip(items, map_items(classifier, items, recipes, batch=batch), strict=True):
        for name, result in results.items():
            source = SOURCES[int(name)]
            expected = naive(classifier, item, source)
            if source.statistic == "variance":  # a difference: as exact as what it is taken of
                scale = naive(classifier, item, source.model_copy(update={"statistic": "square"}))
            else:
                scale = expected
            largest = scale.abs().max().item() if item.targets else 0
            torch.testing.assert_close(
                result.maps, expected.clamp_min(0), rtol=0, atol=1e-5 * largest + 1e-12
            )


def test_views_that_do_not_differ_have_no_variance() -> None:
    item = Item("a", photo(40, 56), (0, 2))
    still = Noise(n=3, sigma=0.0)
    recipes = {
        "variance": Recipe(source=Source(map="saliency", perturbation=still, statistic="variance")),
        "square": Recipe(source=Source(map="saliency", perturbation=still, statistic="square")),
        "plain": Recipe(source=Source(map="saliency")),
    }
    (maps,) = map_items(tiny(), [item], recipes)
    square = maps["plain"].maps ** 2
    torch.testing.assert_close(maps["square"].maps, square)
    assert maps["variance"].maps.max() <= 1e-6 * square.max()


def test_one_crop_of_everything_is_the_plain_map_times_its_score() -> None:
    classifier = tiny()
    item = Item("a", photo(), (0, 2))
    whole = Crops(n=1, scale=(1.0, 1.0), size=1.0)
    recipes = {
        "crop": Recipe(source=Source(map="saliency", perturbation=whole, weight="score")),
        "plain": Recipe(source=Source(map="saliency")),
    }
    (results,) = map_items(classifier, [item], recipes)
    x = classifier.normalise(next(Plain().views("a", 40, 56, 32, 0)).cut(item.photo.pixels))[None]
    weight = classifier(x).scores[0, [0, 2]].sigmoid()[:, None, None]
    torch.testing.assert_close(results["crop"].maps, results["plain"].maps * weight.detach())


def test_the_engine_hands_affinities_to_the_refinement_that_asks_for_them() -> None:
    classifier, item = tiny(), Item("a", photo(), (2, 0))
    asking = Affinity(size=48)
    recipes = {"cam": Recipe(source=Source(map="cam"))}
    recipes["refined"] = recipes["cam"].model_copy(update={"refine": (asking,)})
    fine = Source(map="cam", perturbation=Plain(size=48))
    recipes |= {"fine": Recipe(source=fine), "fine refined": Recipe(source=fine, refine=(asking,))}
    (results,) = map_items(classifier, [item], recipes)
    x = classifier.normalise(next(Plain(size=48).views("a", 40, 56, 32, 0)).cut(item.photo.pixels))[None]
    alike = affinities_of(classifier, x)[0].half()
    by_hand = asking(item.photo, results["cam"].maps, alike)
    torch.testing.assert_close(results["refined"].maps, by_hand)
    torch.testing.assert_close(results["fine refined"].maps, asking(item.photo, results["fine"].maps, alike))
    assert not torch.allclose(by_hand, results["cam"].maps / results["cam"].maps.amax((1, 2), keepdim=True))
    assert results["refined"].cost.forward == 2
    assert results["refined"].cost.megapixels == pytest.approx((32**2 + 48**2) / 1e6)
    assert results["fine refined"].cost.forward == 1  # one pass gives the map and the affinities
    assert results["fine refined"].cost.megapixels == pytest.approx(48**2 / 1e6)


def test_cost_counts_shared_passes_once() -> None:
    crops = Crops(n=4, size=32)
    recipes = {
        "both": Recipe(
            combine="mean",
            of=(
                Recipe(source=Source(map="saliency", perturbation=crops)),
                Recipe(source=Source(map="cam", perturbation=crops)),
            ),
        ),
        "cam": Recipe(source=Source(map="cam", perturbation=crops)),
        "twice": Recipe(
            combine="mean",
            of=(
                Recipe(source=Source(map="saliency", perturbation=crops)),
                Recipe(source=Source(map="saliency", perturbation=crops, normalise=True)),
            ),
        ),
    }
    nested = Recipe(source=Source(map="saliency", perturbation=Crops(n=3, size=32)))
    recipes |= {"three": nested, "nested": Recipe(combine="mean", of=(nested, recipes["twice"]))}
    (results,) = map_items(tiny(), [Item("a", photo(), (0, 1))], recipes, batch=3)
    assert (results["three"].cost.forward, results["three"].cost.backward) == (3, 6)
    assert (results["nested"].cost.forward, results["nested"].cost.backward) == (4, 8)
    assert (results["twice"].cost.forward, results["twice"].cost.backward) == (4, 8)
    cost = results["both"].cost
    assert (cost.forward, cost.backward) == (4, 8)
    assert cost.megapixels == pytest.approx(12 * 32 * 32 / 1e6)
    assert (results["cam"].cost.forward, results["cam"].cost.backward) == (4, 0)


class TimesInput(Map):
    kind: str = "times-input"

    @property
    def needs(self) -> Needs:
        return GRADIENT

    def __call__(self, forward: Forward) -> torch.Tensor:
        maps = forward.inputs.new_empty(len(forward.rows), *forward.inputs.shape[2:])
        for pairs, gradient in forward.gradients():
            maps[pairs] = (gradient * forward.inputs[forward.rows[pairs]]).detach().abs().amax(1)
        return maps


def test_several_maps_may_ask_for_gradients() -> None:
    items = [Item("a", photo(), (0, 2)), Item("b", photo(seed=1), (1,))]
    crops = Crops(n=3)
    recipes = {m.kind: Recipe(source=Source(map=m, perturbation=crops)) for m in (Saliency(), TimesInput())}
    for results, *alone in zip(
        map_items(tiny(), items, recipes),
        *(map_items(tiny(), items, {name: recipe}) for name, recipe in recipes.items()),
        strict=True,
    ):
        for (name, result), own in zip(results.items(), alone, strict=True):
            assert torch.equal(result.maps, own[name].maps)
            assert result.cost.backward == own[name].cost.backward == 3 * len(result.maps)


def test_views_that_nest_are_shown_to_the_network_once() -> None:
    classifier = tiny()
    shown = []
    classifier.backbone.register_forward_hook(lambda _, inputs, __: shown.append(len(inputs[0])))
    sources = [Source(map="saliency", perturbation=Crops(n=n)) for n in (1, 4, 9)]
    list(
        map_items(
            classifier, [Item("a", photo(), (0,))], {str(s): Recipe(source=s) for s in sources}, batch=4
        )
    )
    assert sum(shown) == 9


def inputs_of(classifier: Classifier, image: Photo) -> torch.Tensor:
    """A photo of the network's own size, as it is shown: (1, 3, S, S)."""
    return classifier.normalise(image.pixels)[None]


def test_integrated_gradients_add_up_to_the_score_less_that_of_the_mean_colour() -> None:
    """In float64, with signs, straight from the views; the midpoint rule's error falls with steps²."""
    classifier = tiny(bias=True).double()
    x = inputs_of(classifier, photo(32, 32)).double()
    errors = []
    for steps in (8, 32):
        views = LinearPath(steps=steps).views("a", 32, 32, 32, 0)
        total = torch.zeros(1, 32, 32, dtype=torch.float64)
        for view in views:
            forward = run_forward(classifier, view.altered(x[0])[None], targets([2]), InputXGradient().needs)
            total += InputXGradient()(forward) * view.factor / steps
        expected = classifier(x).scores[0, 2] - classifier(torch.zeros_like(x)).scores[0, 2]
        errors.append(abs(total.sum().item() - expected.item()) / abs(expected.item()))
    assert errors[0] < 1e-3
    assert errors[1] < errors[0] / 10


def test_integrated_gradients_equal_captum() -> None:
    attr = pytest.importorskip("captum.attr", reason="captum is not installed: the extra `captum`")
    classifier, image = tiny(), photo(32, 32)
    x = inputs_of(classifier, image)
    source = Source(map="input-x-gradient", perturbation=LinearPath(steps=20))
    (results,) = map_items(classifier, [Item("a", image, (0, 2))], {"ig": Recipe(source=source)})
    peer = attr.IntegratedGradients(lambda y: classifier(y).scores)
    for method, steps in (("riemann_middle", 20), ("gausslegendre", 50)):
        for c, found in zip((0, 2), results["ig"].maps, strict=True):
            theirs = peer.attribute(x.clone(), target=c, n_steps=steps, method=method).detach()
            theirs = theirs[0].sum(0).clamp_min(0).float()
            torch.testing.assert_close(found, theirs, rtol=0, atol=1e-4 * theirs.max().item())
    assert results["ig"].cost.forward == 20
    assert results["ig"].cost.backward == 40


def test_rise_is_the_papers_sum_over_its_masks() -> None:
    """Σ_i s(x ⊙ m_i) m_i / (n · E[m]), mask by mask."""
    classifier, image, rise = tiny(), photo(32, 32), Rise(n=40, rate=0.3)
    x = inputs_of(classifier, image)
    recipe = Recipe(source=Source(map="visible", perturbation=rise, weight="score"))
    (results,) = map_items(classifier, [Item("a", image, (1, 0))], {"rise": recipe}, batch=7)
    total = torch.zeros(2, 32, 32)
    for view in rise.views("a", 32, 32, 32, 0):
        scores = classifier(x * view.mask).scores[0].detach().sigmoid()
        total += scores[[1, 0], None, None] * view.mask / (40 * 0.3)
    torch.testing.assert_close(results["rise"].maps, total, rtol=1e-5, atol=1e-6)
    cost = results["rise"].cost
    assert (cost.forward, cost.backward) == (40, 0)


def test_a_map_of_a_layer_goes_through_the_engine_as_any_other() -> None:
    classifier, image = tiny(), photo(32, 32)
    setting = {"kind": "gradcam", "layer": "0"}
    (results,) = map_items(classifier, [Item("a", image, (2, 0))], {"g": Recipe(source=Source(map=setting))})
    gradcam = GradCAM(layer="0")
    maps = gradcam(run_forward(classifier, inputs_of(classifier, image), targets([0, 2]), gradcam.needs))
    expected = F.interpolate(maps.flip(0)[None], (32, 32), mode="bilinear", antialias=True)[0]
    torch.testing.assert_close(results["g"].maps, expected)
    assert (results["g"].cost.forward, results["g"].cost.backward) == (1, 2)


class Wrong(Map):
    """Gives what no map may give."""

    kind: Literal["wrong"] = "wrong"
    how: str

    def __call__(self, forward: Forward) -> torch.Tensor:
        maps = torch.ones(len(forward.rows), 2, 2)
        made = {"nan": maps * math.nan, "short": maps[:-1], "flat": maps[:, 0]}
        return made[self.how]


def test_a_map_that_gives_no_map_is_named_and_the_network_is_where_its_scores_are_none() -> None:
    classifier, item = tiny(), Item("a", photo(), (0, 2))

    def mapped(how: str) -> None:
        list(map_items(classifier, [item], {"": Recipe(source=Source(map=Wrong(how=how)))}))

    complaint(lambda: mapped("short"), "map wrong: gives (1, 2, 2); (2, h, w) is needed")
    complaint(lambda: mapped("flat"), "map wrong: gives (2, 2)")
    complaint(lambda: mapped("nan"), "a: the map wrong gives NaN")
    with torch.no_grad():
        classifier.weight.fill_(math.inf)
    complaint(lambda: mapped("nan"), "a: the network gives NaN")
    centre = Recipe(source=Source(map="centre"))  # whose numbers are right whatever the network's
    complaint(lambda: list(map_items(classifier, [item], {"": centre})), "a: the network gives NaN")


def test_passes_that_captum_makes_are_part_of_the_cost() -> None:
    pytest.importorskip("captum.attr", reason="captum is not installed: the extra `captum`")
    setting = Captum(method="IntegratedGradients", options={"n_steps": 5})
    recipe = Recipe(source=Source(map=setting))
    items = [Item("a", photo(), (0, 2)), Item("b", photo(), (1,))]
    first, second = (results["ig"] for results in map_items(tiny(), items, {"ig": recipe}))
    assert (first.cost.forward, first.cost.backward) == (1 + 2 * 5, 2 * 5)
    assert (second.cost.forward, second.cost.backward) == (1 + 5, 5)
    assert second.cost.megapixels == pytest.approx(11 * 32 * 32 / 1e6)


def test_maps_are_made_without_tf32_and_with_cudnn() -> None:
    """`cudnn.flags(allow_tf32=False)` would switch cuDNN off."""
    cudnn, seen = torch.backends.cudnn, []

    def flags() -> tuple[bool, bool]:
        """Whether cuDNN is on, and TF32 in its convolutions, as newer torch says it and as older does."""
        return cudnn.enabled, cudnn.conv.fp32_precision == "tf32" if hasattr(
            cudnn, "conv"
        ) else cudnn.allow_tf32

    class Look(Map):
        kind: Literal["look"] = "look"

        def __call__(self, forward: Forward) -> torch.Tensor:
            seen.append(flags())
            return forward.scores.new_ones(len(forward.rows), 2, 2)

    before = flags()
    list(map_items(tiny(), [Item("a", photo(), (0,))], {"look": Recipe(source=Source(map=Look()))}))
    assert seen == [(before[0], False)]
    assert flags() == before
