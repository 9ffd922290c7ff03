"""Spectra in two bands, as `sl-fac` quantizes them: the coefficients of a map, low ones first, cut in two."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from slsim.codecs.kernels.packing import Codes
from slsim.codecs.kernels.selection import Values
from slsim.compiled import compiled

Order = NDArray[np.int64]


class Bands(NamedTuple):
    """Of each map: how many coefficients the low band has; of its low and its high band the mean energy and
    the extremes, [maps, 2], zeros where a band is empty."""

    lengths: NDArray[np.int64]
    energies: NDArray[np.float64]
    lows: NDArray[np.float64]
    highs: NDArray[np.float64]


@compiled()
def split_bands(spectra: Values, order: Order, share: float) -> Bands:
    """Cut each spectrum, [maps, coefficients], behind the shortest beginning in `order` that has `share` of
    its energy; it has one coefficient at least."""
    maps, size = spectra.shape
    lengths, energies = np.zeros(maps, np.int64), np.zeros((maps, 2))
    lows, highs = np.zeros((maps, 2)), np.zeros((maps, 2))
    for m in range(maps):
        total = 0.0
        for i in range(size):
            total += np.float64(spectra[m, order[i]]) ** 2
        passed, length = 0.0, 0
        while length < size and (length == 0 or passed < share * total):
            passed += np.float64(spectra[m, order[length]]) ** 2
            length += 1
        lengths[m] = length
        for band in range(2):
            first, last = (0, length) if band == 0 else (length, size)
            if first == last:
                continue
            low, high, energy = np.inf, -np.inf, 0.0
            for i in range(first, last):
                value = np.float64(spectra[m, order[i]])
                low, high, energy = min(low, value), max(high, value), energy + value**2
            energies[m, band], lows[m, band], highs[m, band] = energy / (last - first), low, high
    return Bands(lengths, energies, lows, highs)


@compiled()
def quantize_bands(spectra: Values, order: Order, bands: Bands, bits: Order, codes: Codes) -> None:
    """The codes of all coefficients, map by map in `order`: `bits` [maps, 2] of its band, from the band's
    minimum to its maximum."""
    maps, size = spectra.shape
    for m in range(maps):
        for i in range(size):
            band = 0 if i < bands.lengths[m] else 1
            low, span = bands.lows[m, band], bands.highs[m, band] - bands.lows[m, band]
            top = np.float64((1 << bits[m, band]) - 1)
            scaled = (np.float64(spectra[m, order[i]]) - low) * (top / span) if span > 0 else 0.0
            codes[m * size + i] = np.uint8(min(max(np.rint(scaled), 0.0), top))


@compiled()
def restore_bands(codes: Codes, order: Order, bands: Bands, bits: Order, spectra: Values) -> None:
    """The inverse of `quantize_bands`: what the codes stand for, into `spectra`."""
    maps, size = spectra.shape
    for m in range(maps):
        for i in range(size):
            band = 0 if i < bands.lengths[m] else 1
            step = (bands.highs[m, band] - bands.lows[m, band]) / ((1 << bits[m, band]) - 1)
            spectra[m, order[i]] = bands.lows[m, band] + codes[m * size + i] * step
