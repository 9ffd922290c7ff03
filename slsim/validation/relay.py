"""A path with delay: passes Ethernet frames between two tap devices, each frame a fixed time later.

Run by path, `python -I -S relay.py PARENT DELAY NAME NAME`, in the namespace where the two devices shall
appear; they may be moved to another one. DELAY is in seconds, one way. Says {} on stdout when the devices
are there. Dies with the process PARENT that started it, and the devices with it.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import signal
import struct
import sys
import time
from collections import deque
from contextlib import suppress

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000  # <linux/if_tun.h>
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
LARGEST_FRAME = 65_550
AT_ONCE = 64  # frames read before what is due is written


def tap(name: str) -> int:
    """The file of a new tap device. Raises OSError when the kernel has none to give."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return device


def read_all(device: int) -> list[bytes]:
    """The frames that wait there, `AT_ONCE` at most."""
    frames: list[bytes] = []
    with suppress(OSError):  # no more; or the device is not up yet
        while len(frames) < AT_ONCE:
            frames.append(os.read(device, LARGEST_FRAME))
    return frames


def relay(first: int, second: int, delay_s: float) -> None:
    """Pass frames on, for ever; `waiting` holds, by exit, when a frame is due, and the frame."""
    to_other = {first: second, second: first}
    waiting: dict[int, deque[tuple[float, bytes]]] = {
        first: deque(),
        second: deque(),
    }
    while True:
        due_s = min((queue[0][0] for queue in waiting.values() if queue), default=None)
        wait_s = None if due_s is None else max(0.0, due_s - time.monotonic())
        for entry in select.select([first, second], [], [], wait_s)[0]:
            until_s = time.monotonic() + delay_s
            waiting[to_other[entry]].extend((until_s, frame) for frame in read_all(entry))
        for device, queue in waiting.items():
            while queue and queue[0][0] <= time.monotonic():
                with suppress(OSError):  # a device that is not up yet
                    os.write(device, queue.popleft()[1])


def main() -> None:
    """Make the devices, say so, and relay."""
    parent, delay_s, names = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)
    first, second = map(tap, names)
    print("{}", flush=True)
    relay(first, second, delay_s)


if __name__ == "__main__":
    main()
