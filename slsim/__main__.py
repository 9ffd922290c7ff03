"""`python -m slsim`, the same as `slsim`: the command line, imported where Ctrl-C is no traceback."""

from __future__ import annotations

from slsim.interruption import interrupted, listen


def main() -> None:
    """The entry point of the command."""
    listen()
    try:
        from slsim import cli

        cli.main()
    except KeyboardInterrupt:
        interrupted()


if __name__ == "__main__":
    main()
