"""Ctrl-C, from the first import on: one word and exit status 130. The first one is a `KeyboardInterrupt`, so
that what is finished is saved; the second ends the process at once, wherever it is: every file is written
whole or not at all. This module imports nothing but Python's own."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import NoReturn

EXIT_INTERRUPTED = 130
SHOW_CURSOR = "\x1b[?25h"  # progress bars hide it


def listen() -> None:
    """From now on Ctrl-C is as this module says, unless whoever started the process has it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _first)


def _first(number: int, frame: FrameType | None) -> None:
    del number, frame
    signal.signal(signal.SIGINT, _second)
    raise KeyboardInterrupt


def _second(number: int, frame: FrameType | None) -> None:
    del number, frame
    os.write(2, (SHOW_CURSOR if os.isatty(2) else "").encode() + b"Interrupted\n")
    os._exit(EXIT_INTERRUPTED)


def interrupted() -> NoReturn:
    """Says so and exits; another Ctrl-C does not disturb that."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stderr.write("Interrupted\n")
    sys.exit(EXIT_INTERRUPTED)
