"""The kernels against slow, obvious numpy."""

import subprocess
import sys
from functools import cache
from itertools import product

import numpy as np
import pytest
from codec_cases import every
from hypothesis import given, settings
from hypothesis import strategies as st

from slsim.codecs import kernels as K
from slsim.codecs.kernels import selection

F = np.float32


def sampled_places(d):
    """The positions at which a selection takes its sample of `d` elements."""
    stride, places = d // selection.SAMPLE, np.arange(selection.SAMPLE)
    return places * stride + ((places * 0x9E3779B1 & 0xFFFFFFFF) * stride >> 32)


def arrays():
    rng = np.random.default_rng(1)
    out = {}
    for d in (0, 1, 2, 7, 8, 9, 65, 1000, 16_383, 16_384, 16_385, 70_001):  # from 65,536 on it is sampled
        x = rng.standard_normal(d).astype(F)
        out[f"normal-{d}"] = x
        out[f"relu-{d}"] = np.maximum(x, 0)
        out[f"ties-{d}"] = rng.integers(-3, 4, d).astype(F)
    d = 66_001
    base = np.abs(rng.standard_normal(d)).astype(F)
    out["sorted"] = np.sort(base)
    out["reversed"] = np.sort(base)[::-1].copy()
    out["constant"] = np.full(d, 6, F)
    out["zeros"] = np.zeros(d, F)
    out["minus-zeros"] = -np.zeros(d, F)
    out["mostly-zero"] = np.where(rng.random(d) < 1e-3, base, 0).astype(F)
    out["few-nonzero-late"] = np.concatenate([np.zeros(d - 5, F), np.arange(1, 6, dtype=F)])
    out["relu6"] = np.clip(rng.standard_normal(d) * 4, 0, 6).astype(F)
    out["periodic"] = (np.arange(d) % 12 == 5).astype(F) * base
    out["periodic-1024"] = (np.arange(d) % 1024).astype(F)
    out["burst"] = np.concatenate([np.zeros(d - 3000, F), 1 + base[:3000]])
    out["tiny"] = (base * F(1e-44)).astype(F)
    out["huge"] = (base * F(6e37)).astype(F)
    places = sampled_places(d)
    for low in (0, 100):  # whoever knows where samples are taken can mislead them
        out[f"sampled-{low}"] = base.copy()
        out[f"sampled-{low}"][places] = low
    out["signed"] = rng.standard_normal(d).astype(F)
    return out


ARRAYS = arrays()
named = every("name", list(ARRAYS))
# Normal numbers are packed with every number of bits; of the others, large ones with two that stand for all.
PACKED = {
    name: range(1, 9) if "normal" in name or name == "signed" else (1, 2, 3, 8) if x.size < 10_000 else (2, 3)
    for name, x in ARRAYS.items()
}


