"""What people said of masks: their decisions, and the masks that they accepted or corrected.

A second door through which masks come in, beside `data/masks.py`: training and mapping reach neither.
"""

from beyondcam.reviews.store import Decision, Reviews, State, open_reviews

__all__ = ["Decision", "Reviews", "State", "open_reviews"]
