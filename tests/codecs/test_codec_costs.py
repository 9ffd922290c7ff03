"""What codecs cost: the table of those that ship, and how one of one's own is asked or measured."""

import itertools
import math

import numpy as np
import pytest

from slsim import codecs
from slsim.codecs import Codec, Coder, costs, registry, timing
from slsim.codecs.costs import SHIPPED, cost_of
from slsim.errors import CodecError

BATCH = (10, 32, 7, 7)  # the quickstart's
LARGE = (10, 64, 32, 32)


def core_ns(name, shape=BATCH, sparse=True, **params):
    """ns an element, encoding and decoding, lossless stage included."""
    cost = cost_of(codecs.create(name, **params), shape, sparse)
    return [1e9 * (own + stage) for own, stage in zip(cost.core_s, cost.lossless_s, strict=True)]


def test_every_codec_that_ships_has_seconds_and_none_is_measured():
    assert set(registry.names()) >= SHIPPED
    for name in SHIPPED:
        cost = cost_of(codecs.create(name), BATCH, sparse=True, clock=pytest.fail)
        assert cost.core_s is not None
        assert cost.measured_core is None
        assert (min(cost.core_s) > 0) == (name != "identity")


def test_code_hash_costs_nothing_but_its_lossless_stage():
    assert cost_of(codecs.create("identity"), BATCH, True) == costs.CodecCost((0.0, 0.0), (0.0, 0.0))
    encode_ns, decode_ns = core_ns("identity", lossless="zstd")
    assert encode_ns > 1
    assert decode_ns > 1


@pytest.mark.parametrize(
    ("name", "low", "high"),  # ns an element of the quickstart's messages, both ways, on a fast core
    [("kmeans", 50, 500), ("qsgd", 5, 50), ("ms", 2, 20), ("qu", 2, 20), ("rt", 3, 30), ("cast", 1, 20)],
)
def test_the_order_of_magnitude_is_that_of_a_measurement(name, low, high):
    assert low < sum(core_ns(name)) < high


def test_a_measured_setting_costs_what_was_measured():
    """The table's rows come out again: a part's µs, an element's ns, and a line between measured sizes."""
    for row in costs._content()["settings"]:
        if row["codec"] in SHIPPED:
            codec = codecs.create(row["codec"], **row["parameters"])
            parts, elements = costs.parts_of(codec, LARGE), math.prod(LARGE)
            for kind in ("sparse", "dense"):
                found = cost_of(codec, LARGE, sparse=kind == "sparse").core_s
                rows = (row[kind]["encode"], row[kind]["decode"])
                expected = [(1e-6 * part * parts + 1e-9 * each * elements) / elements for part, each in rows]
                assert found == pytest.approx(expected, rel=1e-9)


def test_what_lies_between_and_beyond_measured_settings():
    """Ten times the iterations of kmeans take nearly ten times as long, and what decoding takes stays."""
    few, many = (core_ns("kmeans", shape=LARGE, iterations=count) for count in (100, 1000))
    assert many[0] / few[0] == pytest.approx(10, rel=0.2)
    assert many[1] == pytest.approx(few[1], rel=0.2)
    between = [core_ns("kmeans", iterations=count)[0] for count in (5, 10, 20, 30)]
    assert between == sorted(between)
    sparsities = [core_ns("sp", shape=LARGE, sparsity=share)[0] for share in (0.5, 0.7, 0.9, 0.95)]
    assert sparsities == sorted(sparsities, reverse=True)


def test_a_higher_level_of_zstd_costs_more():
    levels = [core_ns("ms", shape=LARGE, lossless="zstd", zstd_level=level)[0] for level in (1, 9, 19)]
    assert levels == sorted(levels)
    assert levels[0] > core_ns("ms", shape=LARGE)[0]
    assert core_ns("qu", lossless="zstd") == core_ns("qu", lossless="zstd", zstd_level=1)


def test_the_stage_context_costs_more_by_bits_and_where_nothing_is_zero():
    for name in ("sp", "ms", "qu", "identity", "cast"):
        plain, zstd, context = (
            core_ns(name, shape=LARGE, lossless=stage) for stage in (None, "zstd", "context")
        )
        assert context[0] > zstd[0] > plain[0]
        assert context[1] > zstd[1] > plain[1]
    by_bits = [core_ns("qu", shape=LARGE, bits=bits, lossless="context")[0] for bits in (1, 3, 5, 8)]
    assert by_bits == sorted(by_bits)
    dense = cost_of(codecs.create("qu", bits=8, lossless="context"), LARGE, sparse=False)
    assert 1e9 * dense.lossless_s[0] > by_bits[-1]


def test_a_codec_that_takes_each_sample_alone_costs_more_where_samples_are_small():
    assert core_ns("ms", shape=(10, 100), scope="sample")[0] > 2 * core_ns("ms", shape=(10, 100))[0]


def test_nothing_is_divided_by_an_empty_tensor():
    for name in SHIPPED:
        assert cost_of(codecs.create(name, lossless="zstd"), (0, 3), False).core_s == (0.0, 0.0)


# --- codecs of one's own


class Silent(Codec):
    """Says nothing of its cost."""

    def encode_values(self, values, shape, rng):
        return values.astype("<f4").tobytes()

    def decode_values(self, content, shape):
        return np.frombuffer(content, "<f4")

    def body_bytes(self, shape):
        return 4 * math.prod(shape)


