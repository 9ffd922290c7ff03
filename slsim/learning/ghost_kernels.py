"""Batch normalization of several clients without a copy, compiled, for float32 with channels last on a CPU.

torch's own, called once a client, spends a small layer's time on starting calls and a large one's on copies.
Clients are independent, so they can be shared out among threads. Sums run in float32 over one sample's pixels
and in float64 over samples, variances over deviations from the mean.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from slsim.compiled import compiled

Floats: TypeAlias = NDArray[np.float32]
Starts: TypeAlias = NDArray[np.int64]  # [groups + 1]: where each group's samples start, and the end
ANY_ORDER = {"reassoc", "contract", "nsz"}  # of sums; NaN and infinity stay what they are


@compiled(fastmath=ANY_ORDER)
def forward(
    x: Floats, starts: Starts, weight: Floats, bias: Floats, eps: float,
    y: Floats, mean: Floats, var: Floats, unbiased: Floats,
) -> None:  # fmt: skip
    """Normalize `x`, [samples, pixels, channels], by group into `y`. Write means and variances, [groups,
    channels]; the unbiased variance of a single value is NaN."""
    pixels, channels = x.shape[1:]
    part, total, scale = np.empty(channels, np.float32), np.empty(channels), np.empty(channels, np.float32)
    for group in range(len(starts) - 1):
        first, end = starts[group], starts[group + 1]
        values = (end - first) * pixels
        center = mean[group]
        total[:] = 0
        for n in range(first, end):
            part[:] = 0
            _add_rows(x[n], part)
            total += part
        for c in range(channels):
            center[c] = total[c] / values
        total[:] = 0
        for n in range(first, end):
            part[:] = 0
            _add_squares(x[n], center, part)
            total += part
        for c in range(channels):
            var[group, c] = total[c] / values
            unbiased[group, c] = total[c] / (values - 1)
            scale[c] = weight[c] / np.sqrt(total[c] / values + eps)
        for n in range(first, end):
            for i in range(pixels):
                for c in range(channels):
                    y[n, i, c] = (x[n, i, c] - center[c]) * scale[c] + bias[c]


@compiled(fastmath=ANY_ORDER)
def backward(
    x: Floats, dy: Floats, dx: Floats, starts: Starts, weight: Floats, eps: float,
    mean: Floats, var: Floats, dweight: Floats, dbias: Floats,
) -> None:  # fmt: skip
    """Write the gradient of `x` into `dx`, and each group's of weight and bias, [groups, channels]."""
    pixels, channels = x.shape[1:]
    part, other = np.empty(channels, np.float32), np.empty(channels, np.float32)
    scale = np.empty(channels, np.float32)
    level, slope = np.empty(channels, np.float32), np.empty(channels, np.float32)
    total, product = np.empty(channels), np.empty(channels)
    for group in range(len(starts) - 1):
        first, end = starts[group], starts[group + 1]
        values = (end - first) * pixels
        center = mean[group]
        total[:] = 0
        product[:] = 0
        for n in range(first, end):
            part[:] = 0
            other[:] = 0
            _add_products(x[n], dy[n], center, part, other)
            total += part
            product += other
        for c in range(channels):
            inverse = 1 / np.sqrt(np.float64(var[group, c]) + eps)
            dbias[group, c] = total[c]
            dweight[group, c] = product[c] * inverse
            scale[c] = weight[c] * inverse
            level[c] = total[c] / values
            slope[c] = product[c] * inverse * inverse / values
        for n in range(first, end):
            for i in range(pixels):
                for c in range(channels):
                    dx[n, i, c] = scale[c] * (dy[n, i, c] - level[c] - slope[c] * (x[n, i, c] - center[c]))


# Sums over the rows of [pixels, channels], four at a time, so that sums are fetched and stored less often.


@compiled(fastmath=ANY_ORDER)
def _add_rows(x: Floats, out: Floats) -> None:
    whole = len(x) // 4 * 4
    for i in range(0, whole, 4):
        for c in range(x.shape[1]):
            out[c] += (x[i, c] + x[i + 1, c]) + (x[i + 2, c] + x[i + 3, c])
    for i in range(whole, len(x)):
        for c in range(x.shape[1]):
            out[c] += x[i, c]


@compiled(fastmath=ANY_ORDER)
def _add_squares(x: Floats, center: Floats, out: Floats) -> None:
    whole = len(x) // 4 * 4
    for i in range(0, whole, 4):
        for c in range(x.shape[1]):
            middle = center[c]
            p, q, r, s = x[i, c] - middle, x[i + 1, c] - middle, x[i + 2, c] - middle, x[i + 3, c] - middle
            out[c] += (p * p + q * q) + (r * r + s * s)
    for i in range(whole, len(x)):
        for c in range(x.shape[1]):
            out[c] += (x[i, c] - center[c]) * (x[i, c] - center[c])


@compiled(fastmath=ANY_ORDER)
def _add_products(x: Floats, dy: Floats, center: Floats, out: Floats, products: Floats) -> None:
    whole = len(x) // 4 * 4
    for i in range(0, whole, 4):
        for c in range(x.shape[1]):
            middle = center[c]
            p, q, r, s = dy[i, c], dy[i + 1, c], dy[i + 2, c], dy[i + 3, c]
            out[c] += (p + q) + (r + s)
            first, second = p * (x[i, c] - middle), q * (x[i + 1, c] - middle)
            third, fourth = r * (x[i + 2, c] - middle), s * (x[i + 3, c] - middle)
            products[c] += (first + second) + (third + fourth)
    for i in range(whole, len(x)):
        for c in range(x.shape[1]):
            out[c] += dy[i, c]
            products[c] += dy[i, c] * (x[i, c] - center[c])
