"""Segmentation networks that a study trains on the seeds of its recipes."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from beyondcam.data import is_digits
from beyondcam.evidence import find_shelf
from beyondcam.metrics import counts_of, label_mious, read_segments
from beyondcam.segment import EvaluationSplit, labels_of_seeds, segment_run
from beyondcam.segmentation import SegmentConfig, digits_segment_config
from beyondcam.studies.workspace import Setup, Workspace

EPOCHS = 60
"""Passes over a study's few images, by default."""


def network_mious(
    workspace: Workspace, trained: Setup, scored: Setup, recipes: Iterable[str], epochs: int
) -> NDArray[np.float64]:
    """The mIoU of one network per recipe: (recipes, samples), the full sample first, as `label_mious`.

    Each is trained on the recipe's seeds of `trained`, at the default threshold, and scored on `scored`. The
    schedule and its random draws are the same for all.
    """
    settings = digits_segment_config if is_digits(trained.images.data) else SegmentConfig
    config = settings(epochs=epochs)
    evaluation = EvaluationSplit(scored.images, scored.masks)
    names = []
    for recipe in recipes:
        source = labels_of_seeds(trained.run, trained.images, find_shelf(trained.run, trained.images, recipe))
        names.append(f"{source.name}-{config.seed}")
        workspace.not_learnt |= segment_run(
            trained.run, source, config, evaluation, workspace.fabric, name=names[-1], log=workspace.log
        )
    rows = {row.name: row for row in read_segments(trained.run)}
    return label_mious([counts_of(trained.run, rows[name]) for name in names])
