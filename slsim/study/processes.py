"""An executor whose processes are begun beside this one, each with a job at a time.

Unlike the executors of Python's library it says which job's process died, and begins another in its place;
its processes import nothing of the program that uses slsim, so that a script needs no
`if __name__ == "__main__"`; and they end with the process that they work for, however that ends.
"""

from __future__ import annotations

import json
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from typing import IO, Any, ParamSpec, TypeAlias, TypeVar

from slsim.threads import spin_briefly

P = ParamSpec("P")
T = TypeVar("T")
Jobs: TypeAlias = "queue.SimpleQueue[tuple[Future[Any], bytes] | None]"

LENGTH = 8  # bytes before each message, which say how long it is
BEGIN = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
BEGIN += "from slsim.study.processes import work; work()"


class ProcessDiedError(Exception):
    """The process of a job ended before the job did; `how` says by what."""

    def __init__(self, how: str) -> None:
        self.how = how
        super().__init__(how)


class Processes(Executor):
    """`count` processes, begun at once: they import what a training needs while the first is prepared."""

    def __init__(self, count: int) -> None:
        spin_briefly()
        self._jobs: Jobs = queue.SimpleQueue()
        self._workers = [_Worker() for _ in range(count)]
        self._threads = [
            threading.Thread(target=worker.serve, args=(self._jobs,), daemon=True) for worker in self._workers
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """The future of a call in one of the processes; it raises `ProcessDiedError` where that one dies."""
        future: Future[T] = Future()
        self._jobs.put((future, pickle.dumps((fn, args, kwargs))))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes, after what they were given unless `cancel_futures`."""
        if cancel_futures:
            with suppress(queue.Empty):
                while (job := self._jobs.get_nowait()) is not None:
                    job[0].cancel()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads if wait else []:
            thread.join()

    def kill(self) -> None:
        """End the processes now, whatever they do."""
        for worker in self._workers:
            worker.kill()
        self.shutdown(wait=False, cancel_futures=True)


class _Worker:
    """A process that reads jobs from its standard input and writes results to its standard output."""

    def __init__(self) -> None:
        self._killed = False
        self._process = self._begun()

    def _begun(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", BEGIN, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for this process alone
        )

    def serve(self, jobs: Jobs) -> None:
        """Give one job after another to the process, and begin another one where it dies."""
        while (job := jobs.get()) is not None:
            future, content = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                good, result = pickle.loads(self._answer(content))
            except (EOFError, OSError):
                how = self._ended()
                if not self._killed:
                    self._process = self._begun()
                future.set_exception(ProcessDiedError(how))
            else:
                (future.set_result if good else future.set_exception)(result)
        self.kill()
        self._ended()

    def _answer(self, content: bytes) -> bytes:
        """What the process makes of a job. Raises `EOFError` or `OSError` where it dies."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        _write(self._process.stdin, content)
        return _read(self._process.stdout)

    def _ended(self) -> str:
        """By what the process ended, which holds no file open any more."""
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with suppress(OSError):  # what it was still to be sent
                stream.close()
        code = self._process.wait()
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"

    def kill(self) -> None:
        """End the process, and begin no other."""
        self._killed = True
        self._process.kill()


def work() -> None:
    """What such a process does: jobs, one after another, until the process that gives them ends."""
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what code of a user's own prints is no result
    jobs: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(jobs,), daemon=True).start()
    _import_what_trainings_need()
    while True:
        function, arguments, options = pickle.loads(jobs.get())
        try:
            result = (True, function(*arguments, **options))
        except Exception as error:  # noqa: BLE001  # as executors do
            result = (False, error)
        _write(results, _pickled(result))


def _receive(jobs: queue.SimpleQueue[bytes]) -> None:
    """Take jobs from standard input, and end this process when nobody has its other end any more."""
    try:
        while True:
            jobs.put(_read(sys.stdin.buffer))
    except (EOFError, OSError):
        os._exit(1)


def _write(stream: IO[bytes], content: bytes) -> None:
    stream.write(len(content).to_bytes(LENGTH, "big") + content)
    stream.flush()


def _read(stream: Any) -> bytes:
    """One message. Raises `EOFError` where the stream ends before it does."""
    length = stream.read(LENGTH)
    content: bytes = stream.read(int.from_bytes(length, "big"))
    if len(length) < LENGTH or len(content) < int.from_bytes(length, "big"):
        raise EOFError
    return content


def _pickled(result: tuple[bool, Any]) -> bytes:
    try:
        return pickle.dumps(result)
    except Exception as error:  # noqa: BLE001  # of an error that holds what cannot be sent
        return pickle.dumps((False, RuntimeError(f"{result[1]!r} cannot be sent: {error!r}")))


def _import_what_trainings_need() -> None:
    """While the first training is prepared elsewhere."""
    from slsim.learning import loop, parts
    from slsim.learning.data import load_data
    from slsim.study import job

    del loop, parts, load_data, job
