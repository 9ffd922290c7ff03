"""Plays a recording's rounds over a network and gives the Timeline: when each round ended, where each
second went, and what each link carried.

Three ways to the same times: `play` runs SimPy, round after round or each distinct round once; `columns`
does the arithmetic of all rounds at once where the links are simple enough. `invariants` checks them all.
"""

from slsim.simulation.costs import costs_of
from slsim.simulation.play import RoundTiming, Simulation
from slsim.simulation.timeline import Timeline

__all__ = ["RoundTiming", "Simulation", "Timeline", "costs_of"]
