"""The same small network in every form, for the tests that hold all readers to one contract.

Two dense layers with known weights, an input ``x`` of shape [None, 4] and an output ``y`` of shape [None, 2]. A sample
is built when it is first asked for, once a session. A new form is a new builder here.
"""

from __future__ import annotations

import gzip
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

WEIGHTS: Mapping[str, np.ndarray] = {
    "hidden/kernel": np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3),
    "hidden/bias": np.array([0.5, -0.5, 0.25], np.float32),
    "out/kernel": np.linspace(-2, 2, 6, dtype=np.float32).reshape(3, 2),
    "out/bias": np.array([1, -1], np.float32),
}
#: The parts of each form (DESIGN section 4); GraphDefs have a function once their ends are named.
PARTS: Mapping[str, str] = {
    "keras_model": "graph signatures variables function keras",
    "function": "graph signatures variables function",
    "session": "graph variables function",
    "saved_model": "graph signatures variables function",
    "graph_def": "graph variables",
    "meta_graph": "graph signatures variables function",
    "checkpoint": "variables",
    "keras_file": "graph signatures variables function keras",
    "tflite": "signatures function",
}


@dataclass(frozen=True)
class Sample:
    """One way in which the network comes.

    Attributes
    ----------
    name, form : str
        The builder's name, and the form that claims what it builds.
    parts : tuple of str
        What the sample has, by DESIGN section 4.
    is_file : bool
        Whether it is a path, which is read without TensorFlow.
    build : callable
        Builds it in an empty directory and returns the source.
    """

    name: str
    form: str
    parts: tuple[str, ...]
    is_file: bool
    build: Callable[[Path], object]

    def __str__(self) -> str:
        return self.name


SAMPLES: dict[str, Sample] = {}


def sample(
    form: str, *, parts: str = "", live: bool = False
) -> Callable[[Callable[[Path], Any]], Callable[[Path], Any]]:
    """Enter a builder into the table; ``parts`` if the sample has less than its form."""

    def enter(build: Callable[[Path], Any]) -> Callable[[Path], Any]:
        name = build.__name__
        SAMPLES[name] = Sample(name, form, tuple((parts or PARTS[form]).split()), not live, build)
        return build

    return enter


@dataclass
class Built:
    """The samples of a session, built as they are asked for."""

    directory: Path
    sources: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        """Return the source of a sample: a path or a live object."""
        if name not in self.sources:
            own = self.directory / name
            own.mkdir()
            try:
                self.sources[name] = SAMPLES[name].build(own)
            except BaseException:
                shutil.rmtree(own)
                raise
        return self.sources[name]

    def path(self, name: str) -> Path:
        """Return the path of a sample that is one."""
        return Path(self[name])

    def copy(self, name: str, directory: Path) -> Path:
        """Copy a sample with all that lies beside it, to be damaged; return its path there."""
        source = self.path(name)
        shutil.copytree(self.directory / name, directory / name)
        return directory / name / source.relative_to(self.directory / name)


def network(x: np.ndarray) -> np.ndarray:
    """Compute what every sample computes."""
    hidden = np.maximum(x @ WEIGHTS["hidden/kernel"] + WEIGHTS["hidden/bias"], 0)
    return np.asarray(hidden @ WEIGHTS["out/kernel"] + WEIGHTS["out/bias"])


# Live objects. TensorFlow and Keras are imported by the builders: seconds that only who builds should take.


@sample("keras_model", live=True)
def keras_model(_directory: Path) -> Any:
    import keras  # noqa: PLC0415 - as above

    inputs = keras.layers.Input((4,), name="x")
    hidden = keras.layers.Dense(3, activation="relu", name="hidden")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, name="out")(hidden), name="network")
    model.set_weights(list(WEIGHTS.values()))
    return model


