"""docs/reference/scenario.md is what the models say."""

from __future__ import annotations

import runpy
from pathlib import Path

from slsim.scenario import Scenario

SCRIPT = Path(__file__).parents[2] / "scripts" / "make_scenario_reference.py"


def test_the_page_is_the_models() -> None:
    made = runpy.run_path(str(SCRIPT))
    text = made["PAGE"].read_text("utf-8")
    assert text == made["reference"](), f"run python scripts/{SCRIPT.name}"
    assert all(f"`[{name}]`" in text or f"| `{name}` |" in text for name in Scenario.model_fields)
