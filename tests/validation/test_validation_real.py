"""A short form of the real thing: real bytes over real TCP, with bounds that a busy machine can keep."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from lab_cases import assert_says_what_it_lacks, lacking
from rich.console import Console

from slsim.validation.predict import own_rounds
from slsim.validation.tables import print_validation, save
from slsim.validation.validate import Plan, validate

SHORT = Plan(
    (100e6,),
    (1_000_000,),
    flows=(1,),
    repeats=3,
    default_congestion_too=False,
    delays_s=(0.005,),
    delayed_rates_bps=(20e6,),
    delayed_sizes=(400_000,),
)
BOUND = 0.25


def test_the_clock_is_near_real_tcp(tmp_path: Path) -> None:
    if lacking():
        assert_says_what_it_lacks()
        return
    heard: list[str] = []
    found = validate(SHORT, own_rounds()[:1], tell=heard.append)
    kinds = [one.experiment.kind for one in found.comparisons]
    assert kinds == ["transfers", "round", "round", "round", "delayed", "delayed"]
    for one in found.comparisons:
        assert len(one.measured_s) == 3
        assert abs(one.error) < BOUND or (one.experiment.kind, one.transport) == ("delayed", "fluid"), one
    assert heard[0] == "100 Mbps, cubic: 1 × 1 MB"
    console = Console(record=True, width=120)
    print_validation(console, found)
    assert "1 × 1 MB" in console.export_text()
    save(found, tmp_path)
    clock = pd.read_csv(tmp_path / "clock.csv")
    assert list(clock["kind"]) == kinds
    assert len(pd.read_csv(tmp_path / "measurements.csv")) == 18
    assert "round of ten clients" in (tmp_path / "tables.md").read_text(encoding="utf-8")
