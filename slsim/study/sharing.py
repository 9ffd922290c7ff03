"""Which client of a scenario holds which training samples, before anything is trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from slsim.learning import partition
from slsim.learning.data import load_data
from slsim.report import figures
from slsim.results import StudyFolder
from slsim.scenario import Plan
from slsim.study.inputs import localised
from slsim.study.placing import folder_for


def share_out(asked: Plan, results: Path) -> tuple[pd.DataFrame, StudyFolder]:
    """Loads the data of the plan's first case, shares its samples out as a training would, and saves
    `partition.csv` and its figure. Columns: client, samples, and for each class how many of it the client
    holds, class_0, class_1 …; where `by` shares out, also how many of these it has, such as writers."""
    scenario = asked.cases[0].scenario
    data = load_data(scenario)
    parts = partition.partition_samples(scenario.data.partition, data, scenario.clients.count, scenario.seed)
    counts = partition.class_counts(parts, data.y_train, data.num_classes)
    table = pd.DataFrame(counts, columns=[f"class_{number}" for number in range(data.num_classes)])
    table.insert(0, "samples", counts.sum(axis=1))
    table.insert(0, "client", np.arange(len(parts)))
    if scenario.data.partition.kind == "by":
        name = str(scenario.data.partition.parameter)
        groups = data.group(name)
        table.insert(1, name, [np.unique(groups[part]).size for part in parts])
    folder = folder_for(asked, results)
    if not folder.scenario_file.exists():
        folder.save_scenario(*localised(asked.document()))
    folder.save_table("partition", table)
    figures.draw(folder, only=["partition"])
    return table, folder
