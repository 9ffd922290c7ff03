"""What a study keeps of the files that its scenario reads for the clock, so that its folder can be moved,
packed and opened elsewhere: rate traces, each below `inputs/` under a hash of its content."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = "inputs"


def localised(document: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Path]]:
    """A resolved scenario in which every `trace = "…"` of the network, swept or not, is called by its path
    in the study's own folder; and by these paths, where each file is now."""
    files: dict[str, Path] = {}

    def of(value: Any, key: str) -> Any:
        if isinstance(value, Mapping):
            return {name: of(item, name) for name, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [of(item, key) for item in value]
        is_trace = key.rpartition(".")[2] == "trace" and isinstance(value, str)
        return _local(Path(value), files) if is_trace else value

    def of_grid(grid: Mapping[str, Any]) -> dict[str, Any]:
        return {key: of(value, key) if key.startswith("network") else value for key, value in grid.items()}

    sweep = document.get("sweep")
    kept = list(map(of_grid, sweep)) if isinstance(sweep, list) else of_grid(sweep or {})
    local = {**document, "network": of(document["network"], "network")}
    return {**local, "sweep": kept} if kept else local, files


def _local(path: Path, files: dict[str, Path]) -> str:
    """The path of a file, or of a folder of files, in a study's folder; its files are noted."""
    below = [path]
    if path.is_dir():
        below = sorted(one for one in path.rglob("*") if one.is_file() and not one.name.startswith("."))
    digest = hashlib.sha256()
    for one in below:
        content = one.read_bytes()
        digest.update(f"{one.relative_to(path)} {len(content)}\n".encode(errors="surrogateescape"))
        digest.update(content)
    home = Path(FOLDER, digest.hexdigest()[:8], path.name)
    files.update({str(home / one.relative_to(path)): one for one in below})
    return home.as_posix()
