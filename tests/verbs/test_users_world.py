"""What a verb leaves as it was, whether it comes to its end, fails or is stopped: all of the user's process."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import shutil
import signal
import sys
import threading
import warnings
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tests import keras_samples
from tfmagic import errors, progress, readers
from tfmagic.notebook.panel.widgets import convert_tab, run_tab
from tfmagic.runtime import keras as keras_runtime
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.tensorflow


def module() -> Any:
    """Make a module whose methods change a variable, tables and generators, each in its own way."""
    tf = runtime.tensorflow()
    spec, text = tf.TensorSpec([2], name="x"), tf.TensorSpec([], tf.string, name="x")

    class Changing(tf.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.count = tf.Variable(3.0, name="count")
            self.table = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
            self.dense = tf.lookup.experimental.DenseHashTable(tf.int64, tf.int64, -1, empty_key=-1, deleted_key=-2)
            self.generator = tf.random.Generator.from_seed(1)
            self.queue = tf.queue.FIFOQueue(4, [tf.float32], [[]])
            self.queue.enqueue_many([[1.0, 2.0]])

        @tf.function(input_signature=[spec])  # type: ignore[untyped-decorator]
        def counting(self, x: Any) -> Any:
            return {"y": x + self.count.assign_add(1.0)}

        @tf.function(input_signature=[text])  # type: ignore[untyped-decorator]
        def inserting(self, x: Any) -> Any:
            self.table.insert(x, tf.constant(1, tf.int64))
            return {"y": self.table.size()}

        @tf.function(input_signature=[spec])  # type: ignore[untyped-decorator]
        def bucketing(self, x: Any) -> Any:
            self.dense.insert(tf.constant([5], tf.int64), tf.constant([6], tf.int64))
            return {"y": x}

        @tf.function(input_signature=[spec])  # type: ignore[untyped-decorator]
        def drawing(self, x: Any) -> Any:
            return {"y": x + self.generator.normal([2]) + tf.random.normal([2], seed=3)}

        @tf.function(input_signature=[spec])  # type: ignore[untyped-decorator]
        def taking(self, x: Any) -> Any:
            return {"y": x + self.queue.dequeue()}

        @tf.function(input_signature=[text])  # type: ignore[untyped-decorator]
        def writing(self, x: Any) -> Any:
            tf.io.write_file(x, "written")
            return {"y": x}

        @tf.function(input_signature=[spec])  # type: ignore[untyped-decorator]
        def calling(self, x: Any) -> Any:
            def called(array: Any) -> Any:
                Path("called").touch()
                return array

            return {"y": tf.ensure_shape(tf.numpy_function(called, [x], tf.float32), [2])}

    return Changing()


def noisy_model() -> Any:
    """Make a Keras model that draws by a generator of its own, compiled, so that it has metrics and an optimizer."""
    keras = keras_runtime.keras()

    x = keras.Input((2,), name="x")
    model = keras.Model(x, keras.layers.Dense(1, name="y")(keras_samples.noise(keras)(x)))
    model.compile("sgd", "mse", metrics=["mae"])
    model.fit(np.zeros((2, 2)), np.zeros((2, 1)), verbose=0)
    return model


def session() -> Any:
    tf = runtime.tensorflow()
    v1 = tf.compat.v1
    graph = tf.Graph()
    with graph.as_default():
        x = v1.placeholder(tf.float32, [2], "x")
        count = v1.get_variable("count", initializer=1.0, use_resource=True)
        step = v1.assign_add(count, 1.0, name="step")
        tf.add(x, step, name="y")
        made = v1.Session(graph=graph)
        made.run(v1.global_variables_initializer())
    return made


def picture(owner: Any, sessions: Any) -> dict[str, Any]:
    """Return what a user could notice."""
    tf, keras = runtime.tensorflow(), keras_runtime.keras()
    graph = tf.compat.v1.get_default_graph()
    model = owner.model
    functions = [getattr(owner.live, name) for name in METHODS]
    return {
        "variables": [value.numpy().tolist() for value in (*owner.live.variables, *model.variables)],
        "optimizer": [value.numpy().tolist() for value in model.optimizer.variables],
        "metrics": [value.numpy().tolist() for metric in model.metrics for value in metric.variables],
        "tables": [sorted(owner.live.table.export()[0].numpy().tolist()), int(owner.live.dense.size())],
        "queue": int(owner.live.queue.size()),
        "generator": owner.live.generator.state.numpy().tolist(),
        "session": sessions.run("count/Read/ReadVariableOp:0"),
        "session graph": [len(sessions.graph.get_operations()), sorted(sessions.graph.get_all_collection_keys())],
        "default graph": [id(graph), len(graph.get_operations()), sorted(graph.get_all_collection_keys())],
        "eager": tf.executing_eagerly(),
        "traced": [function.experimental_get_tracing_count() for function in functions],
        "policy": [keras.config.dtype_policy().name, keras.config.floatx(), keras.config.backend()],
        "seeds": [random.getstate(), repr(np.random.get_state())],  # noqa: NPY002 - the user's own generator
        "environment": dict(os.environ),
        "directory": [os.getcwd(), sorted(os.listdir())],  # noqa: PTH109, PTH208 - as a user would see it
        "files": len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else 0,  # noqa: PTH208
        "threads": sorted(thread.name for thread in threading.enumerate() if thread.is_alive()),
        "levels": [logging.getLogger(name).level for name in (None, "tensorflow", "absl")],
        "filters": list(warnings.filters),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        "path": list(sys.path),
    }


class Owner:
    """What a user has."""

    def __init__(self) -> None:
        self.live = module()
        self.model = noisy_model()


@pytest.fixture(scope="module")
def owner() -> Owner:
    return Owner()


@pytest.fixture(scope="module")
def sessions() -> Iterator[Any]:
    made = session()
    yield made
    made.close()


METHODS = ("counting", "inserting", "bucketing", "drawing", "taking", "writing", "calling")


def verbs(source: Any) -> dict[str, Callable[[Path], object]]:
    """Return each verb with a source, to be called with a place to write to."""
    return {
        "inspect": lambda _: [getattr(tfmagic.inspect(source), part) for part in ("signatures", "ops", "variables")],
        "freeze": lambda place: tfmagic.freeze(source, output=place / "f.pb"),
        "freeze in memory": lambda _: tfmagic.freeze(source),
        "export": lambda place: tfmagic.export(source, place / "e"),
        "run": lambda _: tfmagic.run(source),
        "verify": lambda _: tfmagic.verify(source, source),
        "merge": lambda place: tfmagic.merge(source, source, connect={"y": "x"}, output=place / "m"),
    }


@contextlib.contextmanager
def unchanged(owner: Owner, sessions: Any, verb: str, but: frozenset[str] = frozenset()) -> Iterator[None]:
    """Hold that what is done leaves the user's process as it was, but for what it is there to change."""
    before = picture(owner, sessions)
    yield
    after = picture(owner, sessions)
    assert {key for key in before if before[key] != after[key]} == but, verb


