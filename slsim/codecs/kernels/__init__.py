"""The loops over whole activation maps, compiled by numba and used by the codecs.

    packing    codes ⇄ packed bits ⇄ positions
    selection  the top k by magnitude, exact, in little more than one pass
    marks      position masks of one bit, and the random exchange of `rt`
    levels     the masks of `ms`, the codes of `qu`
    tables     packed codes → values
    contexts   how often levels occur beside which neighbours
    bands      spectra in two bands
    clusters   k-means of vectors
    columns    the moments of columns
    streams    codes of unlike widths ⇄ packed bits
    tiles      the tiles of `tah`
    coding     adaptive binary range coding
    context    codes of a tensor, and floats, by what is around them: the lossless stage "context"

Names are looked up at first use: importing a codec imports no numba, and nothing compiles before the
first call, which loads from numba's cache on disk where it can.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from slsim import lazy

if TYPE_CHECKING:
    from slsim.codecs.kernels.bands import Bands, quantize_bands, restore_bands, split_bands
    from slsim.codecs.kernels.clusters import cluster
    from slsim.codecs.kernels.coding import decisions_at_most, decoder, encoded, encoder, is_at_end
    from slsim.codecs.kernels.columns import Moments, column_moments
    from slsim.codecs.kernels.context import code_floats, code_grid
    from slsim.codecs.kernels.contexts import count_contexts
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
    from slsim.codecs.kernels.packing import pack_codes, unpack_block, unpack_codes
    from slsim.codecs.kernels.selection import Selection, select
    from slsim.codecs.kernels.streams import pack_runs, run_bytes, unpack_runs
    from slsim.codecs.kernels.tables import unpack_table
    from slsim.codecs.kernels.tiles import Tiles, entropies, quantize_tiles, restore_tiles

_HOMES = {
    "bands": ("Bands", "quantize_bands", "restore_bands", "split_bands"),
    "clusters": ("cluster",),
    "coding": ("decisions_at_most", "decoder", "encoded", "encoder", "is_at_end"),
    "columns": ("Moments", "column_moments"),
    "context": ("code_floats", "code_grid"),
    "contexts": ("count_contexts",),
    "levels": ("apply_signs", "collect_signs", "extent", "pack_levels", "pack_uniform", "unpack_levels"),
    "marks": ("distinct_flags", "exchange", "gather_marked", "pack_marks", "sorted_distinct"),
    "packing": ("pack_codes", "unpack_block", "unpack_codes"),
    "selection": ("Selection", "select"),
    "streams": ("pack_runs", "run_bytes", "unpack_runs"),
    "tables": ("unpack_table",),
    "tiles": ("Tiles", "entropies", "quantize_tiles", "restore_tiles"),
}

__all__ = [
    "Bands",
    "Moments",
    "Selection",
    "Tiles",
    "apply_signs",
    "cluster",
    "code_floats",
    "code_grid",
    "collect_signs",
    "column_moments",
    "count_contexts",
    "decisions_at_most",
    "decoder",
    "distinct_flags",
    "encoded",
    "encoder",
    "entropies",
    "exchange",
    "extent",
    "gather_marked",
    "is_at_end",
    "pack_codes",
    "pack_levels",
    "pack_marks",
    "pack_runs",
    "pack_uniform",
    "quantize_bands",
    "quantize_tiles",
    "restore_bands",
    "restore_tiles",
    "run_bytes",
    "select",
    "sorted_distinct",
    "split_bands",
    "unpack_block",
    "unpack_codes",
    "unpack_levels",
    "unpack_runs",
    "unpack_table",
]

__getattr__ = lazy.attributes(__name__, _HOMES)
