"""The arrays of a mesh, which compiled code works on.

They are few, because handing one to compiled code costs as much as filling ten flows does. A column is a pool
or a group. Pool 0 is none: short routes are filled up with it.

numba keeps kernels on disk, and renews one when its own file changes: after a change here, or in a kernel
that others call, delete `slsim/network/__pycache__`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Hops: TypeAlias = NDArray[np.uint32]  # unsigned: an index that may be negative takes longer
Groups: TypeAlias = NDArray[np.uint32]
AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])

# pool_floats[i, pool]: the tree of pools (see `filling.py`), what holds now, and what held at each mark:
# bit/s that the fixed groups leave, and flows not fixed yet.
LEVELS, NOW, MARKS = range(3)
SPARE, RISING = range(2)
NUM_MARKS = 10  # of one filling; at the first, nothing is fixed
# marks[i]: no fixed group is faster; how many groups are fixed; the next of BY_LIMIT.
LEVEL, FIXED, NEXT = range(3)

# pool_ints: rows 0 and 1 are the tree of pools, too; the others say where in `members` a pool's groups are.
FIRST, LENGTH, ROOM = range(2, 5)

# group_floats: bit/s, virtual bits, seconds. group_ints: flows; then groups: those with flows and a limit, by
# it; those in which a flow ends first; those fixed, in order.
LIMIT, SPEED, CLOCK, SINCE, GOAL, FILLED, FINISH = range(7)
COUNT, BY_LIMIT, DUE, ORDER = range(4)

# hops[:, group, i]: a pool of its route; where the group is among the pool's members.
POOL, PLACE = range(2)

# changes[i]: a group, and how many flows have come.
GROUP, MORE = range(2)

# totals: columns of groups; of changes; groups with flows; of BY_LIMIT; of ORDER; the last mark that holds;
# how much of `members` is in use.
SIZE, CHANGES, FLOWING, LIMITED, NUM_FIXED, LAST_MARK, END = range(7)


def kernel(function: AnyFunction) -> AnyFunction:
    return cast(AnyFunction, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def inlined(function: AnyFunction) -> AnyFunction:
    """For what is called often: a call with arrays costs as much as a few dozen additions."""
    return cast(AnyFunction, numba.njit(inline="always", error_model="numpy")(function))