class Frank(Silent):
    """Says what it takes on the core of reference."""

    def core_seconds(self, shape):
        return 2e-9 * math.prod(shape), 1e-9 * math.prod(shape)


class Touching(Silent):
    """Says what memory it touches."""

    def bytes_touched(self):
        return 6.0, 7.0


class Idle(Silent):
    """Says that there is nothing to do."""

    def bytes_touched(self):
        return 0, 0


class Failing(Silent):
    """Cannot be measured: what it raises is told by the training."""

    def encode_values(self, values, shape, rng):
        raise RuntimeError("boom")


def ticking(step_s=1e-3):
    """A clock of which every reading is `step_s` after the one before: every call takes so long."""
    readings = itertools.count()
    return lambda: step_s * next(readings)


def test_a_codec_that_says_nothing_is_measured_in_seconds_of_the_core_of_reference():
    """Whatever is measured takes 1 ms, the loop of reference too: so this core's milliseconds are worth
    `loop_s` each there, and the 15,680 elements took one."""
    cost = cost_of(Silent(), BATCH, sparse=True, clock=ticking())
    each_s = costs.loop_s() / 15_680
    assert cost.core_s == pytest.approx((each_s, each_s))
    assert cost.measured_core == pytest.approx(costs.loop_s() / 1e-3)
    assert cost.memory_bytes == (0.0, 0.0)  # not known: an accelerator leaves it to the core beside it


def test_on_a_machine_twice_as_slow_the_same_codec_costs_the_same():
    quick, slow = (cost_of(Silent(), BATCH, True, clock=ticking(step_s)) for step_s in (1e-3, 2e-3))
    assert slow.core_s == pytest.approx(quick.core_s)
    assert slow.measured_core == pytest.approx(quick.measured_core / 2)


def test_measuring_stops_when_it_has_taken_long_enough():
    calls = []
    timing.median_of(lambda: calls.append(0), repeats=9, clock=ticking(0.06), seconds=0.1)
    assert len(calls) == 1 + 2  # the first is not counted; after two, 0.12 s are over


def test_what_a_codec_says_is_used_and_not_measured():
    frank = cost_of(Frank(), BATCH, True, clock=pytest.fail)
    assert frank.core_s == pytest.approx((2e-9, 1e-9))
    assert frank.measured_core is None
    touching = cost_of(Touching(), BATCH, True, clock=pytest.fail)
    assert (touching.memory_bytes, touching.core_s) == ((6.0, 7.0), None)
    assert cost_of(Idle(), BATCH, True, clock=pytest.fail) == costs.CodecCost((0.0, 0.0), None)


def test_a_codec_that_cannot_be_measured_counts_as_one_read_and_one_write():
    cost = cost_of(Failing(), BATCH, True)
    assert (cost.memory_bytes, cost.core_s, cost.measured_core) == ((8.0, 8.0), None, None)


BAD_ACCOUNTS = [(-1e12, math.nan), (-1e6, 8.0), (math.inf, 8.0), ("4", 4), None, 8.0, (8.0, 8.0, 8.0)]


@pytest.mark.parametrize("account", BAD_ACCOUNTS)
@pytest.mark.parametrize(
    ("method", "asked"),
    [
        ("bytes_touched", cost_of),
        ("core_seconds", cost_of),
        ("gradient_bytes_touched", costs.gradient_cost_of),
    ],
)
def test_a_cost_that_makes_no_sense_is_named_with_its_codec(method, asked, account):
    codec = type("Mine", (Silent,), {method: lambda *_: account})()
    with pytest.raises(CodecError, match=f"the codec Mine, in {method}: gives .* two finite numbers"):
        asked(codec, BATCH, True)
    (fault,) = codec.faults()  # as a scenario is told, before anything runs
    assert f"the codec Mine, in {method}: " in fault.message


def test_a_codec_that_fails_to_say_what_it_costs_is_named():
    def fails(self):
        raise ZeroDivisionError("boom")

    codec = type("Mine", (Silent,), {"bytes_touched": fails})()
    (fault,) = codec.faults()
    assert "Mine, in " in fault.message
    assert fault.message.endswith(": ZeroDivisionError: boom")
    assert Silent().faults() == []


@pytest.mark.parametrize("name", registry.names())
def test_a_coder_that_sees_gradients_is_charged_for_it(name):
    """Who pulls back or learns has a cost at that end, in memory traffic and seconds; others have none."""
    codec = codecs.create(name)
    cost = costs.gradient_cost_of(codec, BATCH, sparse=True)
    coder = type(codec.coder())
    sees = coder.pull_back is not Coder.pull_back or coder.learn is not Coder.learn
    assert (cost.memory_bytes[0] > 0) == sees
    assert (cost.memory_bytes[1] > 0) == (codec.learns_from == "true logits")  # other receivers only decode
    if costs.ships(codec):
        assert [second > 0 for second in cost.core_s] == [touched > 0 for touched in cost.memory_bytes]


def test_a_correction_costs_the_sender_what_any_codec_else_does_not():
    plain, corrected = (
        costs.gradient_cost_of(codecs.create("qu", correction=value), BATCH, True) for value in (None, 0.5)
    )
    assert plain == costs.CodecCost((0.0, 0.0), (0.0, 0.0))
    assert corrected.memory_bytes == (16.0, 0.0)  # three numbers read, one written
    assert 0 < corrected.core_s[0] < 10e-9
    assert corrected.core_s[1] == 0