def warmed(call: Callable[[Path], object], place: Path) -> None:
    """Call something once, whether it ends well or not: what TensorFlow itself begins then, such as threads, stays."""
    with contextlib.suppress(errors.TfMagicError):
        call(place)


def sources(owner: Owner, sessions: Any) -> dict[str, Any]:
    methods = {name: getattr(owner.live, name) for name in METHODS}
    return {**methods, "keras": owner.model, "session": sessions}


@pytest.mark.parametrize("name", [*METHODS, "keras", "session"])
def test_every_verb_leaves_the_users_world_as_it_was(
    owner: Owner, sessions: Any, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some come to their end, some are refused; one is stopped while it verifies."""
    source = sources(owner, sessions)[name]
    (tmp_path / "first").mkdir()
    (tmp_path / "work").mkdir()
    (tmp_path / "stopped").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for call in verbs(source).values():
        warmed(call, tmp_path / "first")
    for verb, call in verbs(source).items():
        place = tmp_path / verb
        place.mkdir()
        with unchanged(owner, sessions, verb):
            warmed(call, place)
    stages = []

    def stop(stage: progress.Stage) -> None:
        stages.append(stage.name)
        if stage.name == "verifying":
            watch.cancel()

    watch = progress.Watch(stop)
    ending = contextlib.suppress(progress.CancelledError, errors.TfMagicError)
    with unchanged(owner, sessions, "stopped"), progress.watched(watch), ending:
        tfmagic.export(source, tmp_path / "stopped" / "e")
    assert stages
    assert not any((tmp_path / "stopped").iterdir()) or "verifying" not in stages


@pytest.mark.parametrize("name", ["counting", "session"])
def test_a_verb_that_is_stopped_at_its_last_stage_leaves_the_users_world_as_it_was(
    owner: Owner, sessions: Any, name: str, in_tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with_stages = set()
    for verb, call in verbs(sources(owner, sessions)[name]).items():
        stages: list[str] = []
        with progress.watched(progress.Watch(partial(_note, stages))):
            warmed(call, tmp_path_factory.mktemp("whole"))
        if not stages:
            continue
        place, watch = tmp_path_factory.mktemp("stopped"), StoppingAt(stages[-1])
        ending = pytest.raises(progress.CancelledError)
        with unchanged(owner, sessions, verb), progress.watched(watch), ending:
            call(place)
        assert not list(place.iterdir()), verb
        with_stages.add(verb)
    assert {"export", "merge", "freeze"} <= with_stages
    assert not list(in_tmp_path.iterdir())


def _note(stages: list[str], stage: progress.Stage) -> None:
    stages.append(stage.name)


class StoppingAt(progress.Watch):
    """Stops a call as it comes to a stage."""

    def __init__(self, stage: str) -> None:
        super().__init__(lambda begun: self.cancel() if begun.name == stage else None)

    def begin(self, stage: progress.Stage) -> None:
        super().begin(stage)
        self.check()


def test_functions_that_nobody_called_are_not_traced_for_a_look() -> None:
    live = module()
    before = {thread.name for thread in threading.enumerate()}
    for name in METHODS:
        function = getattr(live, name)
        for verb in (lambda f: tfmagic.inspect(f).ops, tfmagic.freeze, tfmagic.run):
            with contextlib.suppress(errors.TfMagicError):
                verb(function)
        assert function.experimental_get_tracing_count() == 0, name
    assert "tqdm_monitor" not in {thread.name for thread in threading.enumerate()} - before


def test_a_live_stream_that_a_user_runs_on_values_of_theirs_is_told() -> None:
    live = module()
    done = tfmagic.run(live.taking, {"x": [0.0, 0.0]}, repeat=0)
    assert int(live.queue.size()) == 1
    assert any("neither a variable nor a table" in note for note in done.notes)


def test_what_acts_outside_runs_on_the_users_values_only(in_tmp_path: Path, owner: Owner) -> None:
    for name, what in (("writing", "write files"), ("calling", "call")):
        with pytest.raises(errors.ConversionError, match=f"running it would {what}.*x=EXPR"):
            tfmagic.run(getattr(owner.live, name))
    assert not list(in_tmp_path.iterdir())
    tfmagic.run(owner.live.writing, {"x": b"here"}, repeat=0)
    assert (in_tmp_path / "here").read_text() == "written"
    done = tfmagic.export(owner.live.writing, in_tmp_path / "out")
    assert any(note.startswith("not verified") and "running it would write files (" in note for note in done.notes)
    assert not (in_tmp_path / "w0").exists()


# Signing, restoring, code, forms


@pytest.fixture(scope="module")
def served(owner: Owner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("served") / "m"
    tfmagic.export(owner.model, place, format="saved_model", verify=False)
    return place


def test_signing_leaves_the_users_world_as_it_was(
    owner: Owner, sessions: Any, served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own"
    shutil.copytree(served, own)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    add = {"more": {"signature": "serving_default"}}

    def copy() -> object:
        return tfmagic.sign(served, tmp_path / "copy", signatures=add, overwrite=True, verify=True)

    def in_place() -> object:
        return tfmagic.sign(own, signatures=add, verify=True)

    copy()
    for name, call in (("copied", copy), ("in place", in_place)):
        with unchanged(owner, sessions, name):
            call()
        files = sorted(tmp_path.rglob("*"))
        # Both are written by then, and run to be compared.
        watch = progress.Watch(lambda _: None)
        watch.cancel()
        ending = pytest.raises(progress.CancelledError)
        with unchanged(owner, sessions, f"{name}, stopped"), progress.watched(watch), ending:
            call()
        assert sorted(tmp_path.rglob("*")) == files
    with unchanged(owner, sessions, "refused"), pytest.raises(errors.UnknownNameError):
        tfmagic.sign(own, remove=["nothing"])
    assert not list((tmp_path / "work").iterdir())


def test_restoring_changes_the_values_of_what_is_restored_alone(
    owner: Owner, sessions: Any, in_tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tf, place = runtime.tensorflow(), tmp_path_factory.mktemp("values")
    owner.model.save_weights(place / "m.weights.h5")
    module_path = tf.train.Checkpoint(live=owner.live).write(str(place / "live"))
    with sessions.graph.as_default():
        saver = tf.compat.v1.train.Saver()
        session_path = saver.save(sessions, str(place / "session"), write_meta_graph=False)
    keras_runtime.keras().Sequential([keras_runtime.keras().layers.Dense(5)])(np.ones((1, 2)))
    other = tf.train.Checkpoint(v=tf.Variable([1.0, 2.0, 3.0], name="else")).write(str(place / "else"))
    cases = (
        ("keras", owner.model, place / "m.weights.h5", {"variables"}),
        ("module", owner.live, module_path, {"variables", "tables", "generator"}),
        ("session", sessions, session_path, {"session"}),
    )
    for name, source, path, changed in cases:
        tfmagic.restore(source, path)
        _disturb(owner, sessions, name)
        with unchanged(owner, sessions, name, frozenset(changed)):
            tfmagic.restore(source, path)
        with unchanged(owner, sessions, f"{name}, again"):
            tfmagic.restore(source, path)
        _disturb(owner, sessions, name)
        with unchanged(owner, sessions, f"{name}, refused"), pytest.raises(errors.ConversionError):
            tfmagic.restore(source, other)
        with unchanged(owner, sessions, f"{name}, no file"), pytest.raises(FileNotFoundError):
            tfmagic.restore(source, place / "nothing.weights.h5")
        tfmagic.restore(source, path)
    assert not list(in_tmp_path.iterdir())


def _disturb(owner: Owner, sessions: Any, name: str) -> None:
    """Give a source other values than were saved."""
    tf = runtime.tensorflow()
    if name == "keras":
        owner.model.layers[-1].bias.assign_add([1.0])
    elif name == "session":
        sessions.run("y:0", {"x:0": [0.0, 0.0]})
    else:
        owner.live.count.assign_add(1.0)
        owner.live.table.insert(tf.constant(["disturbed"]), tf.constant([1], tf.int64))
        owner.live.generator.normal([1])


@pytest.mark.parametrize("name", [*METHODS, "keras", "session"])
def test_code_and_the_table_of_forms_leave_the_users_world_as_it_was(
    owner: Owner, sessions: Any, name: str, in_tmp_path: Path
) -> None:
    source = sources(owner, sessions)[name]
    calls: dict[str, Callable[[Path], object]] = {
        "freeze": lambda place: tfmagic.code("freeze", source, output=place / "f.pb"),
        "export": lambda place: tfmagic.code("export", source, place / "e"),
        "run": lambda _: tfmagic.code("run", source),
        "merge": lambda place: tfmagic.code("merge", source, source, connect={"y": "x"}, output=place / "m"),
        "restore": lambda place: tfmagic.code("restore", source, place / "c"),
        "sign": lambda _: tfmagic.code("sign", source),
        "forms": lambda _: tfmagic.forms(),
    }
    for call in calls.values():
        warmed(call, in_tmp_path)
    for verb, call in calls.items():
        with unchanged(owner, sessions, verb):
            warmed(call, in_tmp_path)
    assert not list(in_tmp_path.iterdir())


# The panel


@pytest.mark.parametrize("name", [*METHODS, "keras", "session"])
def test_the_panel_leaves_the_users_world_as_it_was(
    owner: Owner, sessions: Any, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tabs are made and their buttons pressed: some come to their end, some are refused, then all are stopped."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    namespace: dict[str, Any] = {}
    panel: Any = SimpleNamespace(namespace=namespace, source="model")

    def press(tab: Any, stop_at: str | None = None) -> list[str]:
        stages: list[str] = []
        begin = progress.Watch.begin

        def seen(watch: progress.Watch, stage: progress.Stage) -> None:
            stages.append(stage.name)
            if stage.name == stop_at:
                tab.work.stop.click()
            begin(watch, stage)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(progress.Watch, "begin", seen)
            tab.work.start.click()
            tab.work.wait(60.0)
        assert not tab.work.is_running
        assert stop_at is None or "Cancelled" in tab.work.status.value
        return stages

    def convert_tab_of(source: Any, place: Path) -> Any:
        tab = convert_tab.build(readers.read(source), panel)
        tab.form.destination.value = str(place)
        return tab

    tabs: dict[str, Callable[[str], Any]] = {
        "run": lambda _: run_tab.build(readers.read(sources(owner, sessions)[name]), panel),
        "convert": lambda place: convert_tab_of(sources(owner, sessions)[name], tmp_path / place),
    }
    for verb, build in tabs.items():
        stages = press(build("first"))
        with unchanged(owner, sessions, verb):
            press(build("second"))
        if stages:
            with unchanged(owner, sessions, f"{verb}, stopped"):
                press(build("stopped"), stages[-1])
    assert not (tmp_path / "stopped").exists()
    assert not namespace
    assert not list((tmp_path / "work").iterdir())
