"""Trainings as tasks of a Ray cluster: each with its CPU cores and its GPU, on whatever machine has them.

What they learned comes through the results folder, which all machines see under the same path, or through a
place that they share (`elsewhere.py`). slsim, and the files that a scenario names, must be on each machine.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar

from slsim.errors import StudyError
from slsim.study.processes import ProcessDiedError
from slsim.study.training import Training

P = ParamSpec("P")
T = TypeVar("T")


class OnRay(Executor):
    """Gives each job to the cluster that `RAY_ADDRESS` names, or that runs on this machine; where there is
    none, one is begun here, and ended with this. A job whose machine or process dies raises
    `ProcessDiedError`.

    A training is given as many CPU cores as it has threads, and so many `gpus` (0.5: half of one). Raises
    `StudyError` where Ray is not installed or no cluster can be reached.
    """

    def __init__(self, gpus: float = 0.0) -> None:
        self._ray, self._gpus = _ray(), gpus
        self._references: list[Any] = []
        self._is_ours = not self._ray.is_initialized()
        if self._is_ours:
            try:
                self._ray.init(log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
            except Exception as error:  # connections fail in many ways
                raise StudyError(
                    f"no Ray cluster can be reached: {error}; begin one by `ray start --head`, or name it in "
                    "RAY_ADDRESS"
                ) from error

    @property
    def host(self) -> str:
        """The address of this machine, as the others see it."""
        address: str = self._ray.util.get_node_ip_address()
        return address

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """The future of a call on some machine of the cluster."""
        cpus = next((one.scenario.training.threads for one in args if isinstance(one, Training)), 1)
        task = self._ray.remote(num_cpus=cpus, num_gpus=self._gpus, max_retries=0)(_called)
        reference = task.remote(fn, args, kwargs)
        self._references.append(reference)
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        reference.future().add_done_callback(lambda done: self._pass_on(done, future))
        return future

    def _pass_on(self, done: Future[T], future: Future[T]) -> None:
        error = done.exception()
        if error is None:
            future.set_result(done.result())
        elif isinstance(error, self._ray.exceptions.RayTaskError):
            future.set_exception(getattr(error, "cause", error))
        else:  # the worker crashed, its node died, or had no memory left
            future.set_exception(ProcessDiedError(f"lost ({type(error).__name__})"))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the cluster; end it if it was begun here, and with `cancel_futures` all that it does."""
        del wait  # whoever waits has the futures
        if cancel_futures:
            for reference in self._references:
                with suppress(Exception):  # it may be done, or lost
                    self._ray.cancel(reference, force=True)
        if self._is_ours:
            self._ray.shutdown()


def _called(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The task: one name for all that is called."""
    return fn(*args, **kwargs)


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise StudyError('Ray is not installed; `pip install "slsim[ray]"` installs it') from error
    return ray
