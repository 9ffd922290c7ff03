"""Who takes part in a round, and which mini-batches clients take."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trainings import evaluated, learn, samples_of, scenario_of, trained

from slsim.clock import Clock
from slsim.learning.sampling import Sampler
from slsim.recording import Steps
from slsim.study.preparing import prepare


def parts(*sizes: int) -> list[np.ndarray]:
    """Consecutive positions for each client."""
    ends = np.cumsum(sizes)
    return [np.arange(end - size, end) for size, end in zip(sizes, ends, strict=True)]


def test_a_pass_takes_each_sample_once_and_the_next_in_another_order() -> None:
    sampler = Sampler(parts(7, 4), 3, seed=0, per_round=None)
    passes = [sampler.next_batch(0) for _ in range(2 * sampler.steps_in_pass(0))]
    assert [batch.indices.size for batch in passes] == [3, 3, 1, 3, 3, 1]
    assert [batch.number for batch in passes] == list(range(6))
    first, second = (np.concatenate([batch.indices for batch in half]) for half in (passes[:3], passes[3:]))
    assert sorted(first) == sorted(second) == list(range(7))
    assert list(first) != list(second)
    assert sampler.taken.tolist() == [6, 0]


def test_batches_follow_from_the_seed_and_from_how_many_were_taken() -> None:
    whole = Sampler(parts(7, 9), 3, seed=5, per_round=None)
    expected = [whole.next_batch(client) for _ in range(8) for client in (0, 1)]
    resumed = Sampler(parts(7, 9), 3, seed=5, per_round=None)
    resumed.taken[:] = [4, 4]
    rest = [resumed.next_batch(client) for _ in range(4) for client in (0, 1)]
    for batch, other in zip(rest, expected[8:], strict=True):
        assert (batch.client, batch.number) == (other.client, other.number)
        assert batch.indices.tolist() == other.indices.tolist()
    other_seed = Sampler(parts(7, 9), 3, seed=6, per_round=None)
    assert other_seed.next_batch(1).indices.tolist() != expected[1].indices.tolist()


def test_all_take_part_until_their_samples_are_used_up() -> None:
    sampler = Sampler(parts(6, 0, 2, 4), 2, seed=0, per_round=None)
    assert sampler.steps_per_epoch == 3
    assert sampler.participants(0) == [0, 2, 3]
    taking_part = [[batch.client for batch in sampler.one_each(number)] for number in range(6)]
    assert taking_part == [[0, 2, 3], [0, 3], [0]] * 2
    assert sampler.participants_share == 1.0


def test_participants_are_drawn_from_the_seed_and_everyone_takes_part_in_the_long_run() -> None:
    sampler, same = (Sampler(parts(*[5] * 20), 5, seed=1, per_round=4) for _ in range(2))
    drawn = [sampler.participants(number) for number in range(500)]
    assert [same.participants(number) for number in reversed(range(500))] == drawn[::-1]
    assert Sampler(parts(*[5] * 20), 5, seed=2, per_round=4).participants(0) != drawn[0]
    for clients in drawn:
        assert clients == sorted(set(clients))
        assert len(clients) == 4
    times = Counter(client for clients in drawn for client in clients)
    assert set(times) == set(range(20))
    assert min(times.values()) > 60  # 100 each; the deviation is 9
    assert max(times.values()) < 140
    assert sampler.participants_share == 4 / 20
    assert sampler.steps_per_epoch == 5


def test_who_has_no_samples_is_never_drawn() -> None:
    sampler = Sampler(parts(*[0, 3] * 10), 2, seed=0, per_round=6)
    drawn = {client for number in range(50) for client in sampler.participants(number)}
    assert drawn == set(range(1, 20, 2))
    assert sampler.participants_share == 0.6
    everyone = Sampler(parts(*[0, 3] * 10), 2, seed=0, per_round=15)  # more than have some
    assert everyone.participants(3) == list(range(1, 20, 2))
    assert everyone.participants_share == 1.0


def test_pooled_batches_go_through_all_samples() -> None:
    sampler = Sampler(parts(5, 0, 8), 3, seed=0, per_round=None)  # two with samples: 6 at a time
    assert sampler.pooled_steps_per_epoch == 3
    batches = [sampler.pooled(number).indices for number in range(6)]
    assert [batch.size for batch in batches] == [6, 6, 1] * 2
    assert sorted(np.concatenate(batches[:3])) == sorted(np.concatenate(batches[3:])) == list(range(13))
    assert Sampler(parts(5, 0, 8), 3, 0, None).pooled(4).indices.tolist() == batches[4].tolist()


PROTOCOLS: list[Any] = [
    "splitfed",
    {"name": "splitfed", "local_epochs": 1},
    "splitfed-v2",
    "sequential",
    "fedavg",
    "centralized",
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_epoch_of_some_participants_sees_as_many_samples_as_there_are(
    tiny: dict[str, Any], protocol: Any
) -> None:
    clients = {"count": 12, "per_round": 4, "batch_size": 5}
    training = {"protocol": protocol, "epochs": 2}
    exchange, steps = trained(scenario_of(tiny, clients=clients, training=training))
    samples = samples_of(steps)
    assert samples.to_numpy().sum() == 2 * 240
    assert set((samples > 0).sum(axis=1)) == {1 if protocol == "centralized" else 4}
    assert evaluated(exchange).epoch == pytest.approx(2)


def test_a_hundred_of_a_hundred_thousand_cost_what_a_hundred_do(tmp_path: Path) -> None:
    """2,000 samples: most clients have none, and a round draws 100 of those that have one."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, size=(2000, 8, 8), dtype=np.uint8)
    labels = (np.arange(2000) % 4).astype(np.uint8)
    path = tmp_path / "many.npz"
    np.savez(path, x_train=images, y_train=labels, x_test=images[:40], y_test=labels[:40])
    clients = {"count": 100_000, "per_round": 100, "batch_size": 5}
    document = {
        "name": "many",
        "data": {"name": "npz", "path": str(path)},
        "model": {"name": "mlp", "hidden": 8, "cut": "shallow"},
        "clients": clients,
        "training": {"protocol": {"name": "splitfed", "local_epochs": 1}, "max_rounds": 2},
    }
    scenario = scenario_of(document)
    few = scenario_of(document, clients={**clients, "count": 200})
    prepare(few)  # what is only ever loaded once is not counted
    tracemalloc.start()
    exchange = prepare(scenario)
    held_before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    rounds = [done.rows for done in learn(scenario, exchange)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held_before < 40e6  # the partition: an array a client
    assert peak - held_before < 10e6
    assert exchange.progress.total_rounds == len(rounds) == 2
    first, second = (set(Steps.of([rows], exchange.words).clients.tolist()) for rows in rounds)
    for drawn in (first, second):
        assert len(drawn) == 100
        assert all(exchange.sampler.parts[client].size for client in drawn)
    assert first != second
    scenario = scenario_of(document, training={"protocol": "splitfed", "max_rounds": 2})
    _, steps = trained(scenario)
    timeline = Clock.of(scenario).run(steps, np.arange(2))
    assert len(timeline.clients) == 200
    assert timeline.makespan_s > 0


@pytest.mark.parametrize(
    ("sizes", "batch_size", "per_round"),
    [((7, 4, 1), 3, None), ((5, 2), 4, None), ((0, 9), 4, None), ((4, 1), 3, 1)],
)
def test_the_smallest_batches_are_known_before(
    sizes: tuple[int, ...], batch_size: int, per_round: int | None
) -> None:
    parts = [np.arange(size) for size in sizes]
    sampler = Sampler(parts, batch_size, 0, per_round)
    each = [
        sampler.one_each(number) for number in range(sampler.steps_per_epoch if per_round is None else 60)
    ]
    assert sampler.smallest == min(batch.indices.size for batches in each for batch in batches)
    assert sampler.smallest_together == min(sum(batch.indices.size for batch in batches) for batches in each)
    pooled = [sampler.pooled(number).indices.size for number in range(sampler.pooled_steps_per_epoch)]
    assert sampler.smallest_pooled == min(pooled)


def test_shares_are_by_samples_or_alike() -> None:
    parts = [np.arange(30), np.arange(10)]
    assert Sampler(parts, 5, 0, None).shares([0, 1]) == {0: 0.75, 1: 0.25}
    assert Sampler(parts, 5, 0, None, "clients").shares([0, 1]) == {0: 0.5, 1: 0.5}
