"""The Recording: what a training sent and computed, round by round, byte by byte, and how it learned.

It is where the two planes meet: learning writes it, the clock plays it.
"""

from slsim.recording.columns import Messages, Turns
from slsim.recording.records import (
    ACTIVATIONS,
    GRADIENTS,
    LABELS,
    STATISTICS,
    WEIGHTS,
    Costs,
    Direction,
    Evaluation,
    Format,
    Measurement,
    Message,
    RoundRecord,
    Status,
    TestSet,
    Turn,
)
from slsim.recording.schema import (
    EVALUATIONS_FILE,
    FORMAT_VERSION,
    HEADER_FILE,
    MESSAGES_FILE,
    PROBES_FILE,
)
from slsim.recording.store import Recording, read_header

__all__ = [
    "ACTIVATIONS",
    "EVALUATIONS_FILE",
    "FORMAT_VERSION",
    "GRADIENTS",
    "HEADER_FILE",
    "LABELS",
    "MESSAGES_FILE",
    "PROBES_FILE",
    "STATISTICS",
    "WEIGHTS",
    "Costs",
    "Direction",
    "Evaluation",
    "Format",
    "Measurement",
    "Message",
    "Messages",
    "Recording",
    "RoundRecord",
    "Status",
    "TestSet",
    "Turn",
    "Turns",
    "read_header",
]
