"""Claims: figures that papers print, as data, held to what they follow from.

A claim is a TOML file: a paper's table, the format or formula behind each column, what the figures count, and
what of it was read where. `load("splitlite")` gives one that ships, `load("mine.toml")` one's own, and
`check(claim)` its checks, each with its arithmetic.
"""

from typing import TYPE_CHECKING

from slsim import lazy

if TYPE_CHECKING:
    from slsim.claims.alongside import Beside, Measured, beside
    from slsim.claims.checking import check
    from slsim.claims.loading import load, shipped
    from slsim.claims.tables import Claim

__all__ = ["Beside", "Claim", "Measured", "beside", "check", "load", "shipped"]

_HOMES = {
    "checking": ("check",),
    "loading": ("load", "shipped"),
    "tables": ("Claim",),
    "alongside": ("Beside", "Measured", "beside"),
}
__getattr__ = lazy.attributes(__name__, _HOMES)
