"""Image classifiers of transformers, wrapped: small ones with random weights, made from their settings."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from beyondcam.classifier import adopt_network, load_classifier, wrap
from conftest import complaint

transformers = pytest.importorskip("transformers", reason="transformers (the extra hf) is not installed")

NAMES = {"id2label": {0: "a", 1: "b", 2: "c"}, "label2id": {"a": 0, "b": 1, "c": 2}}
VIT = {
    "image_size": 64,
    "patch_size": 16,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 48,
}

NETWORKS: list[tuple[str, dict[str, Any], str | None]] = [
    ("ResNet", {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]}, None),
    ("RegNet", {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "groups_width": 4}, None),
    ("ConvNext", {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]}, None),
    (
        "Swin",
        {"image_size": 64, "embed_dim": 16, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4},
        None,
    ),
    ("PoolFormer", {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1]}, None),
    ("MobileNetV2", {"image_size": 64, "depth_multiplier": 0.35}, None),
    ("Beit", VIT | {"use_mean_pooling": True}, None),
    ("ViT", VIT, "one token"),
    ("DeiT", VIT, "one token"),
]


def network(kind: str, settings: dict[str, Any]) -> Any:
    """In float64, with weights and statistics that no default has."""
    torch.manual_seed(0)
    net = getattr(transformers, f"{kind}ForImageClassification")(
        getattr(transformers, f"{kind}Config")(**settings, **NAMES)
    ).double()
    for name, tensor in net.state_dict().items():
        if tensor.is_floating_point():
            tensor.add_(torch.randn_like(tensor).abs() if name.endswith("running_var") else
                        0.05 * torch.randn_like(tensor))  # fmt: skip
    return net.train()


@pytest.mark.parametrize(("kind", "settings", "reason"), NETWORKS, ids=[kind for kind, *_ in NETWORKS])
def test_scores_are_the_networks_own_and_activations_add_up_to_them(
    kind: str, settings: dict[str, Any], reason: str | None
) -> None:
    net = network(kind, settings)
    classifier = wrap(net, mean=(0.5,) * 3, std=(0.5,) * 3, size=64)
    assert classifier.classes == ("a", "b", "c")
    assert net.training
    x = torch.randn(2, 3, 64, 64, dtype=torch.float64, requires_grad=True)
    scores, activations = classifier(x)
    torch.testing.assert_close(scores, net.eval()(x).logits)
    (gradient,) = torch.autograd.grad(scores[:, 1].sum(), x)
    assert float(gradient.abs().sum()) > 0
    if reason:
        complaint(lambda: activations[0], "cam", reason)
    else:
        bias = (scores - activations.mean((2, 3))).detach()
        torch.testing.assert_close(*bias)
        assert activations.shape[2] > 1


def test_a_processor_tells_mean_std_and_size() -> None:
    processor = transformers.ViTImageProcessor(
        size={"height": 48, "width": 48}, image_mean=[0.1, 0.2, 0.3], image_std=[0.3, 0.2, 0.1]
    )
    classifier = wrap(network("ViT", VIT | {"image_size": 48}), processor=processor)
    assert classifier.size == 48
    torch.testing.assert_close(classifier.mean.flatten(), torch.tensor([0.1, 0.2, 0.3]))
    picture = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    theirs = processor(images=Image.fromarray(picture), return_tensors="pt")["pixel_values"][0]
    ours = classifier.normalise(torch.from_numpy(picture).permute(2, 0, 1))
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_a_saved_network_becomes_a_run(tmp_path: Path) -> None:
    net = network("ConvNext", {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]}).float()
    net.save_pretrained(tmp_path / "hf")
    complaint(lambda: adopt_network(tmp_path / "run", f"hf:{tmp_path / 'hf'}"), "mean", "give")
    transformers.ConvNextImageProcessor(size={"shortest_edge": 384}).save_pretrained(tmp_path / "hf")
    adopt_network(tmp_path / "run", f"hf:{tmp_path / 'hf'}", size=64)
    classifier = load_classifier(tmp_path / "run")
    assert (classifier.classes, classifier.size) == (("a", "b", "c"), 64)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(classifier(x).scores, net.eval()(x).logits)
    complaint(lambda: adopt_network(tmp_path / "other", f"hf:{tmp_path / 'missing'}"), "model", "missing")
