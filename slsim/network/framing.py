"""Framing: what a payload weighs on the wire, in segments that each carry headers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

from slsim.errors import NetworkError


@dataclass(frozen=True, slots=True)
class Framing:
    """Every `segment_bytes` of a payload, and what is left at its end, travel with `header_bytes`.

    The defaults are TCP's over Ethernet with a maximum transmission unit of 1,500 bytes and timestamps
    (RFC 9293, RFC 7323): segments of 1,448 bytes, each behind 14 bytes of Ethernet, 20 of IPv4 and 32 of
    TCP header: 4.6 % more bytes than the payload's own. `Framing(header_bytes=0)` adds nothing.

    Raises NetworkError for a segment that is not a whole number above 0, or a header not a whole number
    of at least 0.
    """

    segment_bytes: int = 1448
    header_bytes: int = 66

    def __post_init__(self) -> None:
        if not (isinstance(self.segment_bytes, int) and self.segment_bytes > 0):
            raise NetworkError(
                f"segment_bytes(={self.segment_bytes!r}) of the framing must be a whole number > 0."
            )
        if not (isinstance(self.header_bytes, int) and self.header_bytes >= 0):
            raise NetworkError(
                f"header_bytes(={self.header_bytes!r}) of the framing must be a whole number >= 0."
            )

    @overload
    def framed(self, num_bytes: int) -> int: ...
    @overload
    def framed(self, num_bytes: NDArray[np.int64]) -> NDArray[np.int64]: ...

    def framed(self, num_bytes: int | NDArray[np.int64]) -> int | NDArray[np.int64]:
        """Bytes on the wire of payloads of `num_bytes` (>= 0); of an empty one 0."""
        return num_bytes + self.header_bytes * -(-num_bytes // self.segment_bytes)


UNFRAMED = Framing(header_bytes=0)
