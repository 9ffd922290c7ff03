"""slsim: how long and how many bytes until a split-learning model is this accurate, on these links,
with this codec.

    slsim.plan("scenarios/quickstart.toml")                       # what it will take
    study  = slsim.run("scenarios/quickstart.toml")              # trains what is not there yet
    study.summary                                                 # a pandas DataFrame, one row a setting
    faster = study.replay({"network.uplink": "20 Mbps"})          # no training
    study  = slsim.open_study("results/quickstart")
    slsim.compare(["results/quickstart", faster])                 # several studies in one table
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slsim.study import Study, compare, open_study, plan, run

__version__ = "0.1.0"
__all__ = ["Study", "__version__", "compare", "open_study", "plan", "run"]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    """What `__all__` names, imported when first asked for: importing slsim costs nothing."""
    if name in ("Study", "compare", "open_study", "plan", "run"):
        from slsim import study

        return getattr(study, name)
    raise AttributeError(f"module 'slsim' has no attribute {name!r}")
