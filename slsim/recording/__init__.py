"""The recording: what a training did, step by step, byte by byte, and how it learned.

It is where the two planes meet: learning writes it, the clock plays it.
"""

from slsim.recording.cut_shape import CutShape
from slsim.recording.disk import append, files_of, from_files, load, read_header, save, tables_of
from slsim.recording.header import HEADER_FILE
from slsim.recording.kinds import (
    ACTIVATIONS,
    CLIENT_GRADIENTS,
    CODEC_OF,
    CODEC_UPDATES,
    FEATURE_GRADIENTS,
    FEATURES,
    GRADIENTS,
    LABELS,
    SERVER,
    STATISTICS,
    WEIGHTS,
    Phase,
)
from slsim.recording.recording import Mark, Recording
from slsim.recording.records import Evaluation, Format, Kept, MeasuredCodec, Measurement, Status, TestSet
from slsim.recording.rounds import Pause, Round
from slsim.recording.script import Lane, Message, Piece, Script
from slsim.recording.steps import STEP, Rows, Steps, Vocabulary, parse_shape, shape_text

__all__ = [
    "ACTIVATIONS",
    "CLIENT_GRADIENTS",
    "CODEC_OF",
    "CODEC_UPDATES",
    "FEATURES",
    "FEATURE_GRADIENTS",
    "GRADIENTS",
    "HEADER_FILE",
    "LABELS",
    "SERVER",
    "STATISTICS",
    "STEP",
    "WEIGHTS",
    "CutShape",
    "Evaluation",
    "Format",
    "Kept",
    "Lane",
    "Mark",
    "MeasuredCodec",
    "Measurement",
    "Message",
    "Pause",
    "Phase",
    "Piece",
    "Recording",
    "Round",
    "Rows",
    "Script",
    "Status",
    "Steps",
    "TestSet",
    "Vocabulary",
    "append",
    "files_of",
    "from_files",
    "load",
    "parse_shape",
    "read_header",
    "save",
    "shape_text",
    "tables_of",
]
