"""CLIP as a classifier that needs no training (Radford et al. 2021, arXiv 2103.00020).

Its head is made of embeddings of sentences about the classes. Its class activations are the same head over
embeddings of places. CLIP was trained to compare one token for the whole image, so for places the last layer
is run with each place attending to itself alone (MaskCLIP; Zhou et al. 2022, arXiv 2112.01071). How good such
maps are was not measured here.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from os import PathLike
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from beyondcam.classifier.model import Activations, Classifier, Network, check_gradient, taking
from beyondcam.classifier.preprocessing import find_input
from beyondcam.errors import BeyondcamError, one_line

PROMPTS = ("a photo of a {}.",)


def transformers() -> Any:
    """The package of this name, an extra. Raises `BeyondcamError` where it is missing."""
    try:
        import transformers as library
    except ImportError:
        raise BeyondcamError("transformers is missing; pip install 'beyondcam[hf]'") from None
    return library


class Places(nn.Module):
    """CLIP's image side: normalised images (B, 3, H, W) → unit embeddings of places (B, D, h, w)."""

    def __init__(self, vision: nn.Module, projection: nn.Module) -> None:
        super().__init__()
        self.vision: Any = vision
        self.projection = projection

    def forward(self, x: Tensor, images: list[Tensor] | None = None) -> Tensor:
        """Unit embeddings of the places; those of the images (B, D) are added to `images`, where given."""
        native = self.vision.config.image_size
        with taking(x):
            seen = self.vision(
                pixel_values=x,
                output_hidden_states=True,
                interpolate_pos_encoding=tuple(x.shape[2:]) != (native, native),
            )
        if images is not None:
            images.append(F.normalize(self.projection(seen.pooler_output), dim=1))
        layer = self.vision.encoder.layers[-1]
        tokens = seen.hidden_states[-2][:, 1:]  # (B, h·w, K), what the last layer reads
        attention = layer.self_attn
        tokens = tokens + attention.out_proj(attention.v_proj(layer.layer_norm1(tokens)))
        tokens = tokens + layer.mlp(layer.layer_norm2(tokens))
        places = self.projection(self.vision.post_layernorm(tokens)).mT  # (B, D, h·w)
        patch = self.vision.config.patch_size
        grid = [side // patch for side in x.shape[2:]]
        return F.normalize(places, dim=1).unflatten(2, grid)


class Clip(Classifier):
    """CLIP as a `Classifier`; `clip` makes it.

    Its scores are CLIP's own logits of the images. They are no mean of its activations: these are the logits
    that places would have.

    Parameters
    ----------
    vision : transformers' image encoder, a `CLIPVisionTransformer`.
    projection : linear, from its width to D.
    embeddings : float (C, D), the unit embeddings of the classes.
    scale : float (), what cosines are multiplied by to be logits.
    classes, mean, std, size : as of `Classifier`.

    Attributes
    ----------
    weight : (C, D, 1, 1), the unit embeddings of the classes.

    """

    def __init__(
        self,
        vision: nn.Module,
        projection: nn.Module,
        embeddings: Tensor,
        scale: Tensor,
        classes: Sequence[str],
        mean: Sequence[float],
        std: Sequence[float],
        size: int,
    ) -> None:
        Network.__init__(self, classes, mean, std, size)
        self.backbone = Places(vision, projection)
        self.weight = nn.Parameter(embeddings[:, :, None, None], requires_grad=False)
        self.scale = nn.Parameter(scale.detach().clone(), requires_grad=False)
        self.bias = None
        self.single_label = True

    @property
    def vision_config(self) -> dict[str, Any]:
        """The settings of its image side, as `empty` takes them."""
        config = cast(Places, self.backbone).vision.config
        return config.to_dict() | {"projection_dim": self.weight.shape[1]}

    @classmethod
    def empty(
        cls,
        config: Mapping[str, Any],
        classes: Sequence[str],
        mean: Sequence[float],
        std: Sequence[float],
        size: int,
    ) -> "Clip":
        """One without weights."""
        library = transformers()
        model = library.CLIPVisionModelWithProjection(library.CLIPVisionConfig(**config)).eval()
        embeddings = torch.zeros(len(classes), model.visual_projection.out_features)
        side = model.vision_model, model.visual_projection
        return cls(*side, embeddings, torch.zeros(()), classes, mean, std, size).eval()

    def forward(self, x: Tensor) -> Activations:
        """Scores and the places' logits of normalised images (B, 3, H, W)."""
        images: list[Tensor] = []
        places = self.backbone(x.to(self.weight.dtype, copy=True), images)
        scores = self.scale * F.linear(images[0], self.weight[:, :, 0, 0])
        check_gradient(x, scores)
        return Activations(scores, self.scale * F.conv2d(places, self.weight))


def clip(
    model: Any,
    classes: Sequence[str],
    prompts: Sequence[str] = PROMPTS,
    *,
    processor: Any = None,
) -> Clip:
    """CLIP as a classifier of the classes that are named, without training.

    Parameters
    ----------
    model
        A folder that transformers saved a CLIP and its processor in, or a `CLIPModel`, which is copied.
    classes
        Names as they are to stand in the prompts.
    prompts
        Sentences with `{}` where the class goes; the mean of their embeddings is taken.
    processor
        The model's `CLIPProcessor`; it is read from the folder where that is given.

    Returns
    -------
    In evaluation mode, on the CPU.

    Raises
    ------
    BeyondcamError
        Where transformers is missing, or the folder holds no such model.

    """
    library = transformers()
    if isinstance(model, str | PathLike):
        try:
            processor = processor or library.AutoProcessor.from_pretrained(model, local_files_only=True)
            model = library.CLIPModel.from_pretrained(model, local_files_only=True)
        except Exception as error:
            raise BeyondcamError(
                f"clip:{model}: no CLIP that transformers reads ({one_line(error)})", parameter="model"
            ) from error
    if not isinstance(model, library.CLIPModel):
        raise BeyondcamError(
            f"a folder or a CLIPModel is needed, not a {type(model).__name__}", parameter="model"
        )
    if processor is None:
        raise BeyondcamError("give the model's CLIPProcessor", parameter="processor")
    if len(classes) < 2:
        raise BeyondcamError(
            "name at least two, since CLIP tells how likely each is among them", parameter="classes"
        )
    if not prompts or not all("{}" in prompt for prompt in prompts):
        raise BeyondcamError("sentences with {} where the class goes are needed", parameter="prompts")
    known = find_input(model, processor=processor)
    mean, std, size = known.or_given(None, None, None)
    model = deepcopy(model).cpu().eval()
    with torch.no_grad():
        sentences = [prompt.replace("{}", name) for name in classes for prompt in prompts]
        tokens = processor(text=sentences, padding=True, truncation=True, return_tensors="pt")
        texts = model.text_projection(model.text_model(**tokens).pooler_output)  # (C·n, D)
        means = F.normalize(texts, dim=1).unflatten(0, (len(classes), len(prompts))).mean(1)
        side = model.vision_model, model.visual_projection
        scale = model.logit_scale.exp()
        return Clip(*side, F.normalize(means, dim=1), scale, classes, mean, std, size).eval()
