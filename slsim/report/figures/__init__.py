"""Figures, drawn from a study's saved tables and nothing else, in the style of print."""

from slsim.report.figures.catalogue import Source, Tables
from slsim.report.figures.drawing import draw, draw_runs
from slsim.report.figures.files import known_formats
from slsim.report.figures.page import inches

__all__ = ["Source", "Tables", "draw", "draw_runs", "inches", "known_formats"]
