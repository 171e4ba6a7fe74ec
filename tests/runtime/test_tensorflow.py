"""Canaries: each private path of TensorFlow and Keras that tfmagic uses, and the fallback for the day it is gone.

A failure here means that a release moved something; ``tfmagic/runtime/tensorflow.py`` says what rests on it.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from tfmagic import errors
from tfmagic.runtime import cancellation, concrete_functions, error_texts, gradients
from tfmagic.runtime import keras as keras_runtime
from tfmagic.runtime import tensorflow as runtime


def test_what_is_not_loaded_is_not_loaded_by_asking() -> None:
    program = (
        "import sys; from tfmagic.runtime import tensorflow as live; "
        "assert not live.is_loaded(); assert 'tensorflow' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_missing_library_says_the_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(name: str) -> Any:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr(importlib, "import_module", gone)
    with pytest.raises(errors.MissingDependencyError, match='pip install "tfmagic\\[cpu\\]"') as caught:
        runtime.tensorflow()
    assert caught.value.package == 'pip install "tfmagic[cpu]"'


def test_a_broken_library_is_another_story(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: str) -> Any:
        raise ModuleNotFoundError(name="absl")

    monkeypatch.setattr(importlib, "import_module", broken)
    with pytest.raises(ModuleNotFoundError) as caught:
        runtime.tensorflow()
    assert not isinstance(caught.value, errors.TfMagicError)


def test_versions_outside_the_range(monkeypatch: pytest.MonkeyPatch) -> None:
    module = SimpleNamespace(__version__="2.15.1")
    monkeypatch.setattr(importlib, "import_module", lambda _: module)
    with pytest.raises(errors.MissingDependencyError, match=r"2\.18 to 2\.21, but TensorFlow 2\.15\.1") as caught:
        runtime.tensorflow()
    assert "not installed" not in str(caught.value)
    assert caught.value.package == 'pip install "tfmagic[cpu]"'
    module.__version__ = "2.99.0-rc1"
    with pytest.warns(UserWarning, match=r"2\.99\.0-rc1"):
        assert runtime.tensorflow() is module


def test_keras_on_another_library_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    module = SimpleNamespace(__version__="2.21.0", config=SimpleNamespace(backend=lambda: "torch"))
    monkeypatch.setattr(importlib, "import_module", lambda _: module)
    with pytest.raises(errors.MissingDependencyError, match=r"'torch'.*KERAS_BACKEND") as caught:
        keras_runtime.keras()
    # Nothing that is to be installed helps.
    assert "install" not in str(caught.value)
    assert caught.value.package == ""


@pytest.mark.tensorflow
def test_eager_mode_inside_a_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    tf = runtime.tensorflow()
    context = importlib.import_module("tensorflow.python.eager.context")
    assert callable(context.eager_mode)
    with tf.Graph().as_default():
        with runtime.eager():
            assert tf.executing_eagerly()
        assert not tf.executing_eagerly()
    monkeypatch.delattr(context, "eager_mode")
    with runtime.eager():
        assert tf.executing_eagerly()


@pytest.mark.tensorflow
def test_eager_mode_within_eager_mode() -> None:
    tf = runtime.tensorflow()
    graph = tf.Graph()
    with graph.as_default(), runtime.eager():
        outer = tf.compat.v1.get_default_graph()
        with runtime.eager():
            assert tf.executing_eagerly()
            assert tf.compat.v1.get_default_graph() is outer
        # A graph that is entered in between is left again.
        with graph.as_default(), runtime.eager():
            assert tf.executing_eagerly()
            assert tf.compat.v1.get_default_graph() not in (graph, outer)
        assert tf.executing_eagerly()
        assert tf.compat.v1.get_default_graph() is outer


@pytest.mark.tensorflow
def test_functions_run_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    tf = runtime.tensorflow()
    module = importlib.import_module("tensorflow.python.eager.context")
    before = module.context().function_call_options

    def is_optimised() -> bool:
        config = tf.compat.v1.ConfigProto.FromString(module.context().function_call_options.config_proto_serialized)
        return not config.graph_options.rewrite_options.disable_meta_optimizer

    assert is_optimised()
    with concrete_functions.unoptimized():
        assert not is_optimised()
        assert float(tf.function(lambda x: x + 1)(tf.constant(1.0))) == 2
    assert module.context().function_call_options is before
    monkeypatch.delattr(module, "FunctionCallOptions")
    with concrete_functions.unoptimized():
        assert is_optimised()


@pytest.mark.tensorflow
def test_a_graph_is_described_once_while_it_stays_as_it_is() -> None:
    tf = runtime.tensorflow()
    concrete = tf.function(lambda x: x + 1).get_concrete_function(tf.TensorSpec([]))
    described = concrete_functions.graph_def(concrete)
    assert described == concrete.graph.as_graph_def()
    assert concrete_functions.graph_def(concrete) is described
    with concrete.graph.as_default():
        tf.constant(1.0, name="later")
    assert "later" in {node.name for node in concrete_functions.graph_def(concrete).node}


@pytest.mark.tensorflow
def test_the_functions_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    tf = runtime.tensorflow()
    concrete = tf.function(lambda x: x).get_concrete_function(tf.TensorSpec([]))
    assert concrete_functions.has_function(concrete.name.decode())
    assert not concrete_functions.has_function("no such function")
    monkeypatch.delattr(importlib.import_module("tensorflow.python.eager.context"), "context")
    assert concrete_functions.has_function("who knows")


@pytest.mark.tensorflow
def test_a_flat_call_and_the_structured_one() -> None:
    tf = runtime.tensorflow()
    concrete = tf.function(lambda x, y: {"s": x["a"] + x["b"] * y}).get_concrete_function(
        {"b": tf.TensorSpec([]), "a": tf.TensorSpec([])}, tf.TensorSpec([])
    )
    assert callable(concrete._call_flat)
    tensors = [tf.constant(one) for one in (1.0, 2.0, 10.0)]
    assert concrete_functions.call_flat(concrete, tensors)["s"].numpy() == 21

    class Public:
        """A ConcreteFunction without its private method."""

        inputs, captured_inputs = concrete.inputs, concrete.captured_inputs

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return concrete(*args, **kwargs)

    assert concrete_functions.call_flat(Public(), tensors)["s"].numpy() == 21


@pytest.mark.tensorflow
def test_the_traces_of_a_function() -> None:
    tf = runtime.tensorflow()
    function = tf.function(lambda x: x + 1)
    assert callable(function._list_all_concrete_functions)
    assert concrete_functions.of_function(function) == []
    function(tf.constant(1))
    function(tf.constant(1.0))
    assert [one.outputs[0].dtype for one in concrete_functions.of_function(function)] == [tf.int32, tf.float32]
    public = SimpleNamespace(input_signature=None)
    assert concrete_functions.of_function(public) == []


@pytest.mark.tensorflow
def test_what_is_captured_and_named() -> None:
    tf = runtime.tensorflow()
    variable = tf.Variable(3.0)

    def read(x: Any) -> Any:
        return {
            "y": x * tf.raw_ops.ReadVariableOp(resource=concrete_functions.capture(variable.handle), dtype=tf.float32)
        }

    wrapped = tf.compat.v1.wrap_function(read, [tf.TensorSpec([], name="x")])
    assert [outer is variable.handle for outer, _ in wrapped.graph.captures] == [True]
    concrete_functions.name_arguments(wrapped, ["x"])
    assert wrapped._arg_keywords == ["x"]
    assert wrapped(tf.constant(2.0))["y"].numpy() == 6


@pytest.mark.tensorflow
@pytest.mark.parametrize("library", ["keras", "tf_keras"])
def test_what_the_table_of_layers_rests_on(library: str) -> None:
    keras = pytest.importorskip(library)
    x = keras.layers.Input((3,), name="x")
    model = keras.Model(x, keras.layers.Dense(2, name="d")(x))
    ((node,),) = (layer._inbound_nodes for layer in model.layers if layer.name == "d")
    assert any(node is one for nodes in model._nodes_by_depth.values() for one in nodes)
    history = model.outputs[0]._keras_history
    assert (getattr(history, "operation", None) or history.layer).name == "d"
    assert model._flatten_layers


@pytest.mark.tensorflow
def test_the_layers_of_tensorflow_1_are_where_keras_2_keeps_them() -> None:
    pytest.importorskip("tf_keras")
    assert callable(keras_runtime.legacy_layers().dense)
    assert callable(keras_runtime.legacy_layers().conv2d)


def test_a_long_message_is_quoted_by_its_beginning() -> None:
    assert error_texts.gist(ValueError("no")) == "no"
    assert error_texts.gist(ValueError()) == "ValueError"
    assert len(error_texts.gist(ValueError("x" * 10_000))) < 1000


@pytest.mark.tensorflow
def test_what_failed_in_a_graph_is_told_without_the_stack_of_who_made_it() -> None:
    tf = runtime.tensorflow()

    def refuse(x: Any) -> Any:
        return tf.debugging.check_numerics(x / 0.0, "too bold")

    with pytest.raises(tf.errors.InvalidArgumentError, match="File ") as caught:
        tf.function(refuse)(tf.constant(1.0))
    told = error_texts.gist(caught.value)
    assert told.startswith("too bold : Tensor had Inf values")
    assert "File" not in told


@pytest.mark.tensorflow
def test_whose_gradient_it_is() -> None:
    tf = runtime.tensorflow()

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def own(x: Any) -> Any:
        return tf.identity(x), lambda upstream: upstream

    def registered(function: Any) -> str:
        graph = tf.function(function).get_concrete_function(tf.TensorSpec([1])).graph.as_graph_def()
        (name,) = {node.attr["_gradient_op_type"].s for node in graph.node if "_gradient_op_type" in node.attr}
        return str(name, "ascii")

    assert gradients.is_own(registered(tf.nn.silu))
    assert not gradients.is_own(registered(own))
    assert not gradients.is_own("CustomGradient-none")


@pytest.mark.tensorflow
def test_settings_of_one_thread_are_given_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    keras = keras_runtime.keras()
    before, found = keras.config.dtype_policy(), []

    def look(enter: Any) -> None:
        enter()
        found.append(keras.config.dtype_policy().name)

    def in_a_thread(enter: Any) -> None:
        thread = threading.Thread(target=look, args=(enter,))
        thread.start()
        thread.join()

    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        settings = keras_runtime.thread_settings()
        with monkeypatch.context() as patch:
            patch.delattr(importlib.import_module("keras.src.backend.common.global_state"), "get_global_attribute")
            fallback = keras_runtime.thread_settings()
    finally:
        keras.config.set_dtype_policy(before)
    in_a_thread(settings)
    in_a_thread(fallback)
    assert keras.config.dtype_policy() is before
    assert found == ["mixed_bfloat16", "float32"]


@pytest.mark.tensorflow
def test_asking_for_settings_makes_none() -> None:
    keras = keras_runtime.keras()
    state = importlib.import_module("keras.src.backend.common.global_state")
    found: list[Any] = []

    def look() -> None:
        keras_runtime.thread_settings()()
        found.append(state.get_global_attribute("dtype_policy"))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == [None]
    assert keras.config.floatx() == "float32"


@pytest.mark.tensorflow
def test_what_is_executed_can_be_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    tf = runtime.tensorflow()
    endless = tf.function(lambda: tf.while_loop(lambda n: n >= 0, lambda n: (n * 0,), (tf.constant(1),)))
    with cancellation.cancellable() as cancel:
        threading.Timer(0.3, cancel).start()
        with pytest.raises(tf.errors.CancelledError):
            endless()
    with pytest.raises(cancellation.EndlessError, match=r"took longer than 0\.3 s and was stopped"):
        cancellation.bounded(endless, 0.3)
    module = importlib.import_module("tensorflow.python.eager.cancellation")
    monkeypatch.delattr(module, "CancellationManager")
    with cancellation.cancellable() as cancel:
        cancel()
        assert tf.function(lambda: tf.constant(2))().numpy() == 2
