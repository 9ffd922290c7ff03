"""Where the figures of a study in memory get their tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slsim.results import APART, StudyFolder

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class TablesOf:
    """The tables of a study, its own and those in its folder that other commands made."""

    study: Any
    folder: StudyFolder

    @property
    def path(self) -> Path:
        """The study's folder."""
        return self.folder.path

    def has_table(self, name: str) -> bool:
        """Whether there is one."""
        if name in APART:
            return self.folder.has_table(name)
        return name != "measurements" or len(self.study.measurements) > 0

    def load_table(self, name: str) -> pd.DataFrame:
        """The table. Raises `StudyError` for one of another command that cannot be read."""
        table: pd.DataFrame = self.folder.load_table(name) if name in APART else getattr(self.study, name)
        return table
