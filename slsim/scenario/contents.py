"""Rate traces called by what is in them, so that what is learned does not depend on where files lie."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slsim.traces import files_at


def by_content(value: Any) -> Any:
    """`value`, a table of plain values, in which every `trace = "…"` is the file's name and a hash of what it
    holds, or the folder's and one of all traces in it. Raises `TraceError` where there is none."""
    if isinstance(value, Mapping):
        return {
            key: _named(Path(item)) if key == "trace" and isinstance(item, str) else by_content(item)
            for key, item in value.items()
        }
    return [by_content(item) for item in value] if isinstance(value, (list, tuple)) else value


def _named(path: Path) -> str:
    digest = hashlib.sha256()
    for file in files_at(path):
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return f"{path.name}@{digest.hexdigest()[:8]}"
