from __future__ import annotations

import signal
import socket
import subprocess
import threading

import pytest

from tests.conftest import ROOT
from tfmagic import progress

#: An endless loop in a graph, in a process that interrupts itself as the notebook's stop button does.
ENDLESS = """
import os, signal, threading
import tensorflow as tf
import tfmagic

begun = threading.Event()

def begin():
    begun.set()
    return tf.constant(1)

@tf.function(input_signature=[])
def endless():
    first = tf.py_function(begin, [], tf.int32)
    return tf.while_loop(lambda n: n > 0, lambda n: (n * 1,), (tf.reshape(first, []),))

def interrupt():
    begun.wait()
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=interrupt, daemon=True).start()
before = signal.set_wakeup_fd(-1)
try:
    tfmagic.run(endless, {})
except KeyboardInterrupt as error:
    print("stopped", error.__cause__, before == signal.set_wakeup_fd(-1))
"""


@pytest.mark.tensorflow
def test_an_interrupt_ends_a_run_that_would_never_end(ready_tensorflow: list[str]) -> None:
    done = subprocess.run(
        [*ready_tensorflow, "-c", ENDLESS], capture_output=True, text=True, cwd=ROOT, timeout=120, check=False
    )
    assert done.stdout.split() == ["stopped", "None", "True"], done.stderr[-2000:]


def test_who_listened_before_still_hears_and_listens_again() -> None:
    heard, told = socket.socketpair()
    stopped = threading.Event()
    with heard, told:
        told.settimeout(0)
        heard.settimeout(10)
        first = signal.set_wakeup_fd(told.fileno())
        try:
            with pytest.raises(KeyboardInterrupt), progress.ending(stopped.set):
                signal.raise_signal(signal.SIGINT)
            assert stopped.is_set()
            assert heard.recv(8) == bytes([signal.SIGINT])
        finally:
            assert signal.set_wakeup_fd(first) == told.fileno()


def test_what_fails_by_itself_is_told_as_it_is() -> None:
    def fail() -> None:
        message = "mine"
        raise ValueError(message)

    with pytest.raises(ValueError, match="mine"), progress.ending(lambda: None):
        fail()


def test_another_handler_and_another_thread_keep_what_they_have() -> None:
    seen: list[int] = []
    stopped = threading.Event()
    before = signal.signal(signal.SIGINT, lambda number, _frame: seen.append(number))
    try:
        with progress.ending(stopped.set):
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [signal.SIGINT]
    assert not stopped.is_set()

    def inside() -> None:
        with progress.ending(stopped.set):
            seen.append(0)

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [signal.SIGINT, 0]
