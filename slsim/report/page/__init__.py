"""One HTML file about a study that opens without a network: what goes in, and what is made of it."""

from slsim.report.page.material import Material, Slider
from slsim.report.page.render import render

__all__ = ["Material", "Slider", "render"]
