"""What a trace says: a rate that changes, or the instants at which a few bytes may pass."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Trace:
    """From `times_s[i]` on the rate is `rates_bps[i]`; the trace starts again every `period_s` (inf: never).

    Times begin at 0 and rise, all below the period; rates are at least 0, and 0 is an outage. The last rate
    of a trace that never starts again is above 0: it holds for ever.
    """

    times_s: tuple[float, ...]
    rates_bps: tuple[float, ...]
    period_s: float = math.inf

    @property
    def best_bps(self) -> float:
        """The highest rate at any time, in bit/s."""
        return max(self.rates_bps)

    def changes(self, shift_s: float = 0.0) -> Iterator[tuple[float, float]]:
        """Times (from 0) and rates, endless where the trace starts again; `shift_s` (>= 0) into it at 0."""
        into_s = math.fmod(shift_s, self.period_s)
        first = bisect.bisect_right(self.times_s, into_s) - 1
        yield 0.0, self.rates_bps[first]
        for lap in itertools.count():
            begin_s = lap * self.period_s - into_s if lap else -into_s
            for index in range(0 if lap else first + 1, len(self.times_s)):
                yield begin_s + self.times_s[index], self.rates_bps[index]
            if math.isinf(self.period_s):
                return


@dataclass(frozen=True)
class Opportunities:
    """At each of `times_ms` up to `num_bytes` may pass, and nothing between; what is not used is lost.

    Source: R. Netravali et al., Mahimahi: Accurate Record-and-Replay for HTTP, USENIX ATC 2015. Times are
    whole milliseconds from 0 on and do not fall; a time that stands there twice lets twice as much pass. The
    list starts again at its last time, which is above 0. The clock begins `shift_s` (>= 0) into it.
    """

    times_ms: tuple[int, ...]
    num_bytes: int = 1500
    shift_s: float = 0.0

    @property
    def best_bps(self) -> float:
        """Without bound: an opportunity takes no time."""
        return math.inf

    @property
    def mean_bps(self) -> float:
        """What passes in one run through the list, by its length, in bit/s."""
        return 8 * self.num_bytes * len(self.times_ms) / self.period_s

    @property
    def period_s(self) -> float:
        """After which the list starts again, in seconds."""
        return self.times_ms[-1] / 1000

    def time_s(self, number: int) -> float:
        """When the opportunity of that number, counted from 0 over all runs through the list, is."""
        lap, index = divmod(number, len(self.times_ms))
        return (lap * self.times_ms[-1] + self.times_ms[index]) / 1000 - self.shift_s

    def first_from(self, time_s: float) -> int:
        """The number of the first opportunity at `time_s` or later."""
        laps, into_ms = divmod(1000 * (time_s + self.shift_s), self.times_ms[-1])
        return max(0, int(laps) * len(self.times_ms) + bisect.bisect_left(self.times_ms, into_ms))
