"""`splitfc`: adaptive feature-wise dropout, then quantization of the kept columns under a budget of bits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from slsim.codecs import kernels
from slsim.codecs.columns import Columns, Cut, Positions, Shares
from slsim.codecs.format import Values
from slsim.codecs.lossless import Segment
from slsim.codecs.sizes import Shape, packed_bytes
from slsim.errors import CodecError

RANGES = 16  # bytes: the range of end points and that of means
TOP = 255  # the highest code of an end point or a mean, a byte each
MOST_BITS = 8
CANDIDATES = 17  # numbers of wide columns that are tried
# The error of an entry falls with 1 / (2^bits - 1)²; what each further bit gains, from 1 → 2 to 7 → 8.
_ERRORS = 1.0 / (2.0 ** np.arange(1, MOST_BITS + 1) - 1) ** 2
_GAINS = _ERRORS[:-1] - _ERRORS[1:]


class _Wide(NamedTuple):
    """The wide columns: which of the kept ones, the range of all end points, each one's as codes, and the
    bits of its entries."""

    marks: NDArray[np.bool_]
    range: Shares
    lows: Positions
    highs: Positions
    bits: Positions

    def edges(self) -> tuple[Shares, Shares]:
        """Each column's lowest and highest level."""
        low, high = self.range
        step = (high - low) / TOP
        return low + self.lows * step, low + self.highs * step


