"""The application, the options before a command, and what becomes of errors and of Ctrl-C."""

from __future__ import annotations

import io
import os
import sys
import tempfile
import traceback
from typing import Annotated

import typer

from slsim.boundary import told
from slsim.cli.options import EXIT_BAD_INPUT, EXIT_CHECK_FAILED, console, error_console
from slsim.errors import SlsimError
from slsim.interruption import EXIT_INTERRUPTED, interrupted
from slsim.threads import spin_briefly

app = typer.Typer(
    help="How long and how many bytes until a split-learning model is this accurate, "
    "on these links, with this codec.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(asked: bool) -> None:
    if asked:
        from slsim.results import CODE, environment

        versions = environment()["versions"]
        console.print(f"slsim {versions['slsim']} (code {versions[CODE]})", highlight=False)
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option(
        "--version", callback=_print_version, is_eager=True, help="Print the version, and which code."
    ),
]


@app.callback()
def options(version: Version = False) -> None:
    """The options that stand before a command."""
    del version  # it has been printed by now


def main() -> None:
    """The entry point: one clear line an error, and an exit status (1: something failed, 2: bad input, 130:
    interrupted)."""
    spin_briefly()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a path need not be UTF-8
    try:
        app()
    except SlsimError as error:
        error_console().print(str(error))
        sys.exit(getattr(error, "exit_status", EXIT_BAD_INPUT))
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_CHECK_FAILED)
    except KeyboardInterrupt:
        interrupted()
    except SystemExit as end:
        if end.code == EXIT_INTERRUPTED:  # what typer makes of Ctrl-C, without a word
            interrupted()
        raise
    except Exception as error:  # noqa: BLE001  # the last resort
        if _was_interrupted(error):
            interrupted()
        error_console().print(_unexpected(error))
        sys.exit(EXIT_CHECK_FAILED)


def _was_interrupted(error: BaseException | None) -> bool:
    """Whether Ctrl-C is behind an error: libraries make others of it, and cut imports short."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__cause__ or error.__context__
    return False


def _unexpected(error: Exception) -> str:
    """One line about a fault of slsim's own, with its traceback in a file."""
    reason = f"slsim failed: {told(error)}; please report it"
    try:
        with tempfile.NamedTemporaryFile("w", prefix="slsim-", suffix=".txt", delete=False) as file:
            file.write("".join(traceback.format_exception(error)))
    except (OSError, ValueError):
        return reason
    return f"{reason}, with the file {file.name}"
