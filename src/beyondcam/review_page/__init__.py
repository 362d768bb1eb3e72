"""A local page to go through the masks of a split: look, slide, accept, reject."""

from beyondcam.review_page.desk import Desk, worst_first
from beyondcam.review_page.server import make_app, open_server

__all__ = ["Desk", "make_app", "open_server", "worst_first"]
