"""Random streams: one per purpose and index, all derived from the scenario's seed."""

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from slsim import seeds

SEED = st.integers(0, 2**32 - 1)
PURPOSE = st.sampled_from(["batches", "codec", "partition", "weights"])
INDEX = st.lists(st.integers(0, 1_000), max_size=3)
PROPERTY = settings(derandomize=True, deadline=None, max_examples=100)


@PROPERTY
@given(SEED, PURPOSE, INDEX)
def test_the_same_purpose_gives_the_same_stream(seed, purpose, index):
    first, second = (seeds.generator(seed, purpose, *index) for _ in range(2))
    assert first.integers(0, 2**62, 8).tolist() == second.integers(0, 2**62, 8).tolist()
    assert seeds.integer(seed, purpose, *index) == seeds.integer(seed, purpose, *index)


def test_drawing_from_one_stream_changes_no_other():
    untouched = seeds.generator(3, "codec", 1).random(4).tolist()
    stream = seeds.generator(3, "codec", 1)
    seeds.generator(3, "codec", 0).random(1_000)
    seeds.generator(3, "batches", 1).random(1_000)
    assert stream.random(4).tolist() == untouched


def test_another_seed_purpose_or_index_gives_another_stream():
    keys = list(product(range(10), ["batches", "codec", "weights"], range(30)))
    streams = {tuple(seeds.generator(*key).integers(0, 2**62, 2).tolist()) for key in keys}
    assert len(streams) == len(keys) == 900
    assert len({seeds.integer(*key) for key in keys}) == len(keys)


def test_indices_in_another_order_give_another_stream():
    assert seeds.integer(0, "codec", 1, 2) != seeds.integer(0, "codec", 2, 1)


def test_purposes_do_not_share_a_stream_without_an_index():
    assert seeds.integer(0, "partition") != seeds.integer(0, "weights")
    assert seeds.generator(0, "partition").random() != seeds.generator(0, "weights").random()


@PROPERTY
@given(SEED, PURPOSE, INDEX)
def test_an_integer_seed_has_63_bits(seed, purpose, index):
    assert 0 <= seeds.integer(seed, purpose, *index) < 2**63


def test_integer_seeds_use_their_63_bits():
    assert any(seeds.integer(seed, "weights") >= 2**62 for seed in range(20))


def test_no_index_and_index_zero_are_different_streams():
    draws = {seeds.generator(1, "x", *index).integers(2**62) for index in [(), (0,), (0, 0)]}
    assert len(draws) == 3