class SplitFC(Columns):
    """SplitFC: of the columns that its dropout keeps, the widest quantized by entry, of the others a mean.

    Oh et al., *SplitFC* (arXiv 2307.10805). See `Columns` for the first stage. In the second, the end points
    of the M widest columns are quantized over the range of them all and entries lie on even levels between
    them; of the other columns the mean is sent, quantized. Levels minimise the sum over wide columns of
    range² / (levels - 1)² under the budget. Body: an index of ceil(d'/8) bytes; then, in floor(bits·d / 8)
    bytes, or as many as a mean of each column takes if that is more: the two ranges (16), which columns are
    wide, a byte for each end point and mean, the entries, and zeros.

    The paper's text was not at hand. Chosen here: the index is not part of the budget (of ten samples it
    alone takes 0.1 bit an element, the paper's budget); end points and means have 256 levels, end points
    rounded outwards; an entry's levels are 2 to 256, powers of two, which both ends derive from the end
    points, bit by bit where one gains most; M is, of 17 candidates, the one with the least error, a wide
    column's taken as that of evenly spread entries.
    """

    bits: float = Field(
        0.1, strict=True, gt=0, le=32, description="The budget, in bits an element of the whole tensor."
    )

    def columns_bytes(self, cut: Cut) -> int:
        least = RANGES + packed_bytes(cut.kept, 1) + cut.kept
        most = least + packed_bytes(cut.kept, 8 + MOST_BITS * cut.samples)
        budget = int(self.bits * (cut.samples * cut.features) / 8)
        return min(max(budget, least), most) if cut.samples else 0

    def _free_bits(self, cut: Cut) -> int:
        """Bits that are left when a mean is sent of each column."""
        return 8 * (self.columns_bytes(cut) - RANGES - packed_bytes(cut.kept, 1) - cut.kept)

    def _most_wide(self, cut: Cut) -> int:
        """The most columns that can be wide: each needs another end point, and a bit for each entry."""
        return min(cut.kept, self._free_bits(cut) // (8 + cut.samples))

    def encode_columns(self, columns: Values, cut: Cut) -> bytes:
        moments = kernels.column_moments(columns)
        wide = self._widest(moments, cut)
        low, high = wide.edges()
        scale = (2.0**wide.bits - 1) / np.where(high > low, high - low, np.inf)
        entries = np.clip(np.rint((columns[:, wide.marks] - low) * scale), 0, 2.0**wide.bits - 1)
        codes = entries.astype(np.uint8).T.reshape(-1)
        means = moments.means[~wide.marks]
        mean_range = _extremes(means, means).astype("<f4")
        content = b"".join(
            (
                wide.range.astype("<f4").tobytes(),
                mean_range.tobytes(),
                np.packbits(wide.marks).tobytes(),
                wide.lows.astype(np.uint8).tobytes(),
                wide.highs.astype(np.uint8).tobytes(),
                np.rint(_on_grid(means, mean_range.astype(np.float64))).astype(np.uint8).tobytes(),
                kernels.pack_runs(codes, np.full(wide.bits.size, cut.samples), wide.bits).tobytes(),
            )
        )
        return content.ljust(self.columns_bytes(cut), b"\0")

    def _widest(self, moments: kernels.Moments, cut: Cut) -> _Wide:
        """The choice of wide columns with the least error."""
        order = np.argsort(moments.lows - moments.highs, kind="stable")
        best, least = None, np.inf
        for count in np.unique(np.linspace(0, self._most_wide(cut), CANDIDATES).astype(np.int64)):
            marks = np.zeros(cut.kept, np.bool_)
            marks[order[:count]] = True
            wide = self._quantized(moments, marks, cut)
            low, high = wide.edges()
            entries = cut.samples / 12 * ((high - low) ** 2 * _ERRORS[wide.bits - 1]).sum()
            error = entries + moments.squares[~marks].sum()
            if error < least:
                best, least = wide, error
        assert best is not None
        return best

    def _quantized(self, moments: kernels.Moments, marks: NDArray[np.bool_], cut: Cut) -> _Wide:
        """The end points of the columns that `marks` says, rounded outwards, and their bits."""
        lows, highs = moments.lows[marks], moments.highs[marks]
        bounds = _extremes(lows, highs)
        low_codes = np.floor(_on_grid(lows, bounds)).astype(np.int64)
        high_codes = np.ceil(_on_grid(highs, bounds)).astype(np.int64)
        return _Wide(marks, bounds, low_codes, high_codes, self._bits(high_codes - low_codes, cut))

    def _bits(self, widths: Positions, cut: Cut) -> Positions:
        """Bits of the entries of columns of such widths: one each, and as long as the budget lasts one more
        where the error falls most. Of whole numbers and constants, so that both ends find the same."""
        steps = (self._free_bits(cut) - widths.size * (8 + cut.samples)) // cut.samples
        gains = (_GAINS[:, None] * widths**2).ravel()  # of a column falling from bit to bit
        chosen = np.argsort(-gains, kind="stable")[:steps]
        return 1 + np.bincount(chosen % max(widths.size, 1), minlength=widths.size)

    def decode_columns(self, content: memoryview, cut: Cut) -> Values:
        wide, means, packed = self._read(content, cut)
        counts = np.full(wide.bits.size, cut.samples)
        size = kernels.run_bytes(counts, wide.bits)
        if packed[size:].any():
            raise CodecError("there is something behind the last entry: the payload is damaged")
        codes = kernels.unpack_runs(packed[:size], counts, wide.bits).reshape(-1, cut.samples).T
        low, high = wide.edges()
        columns = np.empty((cut.samples, cut.kept), np.float32)
        columns[:, wide.marks] = low + codes * ((high - low) / (2.0**wide.bits - 1))
        columns[:, ~wide.marks] = means
        return columns

    def _read(self, content: memoryview, cut: Cut) -> tuple[_Wide, Shares, NDArray[np.uint8]]:
        """The wide columns, the means of the others, and the packed entries with zeros behind them. Raises
        `CodecError` where they contradict themselves."""
        sent = np.frombuffer(content, "<f4", 4).reshape(2, 2)
        if not (np.isfinite(sent).all() and (sent[:, 0] <= sent[:, 1]).all()):
            raise CodecError("a range is not finite, or ends before it begins: the payload is damaged")
        ranges = sent.astype(np.float64)
        body = np.frombuffer(content, np.uint8, offset=RANGES)
        flags = np.unpackbits(body[: packed_bytes(cut.kept, 1)])
        count, body = int(flags.sum()), body[packed_bytes(cut.kept, 1) :]
        if flags[cut.kept :].any() or count > self._most_wide(cut):
            raise CodecError(f"{count} columns are marked as wide, some wrongly: the payload is damaged")
        lows, highs = body[: 2 * count].astype(np.int64).reshape(2, -1)
        if (lows > highs).any():
            raise CodecError("a column's range ends before it begins: the payload is damaged")
        marks = flags[: cut.kept].astype(np.bool_)
        wide = _Wide(marks, ranges[0], lows, highs, self._bits(highs - lows, cut))
        low, high = ranges[1]
        means = low + body[2 * count : cut.kept + count] * ((high - low) / TOP)
        return wide, means, body[cut.kept + count :]

    def segments(self, shape: Shape, num_bytes: int) -> list[Segment]:
        index = packed_bytes(self.cut(shape).features, 1)
        ranges = RANGES if num_bytes else 0
        return [Segment(index), Segment(ranges, width=4), Segment(num_bytes - index - ranges)]


def _extremes(lows: Shares, highs: Shares) -> Shares:
    """The least and the greatest; zeros where there are none."""
    return np.array([lows.min(), highs.max()] if lows.size else [0.0, 0.0])


def _on_grid(values: Shares, bounds: Shares) -> Shares:
    """Where values lie between the bounds, which have the codes 0 and `TOP`."""
    low, high = bounds
    found: Shares = np.clip((values - low) * (TOP / (high - low) if high > low else 0.0), 0, TOP)
    return found
