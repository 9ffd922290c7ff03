"""`seed` and `seeds` of a scenario file: the seeds that each of its settings is run with.

They may stand in three ways: `seed = [0, 1, 2]`, `seeds = 3` (so many from `seed` on, which is 0 if left out)
and `[sweep] seed = [0, 1, 2]`, which is how a list of seeds was written before it had a key of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from slsim.errors import Fault, FaultsError
from slsim.scenario.bounds import MOST_CASES
from slsim.scenario.ranges import is_range
from slsim.scenario.sweep import Swept, unfolded

BEYOND_SEEDS = 2**63
_IN_SWEEP = 'sweep."seed"'


def split_seeds(document: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[int, ...], list[Fault]]:
    """Return `document` with its first seed alone, all its seeds, and what is wrong with them. There are no
    seeds where the document has one or says nothing about seeds, and keeps what it says."""
    rest = {key: value for key, value in document.items() if key != "seeds"}
    if isinstance(sweep := document.get("sweep"), Mapping) and "seed" in sweep:
        rest["sweep"] = {key: value for key, value in sweep.items() if key != "seed"}
    try:
        given = _given(document)
        if given is None:
            return rest, (), []
        faults = list(_faults(given))
    except FaultsError as error:
        given, faults = [], list(error.faults)
    seeds = () if faults else tuple(seed.value for seed in given)
    return {**rest, "seed": seeds[0] if seeds else 0}, seeds, faults


def set_seeds(document: dict[str, Any], key: str, value: Any) -> None:
    """Set `seed` or `seeds` in `document`, in place of whatever it says about seeds that would contradict."""
    before = document.get("seed")
    if isinstance(sweep := document.get("sweep"), dict):
        before = sweep.pop("seed", before)
    if key == "seed" and _lists(value):
        document.pop("seeds", None)
    if key == "seeds" and _lists(before):
        document["seed"] = next((seed.value for seed in unfolded(before, "seed")), 0)
    document[key] = value


def _lists(seed: object) -> bool:
    return isinstance(seed, list) or is_range(seed)


def _given(document: Mapping[str, Any]) -> list[Swept] | None:
    """The seeds that the document lists, or counts; None where it does neither."""
    seed, sweep = document.get("seed"), document.get("sweep")
    ways: dict[str, object] = {"seed": seed} if _lists(seed) else {}
    if "seeds" in document:
        ways["seeds"] = document["seeds"]
    if isinstance(sweep, Mapping) and "seed" in sweep:
        ways[_IN_SWEEP] = sweep["seed"]
    if not ways:
        return None
    path, *others = ways
    if others:
        what = f"there is {path} too; say the seeds once, best by a list: seed = [0, 1, 2]"
        raise FaultsError([Fault(others[0], what)])
    if path == "seeds":
        return _counted(ways[path], 0 if seed is None else seed)
    if not ways[path] or not _lists(ways[path]):
        raise FaultsError([Fault(path, f"must be a list of one seed or more, found {ways[path]!r}")])
    return unfolded(ways[path], path)


def _counted(count: object, first: object) -> list[Swept]:
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST_CASES:
        what = f"must be a number of seeds, from 1 to {MOST_CASES:,}, found {count!r}"
        raise FaultsError([Fault("seeds", what)])
    if faults := list(_faults([Swept(first, "seed")])):
        raise FaultsError(faults)
    assert isinstance(first, int)
    return [Swept(seed, "seeds") for seed in range(first, first + count)]


def _faults(seeds: Sequence[Swept]) -> Iterator[Fault]:
    """A fault for each seed that is none, and for each that is there before."""
    known: set[int] = set()
    for seed in seeds:
        if (
            isinstance(seed.value, bool)
            or not isinstance(seed.value, int)
            or not 0 <= seed.value < BEYOND_SEEDS
        ):
            yield Fault(seed.path, f"a seed is a whole number from 0 to 2⁶³ - 1, found {seed.value!r}")
        elif seed.value in known:
            yield Fault(seed.path, f"{seed.value} is there twice; each seed is run once")
        else:
            known.add(seed.value)