@sample("function", live=True)
def module(_directory: Path) -> Any:
    import tensorflow as tf  # noqa: PLC0415 - as above

    class Network(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(name="network")
            self.weights = [tf.Variable(value, name=name) for name, value in WEIGHTS.items()]

        @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")])  # type: ignore[untyped-decorator]
        def __call__(self, x: Any) -> Any:
            return {"y": _forward(tf, x, self.weights)}

    return Network()


@sample("function", live=True)
def tf_function(_directory: Path) -> Any:
    import tensorflow as tf  # noqa: PLC0415 - as above

    weights = [tf.Variable(value, name=name) for name, value in WEIGHTS.items()]

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")])  # type: ignore[untyped-decorator]
    def network(x: Any) -> Any:
        return {"y": _forward(tf, x, weights)}

    return network


@sample("function", live=True)
def concrete_function(directory: Path) -> Any:
    function = tf_function(directory)
    concrete = function.get_concrete_function()
    # The function that it was made of holds its variables.
    concrete.made_of = function
    return concrete


@sample("function", live=True)
def loaded_saved_model(directory: Path) -> Any:
    import tensorflow as tf  # noqa: PLC0415 - as above

    return tf.saved_model.load(str(saved_model_tf2(directory)))


@sample("session", live=True)
def session(_directory: Path) -> Any:
    return _session()


@sample("session", live=True)
def session_of_resource_variables(_directory: Path) -> Any:
    return _session(use_resource=True)


@sample("session", parts="graph", live=True)
def bare_graph(_directory: Path) -> Any:
    return _constant_graph()


# SavedModels


@sample("saved_model")
def saved_model_tf2(directory: Path) -> Path:
    import tensorflow as tf  # noqa: PLC0415 - as above

    tf.saved_model.save(module(directory), str(directory / "model"))
    return directory / "model"


@sample("saved_model")
def saved_model_tf1(directory: Path) -> Path:
    _write_saved_model(directory / "model", [["serve"]])
    return directory / "model"


@sample("saved_model")
def saved_model_text(directory: Path) -> Path:
    # Written by text_format: of a message with a quote, the str() of protobuf 5 makes text that nothing can read.
    from google.protobuf import text_format  # noqa: PLC0415 - as above
    from tensorflow.core.protobuf import saved_model_pb2  # noqa: PLC0415 - as above

    _write_saved_model(directory / "model", [["serve"]])
    binary = directory / "model" / "saved_model.pb"
    text = text_format.MessageToString(saved_model_pb2.SavedModel.FromString(binary.read_bytes()))
    binary.with_suffix(".pbtxt").write_text(text, encoding="utf-8")
    binary.unlink()
    return directory / "model"


@sample("saved_model")
def saved_model_of_keras(directory: Path) -> Path:
    keras_model(directory).export(str(directory / "model"))
    return directory / "model"


@sample("saved_model")
def saved_model_several(directory: Path) -> Path:
    _write_saved_model(directory / "model", [["train"], ["serve"], ["serve", "gpu"]])
    return directory / "model"


@sample("saved_model")
def saved_model_versions(directory: Path) -> Path:
    newest = saved_model_tf2(directory)
    for version in ("2", "10"):
        shutil.copytree(newest, directory / "served" / version)
    return directory / "served"


# Graphs and MetaGraphs


@sample("graph_def", live=True)
def graph_def_message(_directory: Path) -> Any:
    return _constant_graph().as_graph_def()


@sample("graph_def")
def graph_def(directory: Path) -> Path:
    return _written(directory / "graph.pb", graph_def_message(directory).SerializeToString())


@sample("graph_def")
def graph_def_text(directory: Path) -> Path:
    from google.protobuf import text_format  # noqa: PLC0415 - as above

    return _written(directory / "graph.pbtxt", text_format.MessageToString(graph_def_message(directory)).encode())


@sample("graph_def")
def graph_def_gzip(directory: Path) -> Path:
    return _written(directory / "graph.pb.gz", gzip.compress(graph_def_message(directory).SerializeToString()))


@sample("meta_graph", live=True)
def meta_graph_message(_directory: Path) -> Any:
    import tensorflow as tf  # noqa: PLC0415 - as above

    with _session().graph.as_default():
        return tf.compat.v1.train.export_meta_graph()


@sample("meta_graph")
def meta_graph(directory: Path) -> Path:
    _write_saver(directory / "model.ckpt")
    return directory / "model.ckpt.meta"


@sample("meta_graph")
def meta_graph_of_a_prefix(directory: Path) -> Path:
    _write_saver(directory / "model.ckpt")
    return directory / "model.ckpt"


# Checkpoints


@sample("checkpoint")
def checkpoint_v1(directory: Path) -> Path:
    _write_saver(directory / "model.ckpt", write_version=1)
    return _without_graph(directory / "model.ckpt")


@sample("checkpoint")
def checkpoint_v2(directory: Path) -> Path:
    _write_saver(directory / "model.ckpt")
    return _without_graph(directory / "model.ckpt")


@sample("checkpoint")
def checkpoint_sharded(directory: Path) -> Path:
    _write_saver(directory / "model.ckpt", sharded=True)
    return directory


@sample("checkpoint")
def checkpoint_of_objects(directory: Path) -> Path:
    import tensorflow as tf  # noqa: PLC0415 - as above

    return Path(tf.train.Checkpoint(model=module(directory)).save(str(directory / "ckpt")))


# Files of Keras and TFLite


@sample("keras_file")
def keras_archive(directory: Path) -> Path:
    return _saved_keras(directory / "model.keras")


@sample("keras_file")
def keras_hdf5(directory: Path) -> Path:
    return _saved_keras(directory / "model.h5")


@sample("keras_file", parts="variables")
def keras_weights(directory: Path) -> Path:
    keras_model(directory).save_weights(directory / "model.weights.h5")
    return directory / "model.weights.h5"


@sample("tflite")
def tflite(directory: Path) -> Path:
    import tensorflow as tf  # noqa: PLC0415 - as above

    converter = tf.lite.TFLiteConverter.from_saved_model(str(saved_model_tf2(directory)))
    return _written(directory / "model.tflite", converter.convert())


def _saved_keras(path: Path) -> Path:
    keras_model(path.parent).save(path)
    return path


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _forward(tf: Any, x: Any, weights: Any) -> Any:
    """Compute the network with any kind of weights, its output named ``y``."""
    hidden = tf.nn.relu(tf.matmul(x, weights[0]) + weights[1], name="hidden")
    return tf.add(tf.matmul(hidden, weights[2]), weights[3], name="y")


def _constant_graph() -> Any:
    import tensorflow as tf  # noqa: PLC0415 - as above

    with tf.Graph().as_default() as graph:
        weights = [tf.constant(value, name=name) for name, value in WEIGHTS.items()]
        _forward(tf, tf.compat.v1.placeholder(tf.float32, [None, 4], "x"), weights)
    return graph


def _session(*, use_resource: bool = False) -> Any:
    """Return a session of TensorFlow 1 whose variables are initialised."""
    import tensorflow as tf  # noqa: PLC0415 - as above

    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [None, 4], "x")
        values = {name: v1.constant_initializer(value) for name, value in WEIGHTS.items()}
        weights = [
            v1.get_variable(name, WEIGHTS[name].shape, initializer=value, use_resource=use_resource)
            for name, value in values.items()
        ]
        _forward(tf, x, weights)
        initialise = v1.global_variables_initializer()
    result = v1.Session(graph=graph)
    result.run(initialise)
    return result


