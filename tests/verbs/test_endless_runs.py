"""Models that wait: for a queue of TensorFlow 1, in a loop without end, for a socket that does not answer.

Each runs in a process of its own, as what TensorFlow cannot stop goes on in its threads.
"""

from __future__ import annotations

import json
import subprocess
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import ROOT
from tfmagic.commands import declarations, words

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Ended = Callable[..., list[Any]]

_MODELS = """
import json, os, signal, socket, sys, threading, time
import numpy as np
import tensorflow as tf
import tfmagic

v1 = tf.compat.v1
begun = threading.Event()

def tell(x):
    begun.set()
    return x

def ask(x):
    begun.set()
    with socket.create_connection(server.getsockname()) as asking:
        asking.recv(1)
    return x

def queue():
    with v1.Graph().as_default():
        x = v1.placeholder(tf.float32, [None], name="x")
        names = v1.FIFOQueue(4, [tf.float32], name="names")
        y = tf.add(names.dequeue(name="taken"), v1.py_func(tell, [x], tf.float32), name="y")
        return v1.Session(graph=y.graph), {"outputs": ["y"]}

@tf.function(input_signature=[tf.TensorSpec([None], name="x")])
def loop(x):
    x = tf.ensure_shape(tf.numpy_function(tell, [x], tf.float32), [None])
    return {"y": tf.while_loop(lambda n: tf.reduce_sum(n) >= 0, lambda n: (n * 1,), (x,))[0]}

@tf.function(input_signature=[tf.TensorSpec([None], name="x")])
def network(x):
    return {"y": tf.ensure_shape(tf.numpy_function(ask, [x], tf.float32), [None])}

def saved(op):
    with v1.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        x = v1.placeholder(tf.float32, [None], name="x")
        y = tf.add(x, 1.0, name="y")
        signature = v1.saved_model.predict_signature_def({"x": x}, {"y": y})
        builder = v1.saved_model.Builder(sys.argv[3])
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature}, main_op=op())
        builder.save()
    return sys.argv[3]

def initialiser_loop():
    first = v1.py_func(tell, [tf.ones([])], tf.float32)
    first.set_shape([])
    return tf.while_loop(lambda n: n > 0, lambda n: (n * 1,), (first,))[0].op

def initialiser_pure_loop():
    return tf.while_loop(lambda n: n > 0, lambda n: (n * 1,), (tf.ones([]),))[0].op

def initialiser_network():
    return v1.py_func(ask, [tf.ones([])], tf.float32).op

@tf.function(input_signature=[tf.TensorSpec([None], name="x")])
def traced(x):
    ask(x)
    return {"y": x + 1}

def keras_file():
    import keras

    @keras.saving.register_keras_serializable("own")
    class Asking(keras.layers.Layer):
        def call(self, x):
            return x + 1

        @classmethod
        def from_config(cls, config):
            ask(config)
            return cls(**config)

    x = keras.Input([2], name="x")
    keras.Model(x, Asking(name="y")(x)).save(sys.argv[3] + ".keras")
    return sys.argv[3] + ".keras"

server = socket.create_server(("127.0.0.1", 0))
name, way = sys.argv[1:3]
if name.startswith("initialiser"):
    source, options = saved(globals()[name]), {"trust": True}
elif name == "keras_file":
    source, options = keras_file(), {"trust": True}
else:
    source, options = queue() if name == "queue" else ({"loop": loop, "network": network, "traced": traced}[name], {})
pressed = []

def press():
    begun.wait()
    pressed.append(time.monotonic())
    os.kill(os.getpid(), signal.SIGINT)

if way == "stop":
    threading.Thread(target=press, daemon=True).start()
elif way == "timeout":
    options["timeout"] = 0.5
try:
    if way == "verify":
        from tfmagic.verbs.verification import trial_run
        trial_run.LIMIT = 0.5
        tfmagic.verify(source, source, {"x": np.ones(2, np.float32)}, **options)
    elif way == "export":
        from tfmagic.verbs.verification import trial_run
        trial_run.LIMIT = 0.5
        begun_export = time.monotonic()
        done = tfmagic.export(source, sys.argv[3] + "_again", trust=True)
        print(json.dumps(["done", " ".join(done.notes), time.monotonic() - begun_export]))
        os._exit(0)
    else:
        tfmagic.run(source, {"x": np.ones(2, np.float32)}, **options)
except BaseException as error:
    after = time.monotonic() - pressed[0] if pressed else 0.0
    print(json.dumps([type(error).__name__, str(error), after]))
"""


