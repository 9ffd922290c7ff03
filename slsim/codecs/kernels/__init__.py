"""The loops over whole activation maps, compiled by numba and used by the codecs.

    packing    codes ⇄ packed bits ⇄ positions
    selection  the top k by magnitude, exact, in little more than one pass
    marks      position masks of one bit, and the random exchange of `rt`
    levels     the masks of `ms`, the codes of `qu`
    tables     packed codes → values
    coding     adaptive binary range coding
    context    codes of a tensor, and floats, by what is around them: the lossless stage "context"

Names are looked up at first use: importing a codec imports no numba, and nothing compiles before the
first call, which loads from numba's cache on disk where it can.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from slsim import lazy

if TYPE_CHECKING:
    from slsim.codecs.kernels.coding import decisions_at_most, decoder, encoded, encoder, is_at_end
    from slsim.codecs.kernels.context import code_floats, code_grid
    from slsim.codecs.kernels.levels import (
        apply_signs,
        collect_signs,
        extent,
        pack_levels,
        pack_uniform,
        unpack_levels,
    )
    from slsim.codecs.kernels.marks import (
        distinct_flags,
        exchange,
        gather_marked,
        pack_marks,
        sorted_distinct,
    )
    from slsim.codecs.kernels.packing import pack_codes, unpack_codes
    from slsim.codecs.kernels.selection import Selection, select
    from slsim.codecs.kernels.tables import unpack_table

_HOMES = {
    "coding": ("decisions_at_most", "decoder", "encoded", "encoder", "is_at_end"),
    "context": ("code_floats", "code_grid"),
    "levels": ("apply_signs", "collect_signs", "extent", "pack_levels", "pack_uniform", "unpack_levels"),
    "marks": ("distinct_flags", "exchange", "gather_marked", "pack_marks", "sorted_distinct"),
    "packing": ("pack_codes", "unpack_codes"),
    "selection": ("Selection", "select"),
    "tables": ("unpack_table",),
}

__all__ = [
    "Selection",
    "apply_signs",
    "code_floats",
    "code_grid",
    "collect_signs",
    "decisions_at_most",
    "decoder",
    "distinct_flags",
    "encoded",
    "encoder",
    "exchange",
    "extent",
    "gather_marked",
    "is_at_end",
    "pack_codes",
    "pack_levels",
    "pack_marks",
    "pack_uniform",
    "select",
    "sorted_distinct",
    "unpack_codes",
    "unpack_levels",
    "unpack_table",
]

__getattr__ = lazy.attributes(__name__, _HOMES)
