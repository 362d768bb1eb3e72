"""Evidence: maps of a whole split, made once, kept small, scored and seeded from many times."""

from beyondcam.evidence.irn import finest_maps, import_irn, irn_bytes, read_irn
from beyondcam.evidence.levels import LEVELS, Evidence, level_threshold, read_evidence, threshold_level
from beyondcam.evidence.mapper import Targets, map_split
from beyondcam.evidence.second import first_recipe, second_recipe
from beyondcam.evidence.store import (
    FAMILY,
    Shelf,
    checkpoint_hash,
    find_shelf,
    open_evidence,
    open_shelf,
    shelves,
    write_evidence,
)
from beyondcam.evidence.thresholds import AdaptiveThreshold, Threshold, within_unit
from beyondcam.evidence.winners import Winners, by_level, level_at_size, winners_of
from beyondcam.evidence.witness import SAMPLE, WITNESSES, map_witnesses, witnessed

__all__ = [
    "FAMILY",
    "LEVELS",
    "SAMPLE",
    "WITNESSES",
    "AdaptiveThreshold",
    "Evidence",
    "Shelf",
    "Targets",
    "Threshold",
    "Winners",
    "by_level",
    "checkpoint_hash",
    "find_shelf",
    "finest_maps",
    "first_recipe",
    "import_irn",
    "irn_bytes",
    "level_at_size",
    "level_threshold",
    "map_split",
    "map_witnesses",
    "open_evidence",
    "open_shelf",
    "read_evidence",
    "read_irn",
    "second_recipe",
    "shelves",
    "threshold_level",
    "winners_of",
    "within_unit",
    "witnessed",
    "write_evidence",
]
