"""Who holds which samples, and the mini-batches of one pass over them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slsim.errors import DataError
from slsim.learning.partition import batches, dirichlet, iid, shards

PROPERTY = settings(derandomize=True, deadline=None, max_examples=150)
LABELS = st.lists(st.integers(0, 5), min_size=1, max_size=80).map(np.array)
COUNT = st.integers(1, 12)
SEED = st.integers(0, 2**32 - 1)
BALANCED = np.arange(1_000) % 10  # 100 of each of 10 classes


def rng(seed=0):
    return np.random.default_rng(seed)


def is_a_partition(parts, size):
    """Whether each sample is in exactly one part."""
    return sorted(np.concatenate(parts).tolist()) == list(range(size))


def histogram(part):
    return np.bincount(BALANCED[part], minlength=10)


def skew(parts):
    """Total variation between a client's classes and the data set's, averaged over clients: 0 … 0.9."""
    distances = [np.abs(histogram(part) / part.size - 0.1).sum() / 2 for part in parts if part.size]
    return sum(distances) / len(distances)


@PROPERTY
@given(LABELS, COUNT, SEED)
def test_iid_parts_are_disjoint_complete_and_even(labels, count, seed):
    parts = iid(labels, count, rng(seed))
    sizes = [part.size for part in parts]
    assert len(parts) == count
    assert is_a_partition(parts, labels.size)
    assert max(sizes) - min(sizes) <= 1


def test_iid_parts_mix_the_classes():
    parts = iid(BALANCED[np.argsort(BALANCED)], 10, rng())
    assert [part.size for part in parts] == [100] * 10
    assert all((np.sort(part) != np.arange(100) + part.min()).any() for part in parts)
    assert skew(iid(BALANCED, 10, rng())) < 0.2


@PROPERTY
@given(LABELS, COUNT, st.sampled_from([1e-12, 0.01, 0.1, 1.0, 100.0, 1e9]), SEED)
def test_dirichlet_parts_are_disjoint_and_complete(labels, count, alpha, seed):
    parts = dirichlet(labels, count, alpha, rng(seed))
    assert len(parts) == count
    assert is_a_partition(parts, labels.size)


def test_a_smaller_alpha_is_more_skewed():
    def mean_skew(alpha):
        return np.mean([skew(dirichlet(BALANCED, 10, alpha, rng(seed))) for seed in range(5)])

    skews = [mean_skew(alpha) for alpha in (0.01, 0.1, 1.0, 10.0, 1_000.0)]
    assert skews == sorted(skews, reverse=True)
    assert skews[0] > 0.6
    assert skews[-1] < 0.05


def test_a_huge_alpha_splits_every_class_evenly():
    for part in dirichlet(BALANCED, 5, 1e9, rng()):
        assert np.abs(histogram(part) - 20).max() <= 1


def test_a_tiny_alpha_gives_each_class_to_one_client():
    parts = dirichlet(BALANCED, 5, 1e-9, rng())
    assert sum(np.count_nonzero(histogram(part)) for part in parts) == 10


@pytest.mark.parametrize("per_client", [1, 2, 5])
def test_shards_give_each_client_few_labels(per_client):
    # 10 clients, 1,000 samples: a shard is 100, 50 or 20 samples, so it never spans two classes.
    parts = shards(BALANCED, 10, per_client, rng())
    assert is_a_partition(parts, 1_000)
    for part in parts:
        assert part.size == 100
        assert 1 <= np.count_nonzero(histogram(part)) <= per_client


@PROPERTY
@given(LABELS, COUNT, st.integers(1, 4), SEED)
def test_shards_are_disjoint_and_complete_or_refused(labels, count, per_client, seed):
    if labels.size < count * per_client:
        with pytest.raises(DataError):
            shards(labels, count, per_client, rng(seed))
        return
    parts = shards(labels, count, per_client, rng(seed))
    sizes = [part.size for part in parts]
    assert len(parts) == count
    assert is_a_partition(parts, labels.size)
    assert min(sizes) >= per_client
    assert max(sizes) - min(sizes) <= per_client  # shards differ by one sample at most


def test_fewer_samples_than_shards_are_refused():
    with pytest.raises(DataError, match="5 samples do not make 3 × 2 shards; ask for fewer shards"):
        shards(np.zeros(5, int), 3, 2, rng())
    assert [part.size for part in shards(np.zeros(6, int), 3, 2, rng())] == [2, 2, 2]


WAYS = {
    "iid": lambda generator: iid(BALANCED, 7, generator),
    "dirichlet": lambda generator: dirichlet(BALANCED, 7, 0.3, generator),
    "shards": lambda generator: shards(BALANCED, 7, 2, generator),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_partition_follows_from_its_generator(way):
    first, again, other = ([part.tolist() for part in way(rng(seed))] for seed in (1, 1, 2))
    assert first == again
    assert first != other


@PROPERTY
@given(st.integers(0, 60), st.integers(1, 20), SEED)
def test_batches_cover_the_part_once(size, batch_size, seed):
    part = np.arange(100, 100 + size)
    taken = list(batches(part, batch_size, rng(seed)))
    full, rest = divmod(size, batch_size)
    assert [batch.size for batch in taken] == [batch_size] * full + [rest] * (rest > 0)
    assert sorted(sample for batch in taken for sample in batch.tolist()) == part.tolist()
    assert part.tolist() == list(range(100, 100 + size))  # left as it was


def test_the_last_batch_is_smaller():
    assert [batch.size for batch in batches(np.arange(10), 4, rng())] == [4, 4, 2]


def test_each_pass_has_a_new_order():
    generator = rng()
    first, second = (np.concatenate(list(batches(np.arange(50), 10, generator))) for _ in range(2))
    assert first.tolist() != second.tolist()
    assert first.tolist() != list(range(50))
