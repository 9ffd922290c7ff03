"""Rate traces: how fast a link was at which time, read from a file and checked whole.

`read` takes the forms that the field's data sets come in (see `forms.py`), and refuses a file with the line,
what was found there and what is allowed. `files_at` lists the files of a folder of traces.
"""

from slsim.traces.forms import FORMATS, Form, read
from slsim.traces.text import TraceError, files_at
from slsim.traces.values import Opportunities, Trace

__all__ = ["FORMATS", "Form", "Opportunities", "Trace", "TraceError", "files_at", "read"]
