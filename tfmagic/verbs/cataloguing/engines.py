"""Tasks through any executor of ``concurrent.futures``, their results in the order of the tasks.

So many tasks a worker are on their way at most, with finished ones that wait for an earlier one: memory is bounded by
workers, whatever there is to do. A worker that dies is the executor's matter where that goes on by itself (Dask), and
its tasks are handed in once more where it does not (ipyparallel); an executor that is broken ends the work. Not for:
what a task does (:mod:`tfmagic.verbs.cataloguing.tasks`), or engines of our own.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from tfmagic import errors, progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from tfmagic.frames import CatalogRow
    from tfmagic.verbs.cataloguing.tasks import Task

#: Tasks of a worker that are on their way.
EACH_WORKER = 4
#: Threads that wait for addresses; for files, there are as many as cores: more only take turns, and memory.
_MOST_THREADS = 8
#: Executors by name, where there is no object to hand in.
THREADS, PROCESSES = "threads", "processes"
#: What executors raise for a task whose worker died, by the class's name, as none of them need be installed here; and
#: how often such a task is handed in. Dask has tried several times by then.
_LOST = {"EngineError": 2, "KilledWorker": 1}
#: Seconds between two looks at whether the call is to stop.
_PATIENCE = 0.2


class BrokenOffError(Exception):
    """The executor is broken; its own error is the cause."""


class _Begun(NamedTuple):
    """A task on its way, and how often it was handed in; a row that is there already has no future."""

    task: Task
    future: Future[CatalogRow | None] | None
    row: CatalogRow | None
    attempts: int = 1


@contextmanager
def opened(executor: object, *, waits: bool = False) -> Iterator[Executor]:
    """Return an executor: the user's own, which is left as it is, or one by its name, which is closed at the end.

    Parameters
    ----------
    executor : object
        An executor, the name of one, or None for threads.
    waits : bool
        Whether tasks mostly wait for others, so that more threads than cores are of use.

    Raises
    ------
    UnknownNameError
        If there is none of that name.
    TfMagicError
        If it is no executor.
    """
    if executor is None or isinstance(executor, str):
        own = _named(executor or THREADS, waits=waits)
        try:
            yield own
        finally:
            own.shutdown(wait=True, cancel_futures=True)
    elif not callable(getattr(executor, "submit", None)):
        raise errors.TfMagicError(
            f"executor={executor!r} is no executor of concurrent.futures: it has no method submit; give one, "
            f"{THREADS!r} or {PROCESSES!r}"
        )
    else:
        yield executor  # type: ignore[misc] # what has the method, whatever it inherits from


def _named(name: str, *, waits: bool) -> Executor:
    if name not in (THREADS, PROCESSES):
        raise errors.UnknownNameError(name, "executor", (THREADS, PROCESSES))
    count = os.cpu_count() or 1
    if name == THREADS:
        return ThreadPoolExecutor(
            _MOST_THREADS if waits else min(_MOST_THREADS, count), thread_name_prefix="tfmagic catalog"
        )
    # A process that is forked takes along locks that nobody in it opens again.
    return ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"))


def workers(executor: object) -> int:
    """Return how many workers an executor has: Python's, Dask's and ipyparallel's say so, others count as one."""
    for count in _COUNTS:
        with suppress(Exception):
            known = count(executor)
            if isinstance(known, int) and known > 0:
                return known
    return 1


def _of_dask(executor: Any) -> int:  # noqa: ANN401 - of a library that need not be there
    return sum(executor._client.nthreads().values())  # noqa: SLF001 - it has no other way


def _of_ipyparallel(executor: Any) -> int:  # noqa: ANN401 - as above
    view = executor.view
    targets = view.targets if view.targets is not None else view.client.ids
    return len(targets) if isinstance(targets, list | tuple) else 1


#: How executors tell how many workers they have.
_COUNTS: tuple[Callable[[Any], object], ...] = (
    lambda executor: executor._max_workers,  # noqa: SLF001 - of concurrent.futures, which has no other
    _of_dask,
    _of_ipyparallel,
)


def rows(
    executor: Executor,
    work: Callable[[Task], CatalogRow | None],
    tasks: Iterator[tuple[Task, CatalogRow | None]],
    on_lost: Callable[[Task, str], CatalogRow],
) -> Iterator[CatalogRow]:
    """Yield the rows of tasks in their order.

    Parameters
    ----------
    executor : Executor
        Where tasks are handed in.
    work : callable
        What makes a row of a task; a function of a module, which processes import.
    tasks : iterator of (Task, row or None)
        A row that is known already is passed on in its turn.
    on_lost : callable
        Makes the row of a task whose workers died, from the task and what is said of that.

    Raises
    ------
    BrokenOffError
        If the executor takes no more tasks, or fails in another way than by losing a worker.
    """
    most = EACH_WORKER * workers(executor)
    begun: deque[_Begun] = deque()
    try:
        for task, known in tasks:
            begun.append(_Begun(task, None if known else _submitted(executor, work, task), known))
            while len(begun) >= most:
                yield from _finished(begun.popleft(), executor, work, on_lost)
        while begun:
            yield from _finished(begun.popleft(), executor, work, on_lost)
    finally:
        for future in [waiting.future for waiting in begun if waiting.future is not None]:
            future.cancel()


def _submitted(executor: Executor, work: Callable[[Task], CatalogRow | None], task: Task) -> Future[CatalogRow | None]:
    progress.check()
    try:
        return executor.submit(work, task)
    except Exception as error:
        raise BrokenOffError(_said(error)) from error


def _finished(
    begun: _Begun,
    executor: Executor,
    work: Callable[[Task], CatalogRow | None],
    on_lost: Callable[[Task, str], CatalogRow],
) -> Iterator[CatalogRow]:
    """Wait for a row and yield it; what was lost with its worker is handed in once more."""
    while begun.future is not None:
        try:
            row = _awaited(begun.future)
        except Exception as error:
            name = _kind(error)
            if isinstance(error, BrokenExecutor) or name not in _LOST:
                raise BrokenOffError(_said(error)) from error
            if begun.attempts >= _LOST[name]:
                yield on_lost(begun.task, f"the worker that read it died each time: {_said(error)}")
                return
            again = _submitted(executor, work, begun.task)
            begun = begun._replace(future=again, attempts=begun.attempts + 1)
            continue
        begun = begun._replace(future=None, row=row)
    if begun.row is not None:
        yield begun.row


def _awaited(future: Future[CatalogRow | None]) -> CatalogRow | None:
    """Wait for a result, and look meanwhile whether the call is to stop."""
    while True:
        try:
            return future.result(timeout=_PATIENCE)
        except TimeoutError:
            # Of a task that itself raised one there is nothing to wait for.
            if future.done():
                raise
            progress.check()


def _kind(error: BaseException) -> str:
    """Return the name of an error's class; ipyparallel wraps its own in one that has the name."""
    return str(getattr(error, "ename", type(error).__name__))


def _said(error: BaseException) -> str:
    line = str(error).partition("\n")[0]
    return f"{_kind(error)}: {line}" if line else _kind(error)