@pytest.fixture
def ended(ready_tensorflow: list[str]) -> Ended:
    """Tell how a run ended, by the model, the way, a folder: what it raised, what that says, seconds after the stop."""
    return partial(_ended, ready_tensorflow)


def _ended(python: list[str], name: str, way: str, folder: str = "") -> list[Any]:
    command = [*python, "-c", _MODELS, name, way, folder]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    said: list[Any] = json.loads(done.stdout)
    return said


SAYS = {
    "queue": "was stopped (perhaps because node 'taken' (QueueDequeueV2) waits for a queue that nobody fills",
    "loop": "runs code of the process, which may wait for anything",
    "network": "goes on in the background, as TensorFlow cannot stop what it waits for; restarting the kernel ends it",
}


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", SAYS)
def test_a_run_is_given_up_in_time_and_says_why(ended: Ended, name: str) -> None:
    kind, says, _ = ended(name, "timeout")
    assert kind == "ConversionError"
    assert "took longer than 0.5 s" in says
    assert SAYS[name] in says
    assert "--timeout" in says


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", SAYS)
def test_the_stop_button_ends_a_run_within_two_seconds(ended: Ended, name: str) -> None:
    kind, _, seconds = ended(name, "stop")
    assert kind == "KeyboardInterrupt"
    assert seconds < 2


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["loop", "network"])
def test_a_verification_ends_at_its_limit_and_says_why(ended: Ended, name: str) -> None:
    kind, says, _ = ended(name, "verify")
    assert kind == "ConversionError"
    assert "the two cannot be compared: a run took longer than 0.5 s" in says
    assert SAYS[name] in says


LOADS = {
    "initialiser_loop": "perhaps because node 'PyFunc' (PyFunc) runs code of the process",
    "initialiser_network": "goes on in the background, as TensorFlow cannot stop what it waits for",
}


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", LOADS)
@pytest.mark.parametrize("way", ["timeout", "verify"])
def test_loading_is_given_up_in_time_and_says_why(ended: Ended, name: str, way: str, tmp_path: Path) -> None:
    kind, says, _ = ended(name, way, str(tmp_path / "saved"))
    assert kind == "ConversionError"
    assert "loading the SavedModel" in says
    assert "took longer than 0.5 s" in says
    assert LOADS[name] in says


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", LOADS)
def test_the_stop_button_ends_loading_within_two_seconds(ended: Ended, name: str, tmp_path: Path) -> None:
    kind, _, seconds = ended(name, "stop", str(tmp_path / "saved"))
    assert kind == "KeyboardInterrupt"
    assert seconds < 2


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["traced", "keras_file"])
@pytest.mark.parametrize("way", ["timeout", "stop", "verify"])
def test_python_code_that_loads_or_traces_is_left_in_time_too(
    ended: Ended, name: str, way: str, tmp_path: Path
) -> None:
    kind, says, seconds = ended(name, way, str(tmp_path / "saved"))
    if way == "stop":
        assert kind == "KeyboardInterrupt"
        assert seconds < 2
        return
    assert kind == "ConversionError"
    assert "loading or tracing" in says
    assert "took longer than 0.5 s and was stopped in 'ask'" in says
    assert ("--timeout" in says) == (way == "timeout")


@pytest.mark.tensorflow
def test_a_model_whose_loading_never_ends_is_exported_unverified(ended: Ended, tmp_path: Path) -> None:
    kind, says, seconds = ended("initialiser_pure_loop", "export", str(tmp_path / "saved"))
    assert kind == "done"
    assert "not verified: " in says
    assert "took longer than 0.5 s" in says
    assert seconds < 60


@pytest.mark.parametrize("text", ["0", "-1", "soon", "inf", "nan"])
def test_what_is_no_time_is_refused(text: str) -> None:
    command = declarations.COMMANDS["run"]
    assert words.seconds(command.parse("m --timeout 2.5").timeout, "--timeout") == 2.5
    with pytest.raises(words.CommandError, match="--timeout wants a number of seconds above 0, such as 30, not"):
        words.seconds(text, "--timeout")
