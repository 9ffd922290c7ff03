"""What is predicted, what the real programs are told to do, and how the two are compared."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from slsim.errors import StudyError
from slsim.validation.comparison import Comparison, Experiment, Validation
from slsim.validation.markdown import error, markdown
from slsim.validation.predict import arrivals_s, delayed_arrival_s, own_rounds, rounds_of
from slsim.validation.tables import make_folder, print_validation

REFERENCE = Path(__file__).parents[2] / "results" / "reference" / "quickstart"


def test_a_transfer_is_framed_and_has_the_shapers_credit() -> None:
    framed = 100_000 + 70 * 66  # 69.06 segments of 1448 bytes
    assert arrivals_s(1, 100_000, 10e6, 0.0)[0] == pytest.approx((framed - 16384) * 8 / 10e6)
    together = arrivals_s(10, 100_000, 10e6, 0.0)
    assert together[-1] == pytest.approx((10 * framed - 16384) * 8 / 10e6)


def test_a_transfer_that_fits_into_the_bucket_takes_the_latency() -> None:
    assert arrivals_s(1, 10_000, 10e6, 0.001)[0] == pytest.approx(0.001)


def test_a_fresh_connection_over_delay_waits_for_acknowledgements() -> None:
    # Windows of 10, 20, 40 and 80 segments, each a round trip of 40 ms after the one before; the rest, with
    # the last half of a round trip: 195.3 ms by the reckoning of RFC 5681 and 6928, less a shaper's credit.
    arrival_s = delayed_arrival_s(400_000, 100e6, 0.040)
    assert arrival_s == pytest.approx(0.1953, rel=0.01)
    assert arrival_s > 3 * arrivals_s(1, 400_000, 100e6, 0.020)[0]


def test_real_clients_sleep_for_the_simulations_times() -> None:
    unequal, equal = own_rounds()
    turns = unequal.turns()
    assert [turn.up_bytes for turn in turns[:2]] == [50_010, 80_010]  # activations, and a byte a label
    assert [turn.down_bytes for turn in turns[:2]] == [50_000, 80_000]
    elements = 50_000 / 4
    assert turns[0].before_s == pytest.approx(10 * 3e-3 + 50e-9 * elements)
    assert turns[0].server_s == pytest.approx(10 * 0.5e-3 + 4e-9 * elements)
    assert turns[0].after_s == pytest.approx(10 * 6e-3 + 20e-9 * elements)
    assert len({turn.up_bytes for turn in equal.turns()}) == 1


def test_the_simulated_round_is_the_longest_turn_and_the_queueing() -> None:
    played = own_rounds()[0].over(1e12, 0.0, "shared")  # so fast that only computing is left
    turns = played.turns()
    first, rest = turns[0], turns[1:]
    # The server computes 5 ms for each, clients come 0.1 to 0.6 ms apart: all wait for those before them.
    served_s = first.before_s + sum(turn.server_s for turn in turns)
    assert played.makespan_s() == pytest.approx(served_s + rest[-1].after_s, rel=1e-3)


def test_a_study_gives_the_first_round_of_each_training() -> None:
    rounds = rounds_of(REFERENCE)
    assert [one.label.split()[0] for one in rounds] == ["identity", "qu", "sp", "rt", "ms"]
    assert all(len(one.turns()) == 10 for one in rounds)
    assert rounds[0].turns()[0].up_bytes > 10 * rounds[1].turns()[0].up_bytes


def test_a_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="is no study"):
        rounds_of(tmp_path)


FOUND = Validation(
    (
        Comparison(Experiment("transfers", 10e6, "cubic", 10, 100_000), (0.9, 1.0, 1.2), 0.95),
        Comparison(Experiment("transfers", 10e6, "cubic", 1, 10_000), (0.0002,), 0.0),
        Comparison(Experiment("round", 10e6, "cubic", 10, 4_500_000, "225 kB each", "fair"), (2.0,), 2.1),
    ),
    {
        "repeats": 3,
        "kernel": "6.1",
        "shaper": "tbf",
        "round_trip_s": 4e-5,
        "default_congestion": "bbr",
        "load_average_before": [1.5],
        "cpus": 2,
    },
)


def test_errors_are_of_the_median_and_none_is_given_where_nothing_was_measured() -> None:
    assert [error(one) for one in FOUND.comparisons] == ["-5.0 %", "< 1 ms", "+5.0 %"]


def test_the_table_says_what_was_measured_and_where() -> None:
    console = Console(record=True, width=120)
    print_validation(console, FOUND)
    text = console.export_text()
    for part in (
        "10 × 100 kB",
        "30.0 %",
        "950 ms",
        "-5.0 %",
        "225 kB each",
        "shared",
        "Linux 6.1",
    ):
        assert part in text
    assert "The machine was busy: load 1.5 on 2 processors." in text
    assert "the kernel's default congestion control is bbr" in text


def test_the_documents_tables_have_rates_side_by_side() -> None:
    assert markdown(FOUND).splitlines() == [
        "| transfers | TCP | 10 Mbps | error |",
        "| --- | --- | ---: | ---: |",
        "| 10 × 100 kB | cubic | 1 s | -5.0 % |",
        "| 1 × 10 kB | cubic | 200 us | < 1 ms |",
        "",
        "| round of ten clients | links | TCP | 10 Mbps | error |",
        "| --- | --- | --- | ---: | ---: |",
        "| 225 kB each | shared | cubic | 2 s | +5.0 % |",
    ]


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyError, match="cannot write .*: Not a directory"):
        make_folder(tmp_path / "file" / "out")
