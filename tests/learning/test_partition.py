"""Who holds which samples, and the mini-batches of one pass over them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slsim.errors import DataError
from slsim.learning.data import Dataset
from slsim.learning.partition import (
    batches,
    class_counts,
    dirichlet,
    iid,
    partition_samples,
    power_law,
    power_law_sizes,
    shards,
    unevenness,
)
from slsim.scenario import Partition

PROPERTY = settings(derandomize=True, deadline=None, max_examples=50)
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


@pytest.mark.parametrize("alpha", [1e9, 1e308])
def test_a_huge_alpha_splits_every_class_evenly(alpha):
    for part in dirichlet(BALANCED, 5, alpha, rng()):
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


# --- sizes by a power law


@pytest.mark.parametrize(
    ("samples", "count", "exponent", "sizes"),
    [
        (110, 3, 1.0, [60, 30, 20]),  # 1 : 1/2 : 1/3
        (147, 3, 2.0, [108, 27, 12]),  # 1 : 1/4 : 1/9
        (10, 3, 1.0, [5, 3, 2]),  # 5.45, 2.73, 1.82: what is left goes to the largest remainders
        (12, 4, 9.0, [9, 1, 1, 1]),  # everyone has one
        (13, 4, 3.0, [10, 1, 1, 1]),  # 11 · (1, 1/8) give the second rank more than 1, and less than 2
        (4, 4, 1.0, [1, 1, 1, 1]),
        (5, 1, 1.0, [5]),
        (10, 4, 1e-9, [3, 3, 2, 2]),
    ],
)
def test_sizes_by_a_power_law_worked_out_by_hand(samples, count, exponent, sizes):
    assert power_law_sizes(samples, count, exponent).tolist() == sizes


@PROPERTY
@given(LABELS, COUNT, st.sampled_from([0.01, 0.5, 1.0, 1.2, 3.0, 50.0, 1e9]), SEED)
def test_power_law_parts_are_disjoint_complete_and_never_empty(labels, count, exponent, seed):
    count = min(count, labels.size)
    parts = power_law(labels, count, exponent, rng(seed))
    assert is_a_partition(parts, labels.size)
    assert min(part.size for part in parts) >= 1


@PROPERTY
@given(st.integers(1, 200), st.integers(0, 5_000), st.floats(0.01, 5.0))
def test_sizes_by_a_power_law_fall_with_rank_and_are_proportional(count, more, exponent):
    sizes = power_law_sizes(count + more, count, exponent)
    assert sizes.sum() == count + more
    assert (np.diff(sizes) <= 0).all()
    weights = np.arange(1, count + 1) ** -exponent

    def proportional(ranks):
        """Whether the first ranks share what the others, of one sample each, leave."""
        exact = (more + ranks) * weights[:ranks] / weights[:ranks].sum()
        return np.abs(sizes[:ranks] - exact).max() < 1 and (sizes[ranks:] == 1).all()

    assert any(proportional(ranks) for ranks in range(1, count + 1))


def test_which_client_has_most_samples_is_drawn():
    largest = {int(np.argmax([part.size for part in power_law(BALANCED, 5, 1.5, rng(s))])) for s in range(40)}
    assert largest == set(range(5))


def test_samples_by_a_power_law_mix_the_classes():
    parts = power_law(BALANCED[np.argsort(BALANCED)], 2, 1.0, rng())
    assert sorted(part.size for part in parts) == [333, 667]
    assert skew(parts) < 0.1


@pytest.mark.parametrize(
    ("chosen", "reason"),
    [
        (Partition("shards", 1), "3 samples do not make 4 × 1 shards"),
        (Partition("power_law", 1), "3 samples are not one for each of 4 clients; ask for fewer clients"),
    ],
)
def test_fewer_samples_than_clients_are_refused_where_each_is_due_one(chosen, reason):
    assert len(partition_samples(chosen, labelled([0] * 4), 4, 0)) == 4
    with pytest.raises(DataError, match=reason):
        partition_samples(chosen, labelled([0] * 3), 4, 0)


def test_fewer_samples_than_clients_leave_some_without():
    parts = partition_samples(Partition("iid"), labelled([0] * 3), 4, 0)
    assert sorted(part.size for part in parts) == [0, 1, 1, 1]


# --- by whose the samples are


def labelled(labels, **groups):
    """A data set of these labels, and groups."""
    images = np.zeros((len(labels), 1, 1, 1), np.uint8)
    return Dataset(images, np.array(labels), images, np.array(labels), groups)


@pytest.mark.parametrize("writers", [[7, 3, 7, 900, 3, 7], ["f2", "f1", "f2", "f9", "f1", "f2"]])
def test_each_writers_samples_go_to_one_client_in_order(writers):
    data = labelled([0, 1, 2, 0, 1, 2], writer=np.array(writers))

    def parts(clients):
        return [part.tolist() for part in partition_samples(Partition("by", "writer"), data, clients, 0)]

    assert parts(3) == [[1, 4], [0, 2, 5], [3]]
    assert parts(2) == [[1, 3, 4], [0, 2, 5]]  # the third writer's to the first client
    assert parts(1) == [[0, 1, 2, 3, 4, 5]]
    with pytest.raises(
        DataError, match='by "writer": 3 groups are not one for each of 4 clients; set clients'
    ):
        parts(4)


def test_groups_that_the_data_has_not_are_named_beside_those_that_it_has():
    chosen = Partition("by", "user")
    with pytest.raises(
        DataError, match=r'which "user" a sample is of; groupings that it has: writer \(an \.npz'
    ):
        partition_samples(chosen, labelled([0, 1], writer=np.array([0, 1])), 2, 0)
    with pytest.raises(DataError, match="groupings that it has: none .* array user_train"):
        partition_samples(chosen, labelled([0, 1]), 2, 0)


# --- who got what


def test_class_counts_by_hand():
    labels = np.array([0, 2, 2, 0, 1])
    parts = [np.array([0, 1, 2]), np.array([], np.int64), np.array([4, 3])]
    assert class_counts(parts, labels, 4).tolist() == [[1, 0, 2, 0], [0, 0, 0, 0], [1, 1, 0, 0]]


@pytest.mark.parametrize(
    ("counts", "distance"),
    [
        ([[5, 5], [10, 10]], 0.0),
        ([[10, 0], [0, 10]], 0.5),
        ([[10, 0], [0, 30]], (0.75 + 0.25) / 2),  # of all samples, a quarter is of class 0
        ([[10, 0], [0, 0], [0, 10]], 0.5),  # who holds nothing does not count
        ([[3, 1], [1, 3]], 0.25),
    ],
)
def test_unevenness_by_hand(counts, distance):
    assert unevenness(np.array(counts)) == pytest.approx(distance)


def test_unevenness_is_the_tests_own_measure():
    parts = dirichlet(BALANCED, 10, 0.3, rng())
    assert unevenness(class_counts(parts, BALANCED, 10)) == pytest.approx(skew(parts))


@pytest.mark.parametrize(
    ("chosen", "sizes"),
    [
        (Partition("iid"), [20, 20, 20]),
        (Partition("shards", 2), [20, 20, 20]),
        (Partition("power_law", 1.0), [11, 16, 33]),
        (Partition("dirichlet", 1e9), [18, 21, 21]),
    ],
)
def test_a_scenarios_partition_is_drawn_from_its_seed(chosen, sizes):
    labels = np.arange(60) % 3
    images = np.zeros((60, 1, 1, 1), np.uint8)
    data = Dataset(images, labels, images, labels)
    parts = [part.tolist() for part in partition_samples(chosen, data, 3, 7)]
    assert sorted(map(len, parts)) == sizes
    assert parts == [part.tolist() for part in partition_samples(chosen, data, 3, 7)]
    assert parts != [part.tolist() for part in partition_samples(chosen, data, 3, 8)]


WAYS = {
    "iid": lambda generator: iid(BALANCED, 7, generator),
    "dirichlet": lambda generator: dirichlet(BALANCED, 7, 0.3, generator),
    "shards": lambda generator: shards(BALANCED, 7, 2, generator),
    "power_law": lambda generator: power_law(BALANCED, 7, 1.2, generator),
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