def sizes(d):
    return sorted({0, min(1, d), d // 100, d // 24, d // 5, d // 2, max(d - 1, 0), d})


def few_sizes(d):
    return sorted({0, d // 24, d // 2, d} if d > 10_000 else sizes(d))


def ranked(x):
    """Positions by magnitude, the largest first, the first of equal ones first."""
    return np.argsort(-np.abs(x), kind="stable")


@cache
def ranks(name):
    return ranked(ARRAYS[name])


def top_mask(ranks, k):
    mask = np.zeros(ranks.size, bool)
    mask[ranks[:k]] = True
    return mask


def split_mask(x, s):
    m = np.abs(x)
    return (m > s.threshold) | ((m == s.threshold) & (np.arange(x.size) < s.split))


def pack(codes, bits):
    planes = (codes[:, None].astype(np.uint8) >> np.arange(bits - 1, -1, -1, dtype=np.uint8)) & 1
    return np.packbits(planes)


def floor_edges(t, bits):
    if t == 0 or not np.isfinite(t):
        return np.full(2**bits - 2, np.inf, F)
    return (np.arange(1, 2**bits - 1) * np.float64(t) / (2**bits - 1)).astype(F)


def nearest_edges(t, bits):
    if t == 0 or not np.isfinite(t):
        return np.full(2**bits - 2, np.inf, F)
    return np.minimum(((np.arange(1, 2**bits - 1) - 0.5) * np.float64(t) / (2**bits - 1)).astype(F), t)


def expected_codes(x, edges, top, bits):
    codes = np.searchsorted(edges, np.abs(x), side="right").astype(np.uint8)
    codes[top] = 2**bits - 1
    return codes


@named
def test_select(name):
    x = ARRAYS[name]
    for k in sizes(x.size):
        s = K.select(x, k, placed=True)
        top = top_mask(ranks(name), k)
        assert s.threshold == (np.abs(x[top]).min() if k else np.inf)
        assert (split_mask(x, s) == top).all()
        assert s.kept.dtype == F
        assert s.kept.tobytes() == x[top].tobytes()
        assert s.places.dtype == np.uint32
        assert (s.places == np.flatnonzero(top)).all()
        bare = K.select(x, k)
        assert bare.places.size == 0
        assert bare.kept.tobytes() == s.kept.tobytes()
        assert bare[:2] == s[:2]
        assert s.finite
        assert s.negative == bool((x < 0).any())


@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("d", [1, 10, 100_000])
def test_not_finite(bad, d):
    x = np.abs(np.random.default_rng(0).standard_normal(d)).astype(F)
    x[d // 2] = bad
    for k in sizes(d):
        assert not K.select(x, k).finite
    assert not np.isfinite(K.extent(x)).all()


@named
def test_levels(name):
    x = ARRAYS[name]
    for bits, k in product(PACKED[name], few_sizes(x.size)):
        s = K.select(x, k)
        top = top_mask(ranks(name), k)
        for edges_of in (floor_edges, nearest_edges):
            edges = edges_of(s.threshold, bits)
            codes = expected_codes(x, edges, top, bits)
            out = np.full((x.size * bits + 7) // 8, 170, np.uint8)
            K.pack_levels(x, edges, s.threshold, s.split, bits, out)
            assert out.tobytes() == pack(codes, bits).tobytes()
        coded = (codes > 0) & (codes < 2**bits - 1)
        signed = s.negative and bits > 1
        if signed:
            count, signs = K.collect_signs(x, edges[0], s.threshold, s.split)
            assert count == coded.sum()
            assert signs.tobytes() == np.packbits(x[coded] < 0).tobytes()
        levels = np.concatenate([[F(0)], floor_edges(s.threshold, bits)])
        decoded = np.full(x.size, np.nan, F)
        out.flags.writeable = False
        assert K.unpack_levels(out, levels, s.kept, bits, decoded) == k
        table = np.append(levels, F(0))
        wanted = table[codes]
        wanted[top] = s.kept
        assert decoded.tobytes() == wanted.tobytes()
        if signed:
            assert K.apply_signs(out, bits, signs, decoded) == count
            wanted[coded & (x < 0)] *= -1
            assert decoded.tobytes() == wanted.tobytes()


@named
def test_idempotent(name):
    x = np.abs(ARRAYS[name])
    for bits, k in product((2, 5), few_sizes(x.size)):

        def code(v, k=k, bits=bits):
            s = K.select(v, k)
            out = np.empty((v.size * bits + 7) // 8, np.uint8)
            K.pack_levels(v, floor_edges(s.threshold, bits), s.threshold, s.split, bits, out)
            y = np.empty_like(v)
            K.unpack_levels(out, np.append(F(0), floor_edges(s.threshold, bits)), s.kept, bits, y)
            return out, y

        _a, y = code(x)
        _b, z = code(y)
        assert y.tobytes() == z.tobytes()


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("d", [1, 5, 8, 13, 16_384, 20_001])
def test_damaged(bits, d):
    rng = np.random.default_rng(d)
    packed = rng.integers(0, 256, (d * bits + 7) // 8, dtype=np.uint8)
    planes = np.unpackbits(packed, count=d * bits).reshape(d, bits)
    marked = planes.all(axis=1)
    guard = np.full(d + 64, 7, F)
    for n in (0, 1, int(marked.sum()), d):
        kept = np.arange(n, dtype=F)
        assert K.unpack_levels(packed, np.zeros(2**bits - 1, F), kept, bits, guard[32:-32]) == marked.sum()
        assert (guard[:32] == 7).all()
        assert (guard[-32:] == 7).all()
        assert (guard[32:-32][marked][:n] == kept[: marked.sum()]).all()


@named
def test_uniform(name):
    x = ARRAYS[name]
    if not x.size:
        return
    assert tuple(float(v) for v in K.extent(x)) == (x.min(), x.max())
    for bits in PACKED[name]:
        check_uniform(x, bits)


def check_uniform(x, bits):
    low, high = (float(v) for v in K.extent(x))
    top = 2**bits - 1
    scale = top / (high - low) if high > low else 0.0
    codes = np.rint((x.astype(np.float64) - low) * scale).astype(np.uint8)
    out = np.empty((x.size * bits + 7) // 8, np.uint8)
    K.pack_uniform(x, low, scale, bits, out)
    assert out.tobytes() == pack(codes, bits).tobytes()
    table = np.linspace(low, high, 2**bits).astype(F)
    y = np.empty_like(x)
    K.unpack_table(out, table, bits, y)
    assert y.tobytes() == table[codes].tobytes()
    if high > low:  # what was decoded has the same codes
        again = np.empty_like(out)
        K.pack_uniform(y, low, scale, bits, again)
        assert again.tobytes() == out.tobytes()


@named
def test_marks(name):
    x = ARRAYS[name]
    rng = np.random.default_rng(5)
    for k in sizes(x.size):
        s = K.select(x, k, placed=True)
        mask = np.full((x.size + 7) // 8, 255, np.uint8)
        top = top_mask(ranks(name), k)
        K.pack_marks(s.places, mask)
        assert mask.tobytes() == np.packbits(top).tobytes()
        again = np.full_like(mask, 255)
        K.pack_levels(x, np.empty(0, F), s.threshold, s.split, 1, again)
        assert again.tobytes() == mask.tobytes()
        m = min(k // 3, x.size - k)
        dropped, added = K.distinct_flags(rng, k, m), K.sorted_distinct(rng, x.size - k, m)
        kept, places = K.exchange(x, s.kept, s.places, dropped, added)
        ones, rest = np.flatnonzero(top), np.flatnonzero(~top)
        top[ones[dropped]] = False
        top[rest[added]] = True
        assert (places == np.flatnonzero(top)).all()
        assert kept.tobytes() == x[top].tobytes()
        K.pack_marks(places, mask)
        gathered = np.empty(k, F)
        assert K.gather_marked(x, mask, gathered) == k
        assert gathered.tobytes() == kept.tobytes()
        assert K.gather_marked(x, mask, gathered[: k // 2]) == k


@pytest.mark.parametrize(
    ("population", "count"), [(0, 0), (1, 0), (1, 1), (10, 3), (10, 9), (10, 10), (5000, 4000), (10**7, 1000)]
)
def test_distinct(population, count):
    drawn = K.sorted_distinct(np.random.default_rng(3), population, count)
    assert drawn.size == count
    assert (np.diff(drawn) > 0).all()
    assert not count or (drawn[0] >= 0 and drawn[-1] < population)


def test_sizes_are_checked():
    x = np.ones(100, F)
    with pytest.raises(AssertionError):
        K.pack_levels(x, np.ones(2, F), 1, 100, 2, np.empty(24, np.uint8))
    with pytest.raises(AssertionError):
        K.unpack_table(np.empty(24, np.uint8), np.ones(4, F), 2, x)
    with pytest.raises(AssertionError):
        K.unpack_table(np.empty(25, np.uint8), np.ones(3, F), 2, x)
    with pytest.raises(AssertionError):
        K.select(x, 101)


def test_edges_too_close_for_stretches():
    x = np.abs(np.random.default_rng(0).standard_normal(20_000)).astype(F)
    s = K.select(x, 200)
    edges = np.sort(
        np.append(floor_edges(s.threshold, 5)[1:], np.nextafter(floor_edges(s.threshold, 5)[7], F(9)))
    )
    out = np.empty(20_000 * 5 // 8, np.uint8)
    K.pack_levels(x, edges, s.threshold, s.split, 5, out)
    assert out.tobytes() == pack(expected_codes(x, edges, top_mask(ranked(x), 200), 5), 5).tobytes()


def test_unaligned_payload():
    x = np.maximum(np.random.default_rng(0).standard_normal(20_001), 0).astype(F)
    s = K.select(x, 200)
    for bits in range(1, 9):
        size = (20_001 * bits + 7) // 8
        body = np.zeros(size + 3, np.uint8)
        edges = floor_edges(s.threshold, bits)
        K.pack_levels(x, edges, s.threshold, s.split, bits, body[3:])
        aligned, shifted = np.empty_like(x), np.empty_like(x)
        levels = np.append(F(0), edges)
        assert K.unpack_levels(body[3:].copy(), levels, s.kept, bits, aligned) == 200
        assert (
            K.unpack_levels(np.frombuffer(body.tobytes(), np.uint8)[3:], levels, s.kept, bits, shifted) == 200
        )
        assert aligned.tobytes() == shifted.tobytes()


def test_damaged_signs():
    packed = np.random.default_rng(0).integers(0, 256, 500, dtype=np.uint8)
    for size in (0, 1, 100):
        out = np.ones(2000, F)
        asked = K.apply_signs(packed, 2, np.full(size, 255, np.uint8), out)
        assert asked == sum(((packed >> s & 3) % 3 != 0).sum() for s in (0, 2, 4, 6))
        assert (np.abs(out) == 1).all()


# --- orders of data made to mislead the sample, or a selection that trusts the order

SIZE = 66_003
SAMPLED = sampled_places(SIZE)
ORDERS = {
    "sorted": lambda x: np.sort(x),
    "reversed": lambda x: np.sort(x)[::-1],
    "organ pipe": lambda x: np.concatenate([np.sort(x)[::2], np.sort(x)[1::2][::-1]]),
    "interleaved": lambda x: np.stack([np.sort(x)[: x.size // 3], np.sort(x)[-(x.size // 3) :]]).T.ravel(),
    "in blocks": lambda x: np.concatenate(np.array_split(np.sort(x), 9)[::-1]),
    "largest at the end": lambda x: np.roll(np.sort(x), x.size // 100),
    "largest not sampled": lambda x: misled(x, lowest_sampled=True),
    "largest sampled": lambda x: misled(x, lowest_sampled=False),
    "as drawn": lambda x: x,
}


def misled(x, lowest_sampled):
    ordered = np.sort(x) if lowest_sampled else np.sort(x)[::-1]
    out, rest = np.empty_like(x), np.ones(x.size, bool)
    rest[SAMPLED] = False
    out[SAMPLED], out[rest] = ordered[: SAMPLED.size], ordered[SAMPLED.size :]
    return out


@pytest.mark.parametrize("order", ORDERS)
@settings(derandomize=True, deadline=None, max_examples=8)
@given(
    seed=st.integers(0, 2**32 - 1),
    distinct=st.sampled_from([1, 2, 3, 50, SIZE]),
    share=st.sampled_from([1e-4, 0.01, 0.04125, 0.2, 0.26, 0.9]) | st.floats(0, 1),
    scale=st.sampled_from([1.0, 1e-44, 3e37]),
    signed=st.booleans(),
)
def test_select_is_exact_on_adversarial_orders(order, seed, distinct, share, scale, signed):
    rng = np.random.default_rng(seed)
    x = (np.abs(rng.standard_normal(distinct)) * scale).astype(F)[rng.integers(distinct, size=SIZE)]
    x = np.ascontiguousarray(ORDERS[order](x))
    x[rng.random(x.size) < 0.5 * signed] *= -1
    k = int(share * x.size)
    s = K.select(x, k, placed=True)
    places = np.sort(ranked(x)[:k])
    assert s.places.tolist() == places.tolist()
    assert s.kept.tobytes() == x[places].tobytes()
    assert s.threshold == (np.abs(x[places]).min() if k else np.inf)


def test_importing_the_codecs_imports_no_numba_and_compiles_nothing():
    code = """
import sys, slsim.codecs
assert "numba" not in sys.modules and "torch" not in sys.modules
from slsim.codecs.kernels import levels, marks, packing, selection, tables
for module in (levels, marks, packing, selection, tables):
    assert not any(getattr(kernel, "signatures", ()) for kernel in vars(module).values())
"""
    subprocess.run([sys.executable, "-c", code], check=True)
