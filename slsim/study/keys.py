"""What tells trainings apart: a key of all that is learned from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from slsim import own_files
from slsim.scenario import Scenario


def training_key(scenario: Scenario) -> str:
    """Eight hexadecimal digits of a hash over what is learned from: the scenario's learning part, and the
    text of every file that a component comes from, and of the modules of one's own that it imports. What else
    it reads is kept beside (see `reuse`): the key
    is needed where a recording is opened or replayed too, and the data may be on another machine."""
    table = scenario.learning_table()
    files = sorted({text.rpartition(":")[0] for text in _strings(table) if ".py:" in text})
    sources = [own_files.digest_of(Path(file)) for file in files]
    text = json.dumps([table, sources], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _strings(value: object) -> list[str]:
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in _strings(item)]
    return [value] if isinstance(value, str) else []
