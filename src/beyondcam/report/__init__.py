"""Results that people look at: one page about a RUN, and the maps of one photo."""

from beyondcam.report.explain import explain_photo
from beyondcam.report.overview import write_overview
from beyondcam.report.page import write_report

__all__ = ["explain_photo", "write_overview", "write_report"]
