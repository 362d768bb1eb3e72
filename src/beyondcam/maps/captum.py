"""Any attribution of captum (Kokhlikyan et al. 2020, arXiv 2009.07896), through the extra `captum`."""

import inspect
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from beyondcam.errors import BeyondcamError, one_line
from beyondcam.maps.base import Map
from beyondcam.maps.forward import Forward, Needs


class Captum(Map):
    """An attribution of `captum.attr` by its name, with its channels added up.

    Captum makes its own passes, besides the one that the other maps share; they are counted. Methods that
    draw at random make the same draws in every batch, so the result depends on the batch.

    Parameters
    ----------
    method : a class of `captum.attr` such as "IntegratedGradients", "Occlusion" or "LayerGradCam".
    layer : for methods that take one: the name of a module of the backbone, as in `LayerMap`.
    options : arguments of the method's `attribute`; lists stand for tuples.
    channels : "sum" over channels, or their "max".

    Examples
    --------
    In a recipes file::

        map = { kind = "captum", method = "Occlusion", options = { sliding_window_shapes = [3, 15, 15] } }

    >>> import torch
    >>> import beyondcam as bc
    >>> classifier, inputs = bc.imagenet_classifier(), torch.rand(1, 3, 96, 96)
    >>> saliency = bc.maps.Captum(method="Saliency", channels="max")
    >>> bc.map_batch(classifier, inputs, ["golden retriever"], saliency).shape
    torch.Size([1, 96, 96])

    """

    kind: Literal["captum"] = "captum"
    method: str
    layer: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    channels: Literal["sum", "max"] = "sum"

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    @model_validator(mode="after")
    def _known(self) -> Self:
        takes_layer = "layer" in _parameters(_attributions(self.method))
        if takes_layer != (self.layer is not None):
            raise ValueError(f"layer: {self.method} takes {'the name of one' if takes_layer else 'none'}")
        return self

    @property
    def needs(self) -> Needs:
        """The network's modules: some methods change what they do."""
        return Needs(modules=True)

    def __call__(self, forward: Forward) -> Tensor:
        """Maps (P, h, w) at the resolution of the input or of the layer."""
        inputs = forward.inputs.detach()[forward.rows].requires_grad_()  # (P, 3, H, W)
        layer = () if self.layer is None else (forward.module(self.layer),)
        options = {name: _as_tuple(value) for name, value in self.options.items()}
        try:
            with _quiet_and_seeded(inputs.device):
                method = _attributions(self.method)(forward.score_model(), *layer)
                attribution = method.attribute(inputs, target=forward.columns.to(inputs.device), **options)
        except torch.cuda.OutOfMemoryError:
            raise
        except (AssertionError, AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
            raise BeyondcamError(f"captum's {self.method}: {one_line(error)}", parameter="map") from None
        if not (isinstance(attribution, Tensor) and attribution.ndim == 4):
            raise BeyondcamError(
                f"captum's {self.method} attributes to no places (P, K, h, w)", parameter="map"
            )
        attribution = attribution.detach()
        return attribution.sum(1) if self.channels == "sum" else attribution.amax(1)


def _attributions(name: str) -> Any:
    """The class of captum that attributes to inputs or to a layer. Raises `ValueError` if there is none."""
    try:
        from captum import attr
    except ModuleNotFoundError:
        raise ValueError("captum is an extra: pip install 'beyondcam[captum]'") from None
    known = {
        part.__name__: part
        for part in vars(attr).values()
        if inspect.isclass(part)
        and part.__module__.startswith("captum.attr._core")
        and issubclass(part, attr.Attribution)
        and not issubclass(part, attr.NeuronAttribution)
        and _parameters(part) in (["forward_func"], ["model"], ["forward_func", "layer"], ["model", "layer"])
    }
    if name not in known:
        raise ValueError(f"method: captum has no {name!r}; there are {', '.join(sorted(known))}")
    return known[name]


def _parameters(attribution: Any) -> list[str]:
    """The arguments that its constructor requires."""
    parameters = inspect.signature(attribution).parameters.values()
    return [p.name for p in parameters if p.default is p.empty]


def _as_tuple(value: Any) -> Any:
    return tuple(map(_as_tuple, value)) if isinstance(value, list) else value


@contextmanager
def _quiet_and_seeded(device: torch.device) -> Iterator[None]:
    """Leave the global random streams as they were, and no word of the hooks that captum sets and removes."""
    state = np.random.get_state()  # noqa: NPY002  (the stream that captum draws from)
    with warnings.catch_warnings(), torch.random.fork_rng([device] if device.type == "cuda" else []):
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        np.random.seed(0)  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(state)  # noqa: NPY002
