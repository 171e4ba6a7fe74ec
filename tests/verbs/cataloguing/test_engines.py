from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

import tfmagic
from tests.verbs.cataloguing import trees
from tfmagic import errors, progress
from tfmagic.verbs.cataloguing import engines, tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

COUNT = 40


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("models")
    for number in range(COUNT):
        trees.saved_model(place / f"{number:03d}", seed=number)
    return place


@pytest.fixture(scope="module")
def whole(place: Path) -> pd.DataFrame:
    return tfmagic.catalog(place)


class Killing(Executor):
    """Hands tasks on, and kills a worker in the middle."""

    def __init__(self, inner: Any, kill: Callable[[], None], at: int = COUNT // 2) -> None:
        self.inner, self.kill, self.at, self.count = inner, kill, at, 0
        self._max_workers = engines.workers(inner)

    def submit(self, work: Any, /, *arguments: Any, **options: Any) -> Future[Any]:
        self.count += 1
        future: Future[Any] = self.inner.submit(work, *arguments, **options)
        if self.count == self.at:
            self.kill()
        return future


def test_threads_processes_and_one_worker_give_the_same(place: Path, whole: pd.DataFrame) -> None:
    with ThreadPoolExecutor(1) as alone:
        pd.testing.assert_frame_equal(tfmagic.catalog(place, executor=alone), whole)
        # It is the user's, and goes on.
        assert alone.submit(len, "ab").result() == 2
    pd.testing.assert_frame_equal(tfmagic.catalog(place, executor="threads"), whole)


@pytest.mark.slow
def test_processes_that_are_spawned_give_the_same(place: Path, whole: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(tfmagic.catalog(place, executor="processes"), whole)
    assert multiprocessing.active_children() == []


@pytest.mark.slow
def test_a_broken_pool_ends_the_walk_with_what_is_finished(place: Path, whole: pd.DataFrame, tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        pool.submit(len, "").result()

        def kill() -> None:
            os.kill(next(iter(pool._processes)), signal.SIGKILL)

        with pytest.raises(errors.ReadError, match=r"previous='.*out\.unfinished\.csv'") as raised:
            tfmagic.catalog(place, executor=Killing(pool, kill), output=output)
    table = raised.value.table
    assert table is not None
    assert 0 < len(table) < COUNT
    assert not output.exists()
    unfinished = tmp_path / "out.unfinished.csv"
    assert len(pd.read_csv(unfinished)) == len(table)
    pd.testing.assert_frame_equal(tfmagic.catalog(place, previous=unfinished), whole)
    pd.testing.assert_frame_equal(tfmagic.catalog(place, previous=table), whole)


@pytest.mark.slow
def test_on_dask_every_model_is_there_once_though_a_worker_is_killed(place: Path, whole: pd.DataFrame) -> None:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None, silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        pids = client.run(os.getpid)
        executor = client.get_executor()
        assert engines.workers(executor) == 2
        pd.testing.assert_frame_equal(tfmagic.catalog(place, executor=executor), whole)
        killing = Killing(executor, lambda: os.kill(next(iter(pids.values())), signal.SIGKILL))
        pd.testing.assert_frame_equal(tfmagic.catalog(place, executor=killing), whole)
        assert killing.count == COUNT
        assert set(client.run(os.getpid).values()) != set(pids.values())


@pytest.mark.slow
def test_on_ipyparallel_every_model_is_there_once_though_an_engine_is_killed(
    place: Path, whole: pd.DataFrame, tmp_path: Path
) -> None:
    ipyparallel = pytest.importorskip("ipyparallel")
    with ipyparallel.Cluster(n=2, ipython_dir=str(tmp_path), location="127.0.0.1", log_level=50) as client:
        pids = client[:].apply_sync(os.getpid)
        executor = client.load_balanced_view().executor
        assert engines.workers(executor) == 2
        pd.testing.assert_frame_equal(tfmagic.catalog(place, executor=executor), whole)
        killing = Killing(executor, lambda: os.kill(pids[0], signal.SIGKILL))
        pd.testing.assert_frame_equal(tfmagic.catalog(place, executor=killing), whole)


class Lossy(Executor):
    """Runs tasks at once, but those with a name are lost with their workers."""

    def __init__(self, name: str, error: type[Exception]) -> None:
        self.name, self.error, self.count = name, error, 0

    def submit(self, work: Any, /, *arguments: Any, **_options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        if arguments[0].address.endswith(self.name):
            self.count += 1
            future.set_exception(self.error("died"))
        else:
            future.set_result(work(*arguments))
        return future


@pytest.mark.parametrize(("name", "attempts"), [("EngineError", 2), ("KilledWorker", 1)])
def test_a_model_that_kills_its_workers_is_a_row_that_says_so(place: Path, name: str, attempts: int) -> None:
    executor = Lossy("007", type(name, (Exception,), {}))
    frame = tfmagic.catalog(place, executor=executor)
    assert len(frame) == COUNT
    assert [str(error) for error in frame["error"].dropna()] == [
        f"the worker that read it died each time: {name}: died"
    ]
    assert executor.count == attempts


def test_an_executor_that_cannot_carry_the_work_is_told_with_what_is_finished(place: Path) -> None:
    with pytest.raises(errors.ReadError, match=r"7 models .ModuleNotFoundError: died.*previous=error\.table") as raised:
        tfmagic.catalog(place, executor=Lossy("007", ModuleNotFoundError))
    assert raised.value.table is not None
    assert len(raised.value.table) == 7
    closed = ThreadPoolExecutor(1)
    closed.shutdown()
    with pytest.raises(errors.ReadError, match="0 models"):
        tfmagic.catalog(place, executor=closed)


def test_what_is_no_executor_is_told(place: Path) -> None:
    with pytest.raises(errors.TfMagicError, match="no method submit"):
        tfmagic.catalog(place, executor=5)  # type: ignore[arg-type]
    with pytest.raises(errors.UnknownNameError, match="did you mean 'processes'"):
        tfmagic.catalog(place, executor="process")


class Holding(ThreadPoolExecutor):
    """Counts the tasks on their way whose rows nobody has taken yet."""

    most = now = 0

    def submit(self, work: Any, /, *arguments: Any, **options: Any) -> Future[Any]:
        self.now += 1
        self.most = max(self.most, self.now)
        return super().submit(work, *arguments, **options)


def numbered(count: int) -> Iterator[tuple[tasks.Task, None]]:
    for number in range(count):
        yield tasks.Task(f"{number:04d}", "", None, 0, is_certain=True), None


def lost(task: tasks.Task, problem: str) -> Any:
    return tasks.unread(task, problem)


def test_at_most_four_models_a_worker_are_on_their_way() -> None:
    first = threading.Event()

    def work(task: tasks.Task) -> Any:
        # The first one is slow: the others must not run ahead of it.
        if task.address == "0000":
            first.wait(10)
        return tasks.unread(task, "")

    for workers in (1, 2):
        first.clear()
        threading.Timer(0.3, first.set).start()
        with Holding(workers) as executor:
            addresses = []
            for row in engines.rows(executor, work, numbered(100), lost):
                executor.now -= 1
                addresses.append(row.address)
        assert executor.most == engines.EACH_WORKER * workers
        assert addresses == [f"{number:04d}" for number in range(100)]


def test_a_call_that_is_to_stop_does() -> None:
    stages: list[Any] = []
    watch = progress.Watch(stages.append)
    threading.Timer(0.2, watch.cancel).start()
    begun = time.monotonic()

    def slow(task: tasks.Task) -> Any:
        time.sleep(1)
        return tasks.unread(task, "")

    with progress.watched(watch), ThreadPoolExecutor(2) as executor, pytest.raises(progress.CancelledError):
        list(engines.rows(executor, slow, numbered(100), lost))
    assert time.monotonic() - begun < 20


_PEAK = """
import resource, sys, tfmagic
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(2) as executor:
    frame = tfmagic.catalog(sys.argv[1], executor=executor, read_weights=True)
assert frame["error"].isna().all(), frame["error"].tolist()
print(len(frame), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_memory_is_bounded_by_workers_not_by_models(tmp_path: Path) -> None:
    peaks = []
    for count in (8, 48):
        place = tmp_path / str(count)
        for number in range(count):
            trees.frozen(place / f"{number:03d}.pb", trees.weight("w", np.full(1 << 20, number, np.float32)))
        done = subprocess.run([sys.executable, "-c", _PEAK, str(place)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        listed, peak = map(int, done.stdout.split())
        assert listed == count
        peaks.append(peak * 1024)
    # Forty more models of 4 MB each would take 160 MB, and more while they are parsed.
    assert peaks[1] - peaks[0] < 40e6, peaks
