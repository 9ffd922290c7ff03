"""`seed` and `seeds` of a scenario file: the seeds that each of its settings is run with.

They may stand in three ways: `seed = [0, 1, 2]`, `seeds = 3` (so many from `seed` on, which is 0 if left out)
and `[sweep] seed = [0, 1, 2]`, which is how a list of seeds was written before it had a key of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from slsim.errors import Fault, FaultsError
from slsim.scenario.sweep import MOST_CASES

BEYOND_SEEDS = 2**63
_IN_SWEEP = 'sweep."seed"'


def split_seeds(document: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[int, ...], list[Fault]]:
    """Return `document` with its first seed alone, all its seeds, and what is wrong with them. There are no
    seeds where the document has one or says nothing about seeds, and keeps what it says."""
    rest = {key: value for key, value in document.items() if key != "seeds"}
    if isinstance(sweep := document.get("sweep"), Mapping) and "seed" in sweep:
        rest["sweep"] = {key: value for key, value in sweep.items() if key != "seed"}
    try:
        path, given = _given(document)
        if given is None:
            return rest, (), []
        faults = list(_faults(path, given))
    except FaultsError as error:
        given, faults = (), list(error.faults)
    seeds = () if faults else tuple(given)
    return {**rest, "seed": seeds[0] if seeds else 0}, seeds, faults


def set_seeds(document: dict[str, Any], key: str, value: Any) -> None:
    """Set `seed` or `seeds` in `document`, in place of whatever it says about seeds that would contradict."""
    sweep = document.get("sweep")
    if isinstance(sweep, dict):
        swept = sweep.pop("seed", None)
        if key == "seeds" and isinstance(swept, list) and swept:
            document["seed"] = swept[0]
    if key == "seeds" and isinstance(first := document.get("seed"), list) and first:
        document["seed"] = first[0]
    if key == "seed" and isinstance(value, list):
        document.pop("seeds", None)
    document[key] = value


def _given(document: Mapping[str, Any]) -> tuple[str, Sequence[Any] | None]:
    """Where the document lists its seeds, and the list; None where it lists none."""
    seed, sweep = document.get("seed"), document.get("sweep")
    ways: dict[str, object] = {"seed": seed} if isinstance(seed, list) else {}
    if "seeds" in document:
        ways["seeds"] = document["seeds"]
    if isinstance(sweep, Mapping) and "seed" in sweep:
        ways[_IN_SWEEP] = sweep["seed"]
    if not ways:
        return "", None
    path, *others = ways
    if others:
        what = f"there is {path} too; say the seeds once, best by a list: seed = [0, 1, 2]"
        raise FaultsError([Fault(others[0], what)])
    if path == "seeds":
        return path, _counted(ways[path], 0 if seed is None else seed)
    return path, _listed(path, ways[path])


def _counted(count: object, first: object) -> range:
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST_CASES:
        what = f"must be a number of seeds, from 1 to {MOST_CASES:,}, found {count!r}"
        raise FaultsError([Fault("seeds", what)])
    if faults := list(_faults("seed", [first], listed=False)):
        raise FaultsError(faults)
    assert isinstance(first, int)
    return range(first, first + count)


def _listed(path: str, values: object) -> Sequence[Any]:
    if not isinstance(values, list) or not values:
        raise FaultsError([Fault(path, f"must be a list of one seed or more, found {values!r}")])
    return values


def _faults(path: str, seeds: Sequence[Any], *, listed: bool = True) -> Iterator[Fault]:
    """A fault for each seed that is none, and for each that is there before."""
    if len(seeds) > MOST_CASES:
        yield Fault(path, f"has {len(seeds):,} seeds; at most {MOST_CASES:,} cases are allowed")
        return
    known: set[int] = set()
    for index, seed in enumerate(seeds):
        place = f"{path}[{index}]" if listed and not isinstance(seeds, range) else path
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < BEYOND_SEEDS:
            yield Fault(place, f"a seed is a whole number from 0 to 2⁶³ - 1, found {seed!r}")
        elif seed in known:
            yield Fault(place, f"{seed} is there twice; each seed is run once")
        else:
            known.add(seed)
