"""CLIP as a classifier: transformers' own logits, and a slow plain version of its maps."""

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

import beyondcam as bc
from beyondcam.classifier import adopt_network, load_classifier
from beyondcam.maps.affinity import AFFINITY_NEEDS, affinities
from beyondcam.maps.forward import run_forward
from conftest import complaint

transformers = pytest.importorskip("transformers", reason="transformers (the extra hf) is not installed")

CLASSES = ["cat", "dog", "car"]
PROMPT = "a photo of a {}."


class Processor:
    """Words as numbers, and a picture's pixels as CLIP takes them: no vocabulary can be had."""

    class Images:
        def __call__(self, images: Any, return_tensors: str) -> dict[str, torch.Tensor]:
            import numpy as np

            pixels = torch.from_numpy(np.array(images.resize((32, 32)))).permute(2, 0, 1)[None] / 255
            return {"pixel_values": (pixels - 0.4) / 0.25}

    def __init__(self) -> None:
        self.image_processor = self.Images()

    def __call__(self, text: list[str], **_: Any) -> dict[str, torch.Tensor]:
        words = [[1, *(3 + sum(map(ord, word)) % 90 for word in sentence.split()), 2] for sentence in text]
        longest = max(map(len, words))
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in words])
        return {"input_ids": ids, "attention_mask": (ids > 0).long()}


@pytest.fixture
def model() -> Any:
    torch.manual_seed(0)
    sides = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    vision = sides | {"image_size": 32, "patch_size": 8}
    text = sides | {"vocab_size": 100, "max_position_embeddings": 16, "eos_token_id": 2, "bos_token_id": 1,
                    "pad_token_id": 0}  # fmt: skip
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)
    net = transformers.CLIPModel(config)
    for parameter in net.parameters():
        if parameter.ndim:
            parameter.data += 0.05 * torch.randn_like(parameter)
    return net.eval()


def test_scores_are_transformers_own_logits(model: Any) -> None:
    classifier = bc.clip(model, CLASSES, [PROMPT], processor=Processor())
    assert (classifier.size, classifier.single_label) == (32, True)
    torch.testing.assert_close(classifier.mean.flatten(), torch.full((3,), 0.4))
    x = torch.randn(2, 3, 32, 32)
    tokens = Processor()([PROMPT.format(name) for name in CLASSES])
    with torch.no_grad():
        expected = model(pixel_values=x, **tokens).logits_per_image
        torch.testing.assert_close(classifier(x).scores, expected)


def test_activations_are_the_texts_at_places_that_attend_to_themselves(model: Any) -> None:
    """Place by place, with the last layer's attention worked out for one token alone."""
    classifier = bc.clip(model, CLASSES, [PROMPT], processor=Processor())
    x = torch.randn(1, 3, 32, 32)
    tokens = Processor()([PROMPT.format(name) for name in CLASSES])
    with torch.no_grad():
        activations = classifier(x).activations
        assert activations.shape == (1, 3, 4, 4)
        seen = model.vision_model(pixel_values=x, output_hidden_states=True)
        texts = model.text_projection(model.text_model(**tokens).pooler_output)
        texts = texts / texts.norm(dim=1, keepdim=True)
        for row, column in ((0, 0), (1, 3), (3, 2)):
            token = seen.hidden_states[1][
                :, [1 + 4 * row + column]
            ]  # (1, 1, 32): softmax over one token is 1
            layer = model.vision_model.encoder.layers[1]
            out = layer(token, attention_mask=None)
            out = out[0] if isinstance(out, tuple) else out
            place = model.visual_projection(model.vision_model.post_layernorm(out[0, 0]))
            expected = model.logit_scale.exp() * texts @ (place / place.norm())
            torch.testing.assert_close(activations[0, :, row, column], expected, rtol=1e-4, atol=1e-4)


def test_affinities_are_of_the_places_embeddings(model: Any) -> None:
    classifier = bc.clip(model, CLASSES, processor=Processor())
    x = torch.randn(1, 3, 32, 32)
    forward = run_forward(classifier, x, torch.zeros(1, 3, dtype=torch.bool), AFFINITY_NEEDS)
    with torch.no_grad():
        places = classifier.backbone(x)
    torch.testing.assert_close(forward.conv_inputs[-1], places)
    grid = F.interpolate(places, (8, 8), mode="bilinear", antialias=True).flatten(2)[0]
    unit = F.normalize(grid - grid.mean(1, keepdim=True), dim=0)
    torch.testing.assert_close(affinities(forward)[0], (unit.T @ unit).clamp(1e-4, 1), rtol=1e-3, atol=1e-4)


def test_several_prompts_are_averaged(model: Any) -> None:
    several = [PROMPT, "a drawing of a {}"]
    classifier = bc.clip(model, CLASSES, several, processor=Processor())
    each = [bc.clip(model, CLASSES, [prompt], processor=Processor()).weight for prompt in several]
    mean = (each[0] + each[1]) / 2
    torch.testing.assert_close(classifier.weight, mean / mean.norm(dim=1, keepdim=True))
    assert not torch.allclose(classifier.weight, each[0], atol=1e-3)
    bc.clip(model, CLASSES, ["{} and no {other} braces: {"], processor=Processor())  # these are words


def test_every_map_and_size_works_and_the_model_is_left_alone(model: Any) -> None:
    before = {key: value.clone() for key, value in model.state_dict().items()}
    classifier = bc.clip(model, CLASSES, processor=Processor())
    image = torch.rand(3, 40, 56)
    for recipe in ("cam", "saliency", "cam-ms", "crops", "fast", "best"):
        maps = bc.map_image(classifier, image, ["dog"], recipe)
        assert maps.shape == (1, 40, 56)
        assert maps.isfinite().all()
    for network in (classifier, bc.folded(classifier)):
        complaint(lambda c=network: bc.map_image(c, image, ["dog"], "gradcam"), "no function of", "layer")
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_run_of_it_needs_no_text_any_more(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "clip"
    model.save_pretrained(folder)
    monkeypatch.setattr(transformers.AutoProcessor, "from_pretrained", lambda *_, **__: Processor())
    classifier = adopt_network(
        tmp_path / "run", f"clip:{folder}", CLASSES, prompts=[PROMPT], log=lambda _: None
    )
    again = load_classifier(tmp_path / "run")
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        for ours, theirs in zip(again(x), classifier(x), strict=True):
            assert torch.equal(ours, theirs)
        expected = bc.clip(model, CLASSES, [PROMPT], processor=Processor())(x).scores
        torch.testing.assert_close(again(x).scores, expected)
    complaint(lambda: adopt_network(tmp_path / "x", f"clip:{folder}"), "classes")


def test_what_is_no_clip_is_one_line(model: Any, tmp_path: Path) -> None:
    complaint(lambda: bc.clip(tmp_path, CLASSES), "model", str(tmp_path))
    complaint(lambda: bc.clip(torch.nn.Linear(1, 1), CLASSES), "model", "Linear")
    complaint(lambda: bc.clip(model, CLASSES), "processor")
    complaint(lambda: bc.clip(model, CLASSES, ["a cat"], processor=Processor()), "prompts", "{}")
    complaint(lambda: bc.clip(model, ["cat"], processor=Processor()), "classes", "at least two")
    complaint(lambda: bc.clip(model, ["cat", "cat"], processor=Processor()), "classes", "twice")
