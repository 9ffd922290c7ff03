"""The command line: one short function a command. What a command does is in the rooms below.

Heavy imports are inside the commands: `slsim --help`, `slsim list` and a faulty scenario answer at once.
"""

from slsim.cli import looking, pictures, studies, training
from slsim.cli.app import app, main

ORDER = (  # of the commands in the help; each module above has added its own
    *("plan", "run", "replay", "show", "frontier", "compare", "check", "plot", "report", "trace", "clean"),
    *("errors", "partition", "calibrate", "validate-clock", "list", "schema"),
)
for command in app.registered_commands:
    assert command.callback is not None
    command.name = command.name or command.callback.__name__
    command.help = " ".join((command.callback.__doc__ or "").split())  # one paragraph, whatever its lines
app.registered_commands.sort(key=lambda command: ORDER.index(str(command.name)))

__all__ = ["app", "looking", "main", "pictures", "studies", "training"]