def _write_saved_model(path: Path, tag_sets: list[list[str]], *, as_text: bool = False) -> None:
    """Write a SavedModel of TensorFlow 1; its first MetaGraphDef comes with the variables."""
    import tensorflow as tf  # noqa: PLC0415 - as above

    v1 = tf.compat.v1
    builder = v1.saved_model.Builder(str(path))
    live = _session(use_resource=True)
    with live, live.graph.as_default():
        graph = live.graph
        signature = v1.saved_model.predict_signature_def(
            {"x": graph.get_tensor_by_name("x:0")}, {"y": graph.get_tensor_by_name("y:0")}
        )
        builder.add_meta_graph_and_variables(live, tag_sets[0], {"serving_default": signature})
        for tags in tag_sets[1:]:
            builder.add_meta_graph(tags, {"serving_default": signature})
    builder.save(as_text=as_text)


def _without_graph(prefix: Path) -> Path:
    """Take the ``.meta`` away: with it, a prefix is a graph with its values."""
    prefix.with_name(f"{prefix.name}.meta").unlink()
    return prefix


def _write_saver(prefix: Path, **options: Any) -> None:
    """Write a checkpoint of TensorFlow 1, its ``.meta`` and its state file."""
    import tensorflow as tf  # noqa: PLC0415 - as above

    live = _session()
    with live, live.graph.as_default():
        tf.compat.v1.train.Saver(save_relative_paths=True, **options).save(live, str(prefix))
