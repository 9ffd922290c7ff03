"""Who does the trainings of a study: this process, processes beside it, a Ray cluster, or any executor that
is given.

A crew has a place for each training that runs at a time, with the device that torch computes on there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, ParamSpec, TypeVar

from slsim.events import Notice, Tell
from slsim.registry import registry_of
from slsim.scenario import Scenario
from slsim.study.channel import LOCAL
from slsim.study.processes import Processes
from slsim.study.training import Training

if TYPE_CHECKING:
    from slsim.study.elsewhere import Place

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Crew:
    """`devices`: a device for each training that runs at a time. `open` gives the executor, `kill` ends it
    with all that it does. `host` is the address at which other processes tell events to this one; None where
    trainings run in this process. `rehearsal` is the device of this process itself; `place` is where
    trainings on machines that do not see the study's folder put what they learned."""

    devices: tuple[str, ...]
    open: Callable[[], Executor]
    kill: Callable[[Executor], None]
    host: str | None = None
    rehearsal: str = "cpu"
    place: Place | None = None

    @property
    def workers(self) -> int:
        """How many trainings run at a time."""
        return len(self.devices)


class Here(Executor):
    """Does each job in this process when it is submitted."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """A future that is done."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  # as executors do; Ctrl-C goes through
            future.set_exception(error)
        return future


@dataclass(frozen=True)
class Staffing:
    """Who is to do a study's trainings: so many `workers` (None: as many as there are cores for), on
    `device`, in processes of this machine or `on` "ray"; or an `executor` of somebody else's. `share` is the
    fsspec URL of a place that all machines see, where they do not see the results folder."""

    device: str = "cpu"
    workers: int | None = None
    executor: Executor | None = None
    on: Literal["ray"] | None = None
    share: str | None = None

    def crew(self, trainings: Sequence[Training], tell: Tell) -> Crew:
        """The crew for these trainings. Several of them run at a time, unless a component is known to this
        process alone, which is told."""
        if self.executor is not None:
            return given(self.executor, self.device, len(trainings), self._place)
        if self.on is not None and trainings:
            return self._ray(min(self.workers or len(trainings), len(trainings)))
        threads = max((one.scenario.training.threads for one in trainings), default=1)
        devices = devices_of(self.device, threads, len(trainings), self.workers)
        if len(devices) == 1:
            return here(devices[0])
        if name := next((name for one in trainings for name in _of_this_process(one.scenario)), None):
            tell(
                Notice(
                    f'"{name}" is registered in this process alone, so trainings run one after another; for '
                    'several at a time name it by its file, "path/to/file.py:Name"'
                )
            )
            return here(devices[0])
        return processes(devices)

    def _ray(self, most: int) -> Crew:
        """A cluster. Raises `StudyError` where there is none."""
        from slsim.study.on_ray import OnRay

        cluster = OnRay(gpus=0.0 if self.device == "cpu" else 1.0)
        crew = given(cluster, self.device, most, self._place, cluster.host)

        return replace(crew, rehearsal="cpu")

    @property
    def _place(self) -> Place | None:
        if not self.share:
            return None
        from slsim.study.elsewhere import Place  # it needs pandas, as all that trains

        return Place(self.share)


def _of_this_process(scenario: Scenario) -> Iterator[str]:
    """The names of components that other processes do not know."""
    training = scenario.training
    choices = [scenario.data.component, scenario.model.component, training.protocol, *training.hooks]
    choices += [*scenario.codec.choices().values(), scenario.server.device, scenario.network.transport]
    choices += [share.device for share in scenario.clients.device]
    choices += [scenario.model.adapter] if scenario.model.adapter else []
    for choice in choices:
        if registry_of(choice.kind).is_of_this_process(choice.name):
            yield choice.name


def here(device: str) -> Crew:
    """One training at a time, in this process."""
    return Crew((device,), Here, lambda executor: executor.shutdown(), rehearsal=device)


def processes(devices: tuple[str, ...]) -> Crew:
    """A process for each of `devices`, begun when the crew is opened."""

    def kill(executor: Executor) -> None:
        assert isinstance(executor, Processes)
        executor.kill()

    return Crew(devices, lambda: Processes(len(devices)), kill, LOCAL, devices[0])


def given(executor: Executor, device: str, most: int, place: Place | None = None, host: str = LOCAL) -> Crew:
    """An executor of somebody else's, which is given everything at once: `most` trainings."""

    def open_given() -> Executor:
        return executor

    def kill(executor: Executor) -> None:
        executor.shutdown(wait=False, cancel_futures=True)

    return Crew((device,) * most, open_given, kill, host, device, place)


def devices_of(device: str, threads: int, trainings: int, workers: int | None) -> tuple[str, ...]:
    """The device of each place of a crew: `workers` of them, by default as many as this machine has cores for
    their threads, or GPUs, and in no case more than there are trainings. "cuda" deals out all GPUs."""
    gpus = _gpus() if device == "cuda" else [device] if device != "cpu" else []
    count = workers or (len(gpus) if gpus else max(1, cores() // threads))
    count = max(1, min(count, trainings))
    return tuple(gpus[place % len(gpus)] if gpus else device for place in range(count))


def cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not every system says
        return os.cpu_count() or 1


def _gpus() -> list[str]:
    """ "cuda:0", "cuda:1" …, where there are several."""
    import torch

    count = torch.cuda.device_count()
    return [f"cuda:{number}" for number in range(count)] if count > 1 else ["cuda"]
