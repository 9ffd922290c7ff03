"""A filling goes on from a mark of the last one."""

import random

import pytest

from slsim.network import Link, Network, RateChange, Transfer
from slsim.network.filling_arrays import LAST_MARK
from slsim.network.mesh import Mesh

MB = 1_000_000  # bytes


@pytest.mark.parametrize("seed", range(6))
def test_where_a_filling_goes_on_from_changes_nothing(monkeypatch, seed):
    rng = random.Random(seed)
    names = [f"link{i}" for i in range(12)]
    changes = [RateChange(rng.uniform(0, 20), rng.choice(names), rng.uniform(1e6, 1e8)) for _ in range(20)]
    network = Network([Link(name, rng.uniform(1e7, 1e8)) for name in names], changes)
    routes = [tuple(rng.sample(names, rng.randint(1, 5))) for _ in range(300)]
    caps_bps = [None, None, 1e6] + [rng.uniform(1e4, 2e6) for _ in range(20)]
    transfers = [
        Transfer(rng.choice(routes), rng.randint(1, MB), rng.uniform(0, 20), rng.choice(caps_bps))
        for _ in range(1500)
    ]
    settle, marks = Mesh.settle, []

    def settle_from_the_start(mesh, now_s):
        marks.append(mesh._totals[LAST_MARK])
        mesh._totals[LAST_MARK] = 0
        settle(mesh, now_s)

    end_s = network.completion_times(transfers)
    monkeypatch.setattr(Mesh, "settle", settle_from_the_start)
    assert network.completion_times(transfers) == pytest.approx(end_s, rel=1e-9)
    assert max(marks) > 2
