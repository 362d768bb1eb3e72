from .catalogue import STUDIES, Study, register_study
from .finding import Dots, Finding, Plot, Point, Table
from .running import run_study
from .workspace import FULL, QUICK, Budget, Setup, Workspace

__all__ = [
    "FULL",
    "QUICK",
    "STUDIES",
    "Budget",
    "Dots",
    "Finding",
    "Plot",
    "Point",
    "Setup",
    "Study",
    "Table",
    "Workspace",
    "register_study",
    "run_study",
]
