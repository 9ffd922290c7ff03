"""Max-min fair rates, without a clock."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slsim.network.sharing import max_min_rates

NO_CAP = math.inf


def test_one_flow_gets_the_slowest_link_of_its_route():
    assert max_min_rates([("a", "b")], {"a": 10.0, "b": 4.0}, [NO_CAP]) == [4.0]


def test_a_cap_leaves_its_share_to_the_others():
    assert max_min_rates([("a",)] * 3, {"a": 10.0}, [2.0, NO_CAP, NO_CAP]) == [2.0, 4.0, 4.0]


def test_a_cap_above_the_fair_share_does_nothing():
    assert max_min_rates([("a",)] * 2, {"a": 10.0}, [7.0, NO_CAP]) == [5.0, 5.0]


def test_a_flow_without_links_gets_its_cap():
    assert max_min_rates([()], {}, [3.0]) == [3.0]


def test_no_flows_have_no_rates():
    assert max_min_rates([], {"a": 1.0}, []) == []


def test_what_a_slow_link_leaves_passes_down_a_chain():
    # Flows 0 to 2 have a third of a each. Flow 2 leaves 2/3 of b to flow 3, which leaves 4/3 of c to flow 4.
    rates = max_min_rates(
        [("a",), ("a",), ("a", "b"), ("b", "c"), ("c",)], {"a": 1.0, "b": 1.0, "c": 2.0}, [NO_CAP] * 5
    )
    assert rates == pytest.approx([1 / 3, 1 / 3, 1 / 3, 2 / 3, 4 / 3])


@st.composite
def fillings(draw):
    names = "abcdefg"[: draw(st.integers(1, 7))]
    rates = st.floats(1e-3, 1e12)
    capacity_bps = {name: draw(rates) for name in names}
    routes = draw(
        st.lists(st.lists(st.sampled_from(names), min_size=1, unique=True), min_size=1, max_size=12)
    )
    caps = [draw(st.one_of(st.just(NO_CAP), rates)) for _ in routes]
    return routes, capacity_bps, caps


@settings(derandomize=True, deadline=None, max_examples=200)
@given(fillings())
def test_every_flow_is_at_its_cap_or_has_a_bottleneck(filling):
    """The property that defines max-min fairness (Bertsekas and Gallager, section 6.5.2)."""
    routes, capacity_bps, caps = filling
    rates = max_min_rates(routes, capacity_bps, caps)
    load_bps, fastest_bps = dict.fromkeys(capacity_bps, 0.0), dict.fromkeys(capacity_bps, 0.0)
    for route, rate in zip(routes, rates, strict=True):
        for link in route:
            load_bps[link] += rate
            fastest_bps[link] = max(fastest_bps[link], rate)
    assert all(load_bps[link] <= capacity_bps[link] * (1 + 1e-12) for link in capacity_bps)
    for route, rate, cap in zip(routes, rates, caps, strict=True):
        assert 0 < rate <= cap
        assert rate == cap or any(
            load_bps[link] >= capacity_bps[link] * (1 - 1e-12) and rate >= fastest_bps[link] * (1 - 1e-12)
            for link in route
        )
