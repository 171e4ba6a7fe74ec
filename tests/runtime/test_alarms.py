"""Python code that takes too long is left where it is, and nothing of the signal stays behind."""

from __future__ import annotations

import importlib
import signal
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tfmagic.runtime import alarms

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no such signals")


def wait_for_an_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as asking:
        asking.recv(1)


def state() -> tuple[object, ...]:
    return signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)


def test_code_that_waits_is_left_in_time_and_told_where_it_was() -> None:
    before = state()
    begun = time.monotonic()
    with (
        pytest.raises(
            alarms.TimeIsUpError, match=r"longer than 0.2 s.*'wait_for_an_answer' \(test_alarms.py, line \d+"
        ),
        alarms.alarm(0.2),
    ):
        wait_for_an_answer()
    assert time.monotonic() - begun < 10
    assert state() == before


def test_code_that_handles_everything_is_left_all_the_same() -> None:
    def stubborn() -> None:
        while True:
            try:
                time.sleep(60)
            except BaseException:
                tries.append(1)
                if len(tries) > 2:
                    raise

    tries: list[int] = []
    with pytest.raises(alarms.TimeIsUpError), alarms.alarm(0.2):
        stubborn()
    assert len(tries) == 3


def test_code_that_computes_has_more_time_than_code_that_waits() -> None:
    def compute(seconds: float) -> float:
        begun = time.process_time()
        while (spent := time.process_time() - begun) < seconds:
            pass
        return spent

    with alarms.alarm(0.2, patience=50):
        compute(0.6)
    with pytest.raises(alarms.TimeIsUpError, match=r"longer than 0.2 s"), alarms.alarm(0.2, patience=3):
        compute(60)
    with pytest.raises(alarms.TimeIsUpError, match=r"longer than 0.2 s"), alarms.alarm(0.2, patience=1000):
        wait_for_an_answer()


def test_an_error_that_was_made_of_the_end_is_told_as_the_end() -> None:
    def turning() -> None:
        try:
            time.sleep(60)
        except BaseException:  # noqa: BLE001 - what Keras does around a Lambda
            raise LookupError("no shape") from None

    with pytest.raises(alarms.TimeIsUpError, match="'turning'") as caught, alarms.alarm(0.2):
        turning()
    assert isinstance(caught.value.__cause__, LookupError)


def test_code_that_ends_in_time_is_left_alone_and_raises_its_own() -> None:
    before = state()
    with alarms.alarm(60):
        assert state() != before
    with pytest.raises(LookupError), alarms.alarm(60):
        raise LookupError
    assert state() == before


def test_an_alarm_of_somebody_else_stays_his() -> None:
    rung: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, _: rung.append(number))
    try:
        with alarms.alarm(0.05):
            time.sleep(0.3)
        assert rung == []
        assert signal.getsignal(signal.SIGALRM) not in (signal.SIG_DFL, None)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_in_another_thread_nothing_is_done() -> None:
    ended: list[str] = []

    def work() -> None:
        with alarms.alarm(0.05):
            time.sleep(0.3)
        ended.append("at its end")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ended == ["at its end"]


def test_what_has_a_limit_of_its_own_does_not_count() -> None:
    with alarms.alarm(0.2), alarms.held():
        time.sleep(0.6)


def test_an_import_is_not_cut_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "takes_its_time.py").write_text("import time\ntime.sleep(0.6)\nis_whole = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    with alarms.alarm(0.2):
        module = importlib.import_module("takes_its_time")
    assert module.is_whole
    del sys.modules["takes_its_time"]
