"""What a study measured of what papers claim: its traffic multipliers, setting by setting."""

from __future__ import annotations

from slsim.claims.alongside import Measured
from slsim.own_code import without_folder
from slsim.study.study import Study


def measured_in(study: Study) -> list[Measured]:
    """Each setting of a study that was played, with the codec of its uplink and its traffic multiplier."""
    scenarios = {run.setting: run.scenario for run in reversed(study.played)}
    found = []
    for row in study.summary.to_dict("records"):
        setting = str(row["setting"])
        if setting not in scenarios or scenarios[setting].model.adapter is not None:
            continue  # every training of it failed; or it is no codec's alone
        scenario = scenarios[setting]
        model = scenario.model
        where = {
            "data": without_folder(scenario.data.component.name),
            "model": without_folder(model.component.name),
            "cut": str(model.cut),
        }
        ends = (float(row[f"traffic_multiplier{end}"]) for end in ("", "_low", "_high"))
        counts = int(row["seeds"]), int(row["reached"])
        found.append(Measured(setting, scenario.codec.uplink.table(), where, *counts, *ends))
    return found
