"""What writes: staging by itself, with bytes for models, and every writer of tfmagic's with a small model.

A subject writes version 1 or 2 of a thing, and tells which of them lies at a place, by a library that is not ours.
"""

from __future__ import annotations

import csv
import os
import sys
from abc import ABC, abstractmethod
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

import tfmagic
from tests.faults import elsewhere
from tfmagic.files import protos, writing
from tfmagic.files.checkpoints import sorted_tables, tensor_writing
from tfmagic.files.checkpoints import writing as checkpoint_writing
from tfmagic.models.model import Part
from tfmagic.models.variable_values import VariableValues
from tfmagic.verbs import kept_outputs
from tfmagic.verbs.undisturbed import undisturbed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

#: The kinds of faults: a call that fails, a disk that stays full from there on, a kill, an interrupt.
KINDS = ("calls", "full", "kills", "interrupts")
#: The input of all models: what they make of it is their version, or minus that.
X = np.full((1, 4), 0.25, np.float32)


class Subject(ABC):
    """Something that is written.

    Attributes
    ----------
    destination : str
        Its name, or how its files begin.
    in_place : bool
        Whether it changes what is there, and does nothing at a new place.
    is_never_replaced : bool
        Whether what it wrote is never replaced.
    unfinished : tuple of str
        Names beside the destination under which it may leave what it had, for the next call to go on from.
    has_directories : bool
        Whether directories count where it lies.
    is_group : bool
        Whether it is several files, which cannot change in one step.
    kinds : tuple of str
        The kinds of faults that can hurt it.
    sources : Path
        A folder for files that it is made of, which no fault touches.
    """

    destination: str = "model"
    in_place: ClassVar[bool] = False
    is_never_replaced: ClassVar[bool] = False
    unfinished: ClassVar[tuple[str, ...]] = ()
    has_directories: ClassVar[bool] = True
    is_group: bool = False
    kinds: ClassVar[tuple[str, ...]] = KINDS
    sources: Path

    @abstractmethod
    def write(self, place: Path, version: int, *, overwrite: bool) -> object:
        """Write a version."""

    @abstractmethod
    def version(self, place: Path) -> float | None:
        """Return which version is there, complete; None for anything else."""

    def read(self, place: Path) -> float | None:
        """Return which version tfmagic reads there; raises what tfmagic does, NotImplementedError if nobody asks."""
        raise NotImplementedError

    @property
    def can_be_written_again(self) -> bool:
        """Whether a call may follow one that was done."""
        return not (self.in_place or self.is_never_replaced)

    def modes(self, wanted: Sequence[str]) -> tuple[str, ...]:
        """Return those ways to write it that there are: to a ``"new"`` place, or to ``"overwrite"``."""
        if self.in_place:
            return ("overwrite",)
        return tuple(mode for mode in wanted if mode == "new" or not self.is_never_replaced)


class PlainFile(Subject):
    """Bytes in a file, staged."""

    @undisturbed
    def write(self, place: Path, version: int, *, overwrite: bool) -> object:
        with writing.Staging(place, overwrite=overwrite) as staged:
            staged.write_bytes(bytes([version]) * 10)
        return None

    def version(self, place: Path) -> float | None:
        content = place.read_bytes()
        return content[0] if content == content[:1] * 10 else None


class DeepFile(PlainFile):
    """The same, in directories that are missing."""

    destination = "some/way/model"


class PlainDirectory(Subject):
    """A directory that looks like a SavedModel's, staged."""

    @undisturbed
    def write(self, place: Path, version: int, *, overwrite: bool) -> object:
        with writing.Staging(place, overwrite=overwrite, directory=True) as staged:
            (staged / "variables").mkdir(parents=True)
            (staged / "saved_model.pb").write_bytes(bytes([version]))
            (staged / "variables" / "variables.index").write_bytes(bytes([version]))
        return None

    def version(self, place: Path) -> float | None:
        one, other = ((place / name).read_bytes() for name in ("saved_model.pb", "variables/variables.index"))
        return one[0] if one == other else None


class PlainCheckpoint(Subject):
    """A checkpoint of one value with a graph of one byte, staged."""

    destination = "model.ckpt"
    is_group = True
    has_graph: ClassVar[bool] = True

    @undisturbed
    def write(self, place: Path, version: int, *, overwrite: bool) -> object:
        with checkpoint_writing.Staging(place, overwrite=overwrite, size=0) as staged:
            header = protos.message("BundleHeaderProto")(num_shards=1)
            entry = protos.message("BundleEntryProto")(size=version)
            table = sorted_tables.table({b"": header.SerializeToString(), b"x": entry.SerializeToString()})
            staged.with_name(staged.name + ".index").write_bytes(table)
            staged.with_name(staged.name + ".data-00000-of-00001").write_bytes(bytes([version]) * version)
            if self.has_graph:
                staged.with_name(staged.name + ".meta").write_bytes(bytes([version]))
        return None

    def version(self, place: Path) -> float | None:
        entries = dict(sorted_tables.Table.open(place.with_name(place.name + ".index")))
        count = protos.parse("BundleHeaderProto", entries[b""]).num_shards
        version = int(protos.parse("BundleEntryProto", entries[b"x"]).size)
        data = place.with_name(f"{place.name}.data-00000-of-{count:05}").read_bytes()
        graph = place.with_name(place.name + ".meta")
        is_whole = data == bytes([version]) * version and graph.exists() == self.has_graph
        return version if is_whole and (not self.has_graph or graph.read_bytes() == bytes([version])) else None


class CheckpointWithoutGraph(PlainCheckpoint):
    """The same without a graph, which changes in one step."""

    has_graph = False


@cache
def network(version: int) -> Any:
    """Return a Keras model that makes its version of X."""
    import keras  # noqa: PLC0415 - TensorFlow comes with it

    layers = [keras.layers.Input((4,), name="x"), keras.layers.Dense(1, use_bias=False, name="y")]
    model = keras.Sequential(layers, name=f"network_{version}")
    model.set_weights([np.full((4, 1), version, np.float32)])
    return model


@cache
def ran(version: int) -> tfmagic.Run:
    """Return what the Keras model makes of X."""
    return tfmagic.run(network(version), {"x": X})


@cache
def session(version: int) -> Any:
    """Return a session of TensorFlow 1 whose graph and value are both the version's."""
    import tensorflow as tf  # noqa: PLC0415 - costs seconds

    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [None, 4], "x")
        kernel = v1.get_variable("kernel", initializer=np.full((4, 1), version, np.float32))
        y = tf.matmul(x, kernel)
        (tf.identity if version == 1 else tf.negative)(y, name="y")
        result = v1.Session(graph=graph)
        result.run(v1.global_variables_initializer())
    return result


@cache
def doubled() -> Any:
    """Return a function that doubles what it is given."""
    import tensorflow as tf  # noqa: PLC0415 - costs seconds

    spec = tf.TensorSpec([None, 4], tf.float32, name="x")
    return tf.function(lambda x: {"twice": x * 2.0}, input_signature=[spec])


@cache
def module(version: int, folder: Path) -> Any:
    """Return a module with a variable and a table that is read from a file."""
    import tensorflow as tf  # noqa: PLC0415 - costs seconds

    words = folder / f"{version}.txt"
    words.write_text("one\ntwo\n", "utf-8")
    spec = tf.TensorSpec([None, 4], tf.float32, name="x")
    result = tf.Module()
    result.kernel = tf.Variable(np.full((4, 1), version, np.float32))
    content = tf.lookup.TextFileInitializer(
        str(words), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
    )
    result.table = tf.lookup.StaticHashTable(content, 0)
    result.served = tf.function(
        lambda x: {"y": tf.matmul(x, result.kernel) + tf.cast(result.table.lookup(tf.constant("one")), tf.float32)},
        input_signature=[spec],
    )
    return result


class Export(Subject):
    """A format that :func:`tfmagic.export` writes of a Keras model."""

    def __init__(self, destination: str, **options: Any) -> None:
        self.destination = destination
        self._options = options

    def write(self, place: Path, version: int, *, overwrite: bool) -> object:
        return tfmagic.export(network(version), place, overwrite=overwrite, **self._options)


class SavedModel(Export):
    """A SavedModel."""

    def version(self, place: Path) -> float | None:
        import tensorflow as tf  # noqa: PLC0415 - costs seconds

        loaded = tf.saved_model.load(str(place))
        (signature,) = loaded.signatures.values()
        (result,) = signature(x=tf.constant(X)).values()
        return float(result[0, 0])


class SignedInPlace(SavedModel):
    """A SavedModel whose signature is renamed where it is: version 2 has another key."""

    in_place = True

    def write(self, place: Path, version: int, *, overwrite: bool) -> object:
        if version == 1:
            return super().write(place, version, overwrite=overwrite)
        return tfmagic.sign(place, rename={"serving_default": "again"})

    def version(self, place: Path) -> float | None:
        import tensorflow as tf  # noqa: PLC0415 - costs seconds

        (key,) = tf.saved_model.load(str(place)).signatures
        return 1 if key == "serving_default" else 2


class Wrapped(SavedModel):
    """A SavedModel around a frozen graph."""

    def write(self, place: Path, version: int, *, overwrite: bool) -> object:
        source = self.sources / f"{version}.pb"
        if not source.exists():
            tfmagic.freeze(network(version), output=source)
        return tfmagic.export(source, place, overwrite=overwrite)


class WithTable(SavedModel):
    """A SavedModel with a table that reads an asset, which TensorFlow itself writes."""

    def write(self, place: Path, version: int, *, overwrite: bool) -> object:
        return tfmagic.export(module(version, self.sources), place, overwrite=overwrite)


class OfSession(SavedModel):
    """A SavedModel of a session of TensorFlow 1."""

    def write(self, place: Path, version: int, *, overwrite: bool) -> object:
        return tfmagic.export(session(version), place, overwrite=overwrite, inputs={"x": "x:0"}, outputs={"y": "y:0"})

    def version(self, place: Path) -> float | None:
        return {1.0: 1, -2.0: 2}.get(super().version(place) or 0.0)


class Signed(SavedModel):
    """A SavedModel whose signature is renamed, as a copy."""

    def write(self, place: Path, version: int, *, overwrite: bool) -> object:
        source = self.sources / str(version)
        if not source.exists():
            super().write(source, version, overwrite=False)
        return tfmagic.sign(source, place, rename={"serving_default": "again"}, overwrite=overwrite)

    def version(self, place: Path) -> float | None:
        import tensorflow as tf  # noqa: PLC0415 - costs seconds

        (result,) = tf.saved_model.load(str(place)).signatures["again"](x=tf.constant(X)).values()
        return float(result[0, 0])


class Slim(SavedModel):
    """A SavedModel without what it does not need: Keras exports each weight twice."""

    def write(self, place: Path, version: int, *, overwrite: bool) -> object:
        source = self.sources / str(version)
        if not source.exists():
            network(version).export(source)
        return tfmagic.slim(source, place, overwrite=overwrite)

    def version(self, place: Path) -> float | None:
        import tensorflow as tf  # noqa: PLC0415 - costs seconds

        (result,) = tf.saved_model.load(str(place)).signatures["serving_default"](tf.constant(X)).values()
        return float(result[0, 0])


class Merged(SavedModel):
    """A SavedModel of two models."""

    def write(self, place: Path, version: int, *, overwrite: bool) -> object:
        return tfmagic.merge(doubled(), network(version), connect={"twice": "x"}, output=place, overwrite=overwrite)

    def version(self, place: Path) -> float | None:
        import tensorflow as tf  # noqa: PLC0415 - costs seconds

        results = tf.saved_model.load(str(place)).signatures["serving_default"](x=tf.constant(X))
        return float(results["y"][0, 0]) / 2


class Graph(Export):
    """A frozen graph."""

    def version(self, place: Path) -> float | None:
        import tensorflow as tf  # noqa: PLC0415 - costs seconds
        from google.protobuf import text_format  # noqa: PLC0415 - beside it

        v1 = tf.compat.v1
        text = place.suffix == ".pbtxt"
        graph_def = (
            text_format.Parse(place.read_text(), v1.GraphDef()) if text else v1.GraphDef.FromString(place.read_bytes())
        )
        values = [tf.make_ndarray(node.attr["value"].tensor) for node in graph_def.node if node.op == "Const"]
        return next(float(value[0, 0]) for value in values if value.shape == (4, 1))


class SlimGraph(Graph):
    """A graph without what its outputs do not need."""

    def write(self, place: Path, version: int, *, overwrite: bool) -> object:
        source = self.sources / f"{version}.pb"
        if not source.exists():
            graph_def = tfmagic.freeze(network(version)).graph_def
            spare = graph_def.node.add(name="spare", op="Const")
            spare.attr["dtype"].type = 1
            spare.attr["value"].tensor.dtype = 1
            spare.attr["value"].tensor.tensor_content = bytes(4)
            graph_def.node.add(name="written", op="NoOp", input=["^spare"])
            source.write_bytes(graph_def.SerializeToString())
        return tfmagic.slim(source, place, overwrite=overwrite)


class KerasFile(Export):
    """A file of Keras's."""

    def version(self, place: Path) -> float | None:
        import keras  # noqa: PLC0415 - costs seconds

        return float(keras.saving.load_model(place, compile=False)(X)[0, 0])


class Weights(Export):
    """Weights in HDF5."""

    def version(self, place: Path) -> float | None:
        import h5py  # noqa: PLC0415 - for this one

        values: list[Any] = []
        with h5py.File(place) as file:
            file.visititems(lambda _, item: values.append(item[()]) if isinstance(item, h5py.Dataset) else None)
        return float(values[0][0, 0])


class TFLite(Export):
    """A TFLite file."""

    def version(self, place: Path) -> float | None:
        import tensorflow as tf  # noqa: PLC0415 - costs seconds

        interpreter = tf.lite.Interpreter(str(place))
        (result,) = interpreter.get_signature_runner(next(iter(interpreter.get_signature_list())))(x=X).values()
        return float(result[0, 0])


class Onnx(Export):
    """An ONNX file."""

    def version(self, place: Path) -> float | None:
        import onnxruntime  # noqa: PLC0415 - for this one

        return float(onnxruntime.InferenceSession(str(place)).run(None, {"x": X})[0][0, 0])


class Events(Export):
    """An event file, or a directory to which one is added."""

    def version(self, place: Path) -> float | None:
        import tensorflow as tf  # noqa: PLC0415 - costs seconds

        files = [file for file in place.iterdir() if not file.name.startswith(".")] if place.is_dir() else [place]
        file = max(files, key=lambda path: path.stat().st_mtime_ns)
        graphs = [event.graph_def for event in tf.compat.v1.train.summary_iterator(str(file)) if event.graph_def]
        return next((number for number in (1, 2) if f"network_{number}".encode() in graphs[0]), None)


@cache
def object_store() -> str:
    """Have fsspec take the disk for a store of objects; returns the protocol."""
    import fsspec  # noqa: PLC0415 - an extra
    from fsspec.implementations.local import LocalFileSystem  # noqa: PLC0415 - beside it

    class Disk(LocalFileSystem):  # type: ignore[misc]
        protocol = ("disk",)

        def __init__(self, **options: Any) -> None:
            super().__init__(auto_mkdir=True, **options)

        @classmethod
        def _strip_protocol(cls, path: str | os.PathLike[str]) -> str:
            return str(super()._strip_protocol(os.fspath(path).removeprefix("disk://")))

        def info(self, path: Any, **options: Any) -> dict[str, Any]:
            result: dict[str, Any] = super().info(path, **options)
            if result["type"] == "directory" and not any(files for _, _, files in os.walk(result["name"])):
                raise FileNotFoundError(path)
            return result

    fsspec.register_implementation("disk", Disk, clobber=True)
    return "disk://"


class Uploaded(SavedModel):
    """A SavedModel that is brought to an address."""

    is_never_replaced = True
    has_directories = False
    # Nobody is there to remove what a killed process had uploaded.
    kinds = ("calls", "full", "interrupts")

    def write(self, place: Path, version: int, *, overwrite: bool) -> object:
        return tfmagic.export(network(version), f"{object_store()}{place}", overwrite=overwrite)


class UploadedGraph(Graph):
    """A frozen graph that is brought to an address."""

    has_directories = False
    kinds = ("calls", "full", "interrupts")

    def write(self, place: Path, version: int, *, overwrite: bool) -> object:
        return tfmagic.freeze(network(version), output=f"{object_store()}{place}", overwrite=overwrite)


class Catalogue(Subject):
    """A catalogue of a model, which has its version as its name."""

    destination = "catalogue.csv"
    unfinished = ("catalogue.unfinished.csv", "catalogue.unfinished-before.csv")

    def write(self, place: Path, version: int, *, overwrite: bool) -> object:
        source = self.sources / f"of-{version}" / f"{version}.pb"
        if not source.exists():
            source.parent.mkdir(exist_ok=True)
            source.write_bytes(protos.message("GraphDef")().SerializeToString())
        return tfmagic.catalog(source.parent, output=place, overwrite=overwrite)

    def version(self, place: Path) -> float | None:
        with place.open(encoding="utf-8", newline="") as file:
            (row,) = csv.DictReader(file)
        return float(row["address"].rpartition("/")[2].removesuffix(".pb"))


class Outputs(Subject):
    """What a run gave, in a file."""

    destination = "outputs.npz"

    def write(self, place: Path, version: int, *, overwrite: bool) -> object:
        return kept_outputs.keep(ran(version), place, overwrite=overwrite)

    def version(self, place: Path) -> float | None:
        with np.load(place) as kept:
            return float(kept["y"][0, 0])


def read_kernel(place: Path) -> float:
    """Return what tfmagic reads of a checkpoint's variable of four rows."""
    model = tfmagic.inspect(place, form="checkpoint")
    (row,) = (row for row in model.part(Part.VARIABLES) if row.shape == (4, 1))
    return float(next(VariableValues(model).of(row).blocks()).reshape(-1)[0])


class ObjectCheckpoint(Export):
    """A checkpoint of objects."""

    is_group = True

    def version(self, place: Path) -> float | None:
        import tensorflow as tf  # noqa: PLC0415 - costs seconds

        reader = tf.train.load_checkpoint(str(place))
        keys = [key for key, shape in reader.get_variable_to_shape_map().items() if shape == [4, 1]]
        return float(reader.get_tensor(keys[0])[0, 0])

    def read(self, place: Path) -> float | None:
        return read_kernel(place)


class SlimCheckpoint(ObjectCheckpoint):
    """A checkpoint without the state of an optimizer."""

    def write(self, place: Path, version: int, *, overwrite: bool) -> object:
        source = self.sources / f"{version}.ckpt"
        if not source.with_name(source.name + ".index").exists():
            kernel = np.full((4, 1), version, np.float32)
            tensors = [tensor_writing.Tensor("y/kernel", "float32", kernel)]
            tensors.append(tensor_writing.Tensor("y/kernel/Adam", "float32", kernel[:2]))
            tensor_writing.write(source, tensors)
        return tfmagic.slim(source, place, overwrite=overwrite)


class SessionCheckpoint(Subject):
    """A checkpoint of TensorFlow 1: graph and value."""

    destination = "model.ckpt"
    is_group = True

    def write(self, place: Path, version: int, *, overwrite: bool) -> object:
        return tfmagic.export(session(version), place, overwrite=overwrite)

    def version(self, place: Path) -> float | None:
        import tensorflow as tf  # noqa: PLC0415 - costs seconds

        v1 = tf.compat.v1
        with tf.Graph().as_default(), v1.Session() as restored:
            v1.train.import_meta_graph(f"{place}.meta").restore(restored, str(place))
            result = float(restored.run("y:0", {"x:0": X})[0, 0])
        return {1.0: 1, -2.0: 2}.get(result)

    def read(self, place: Path) -> float | None:
        return read_kernel(place)


class CopiedCheckpoint(SessionCheckpoint):
    """A checkpoint that lies on the disk, copied with its graph."""

    def write(self, place: Path, version: int, *, overwrite: bool) -> object:
        source = self.sources / f"{version}.ckpt"
        if not source.with_name(source.name + ".meta").exists():
            super().write(source, version, overwrite=False)
        return tfmagic.export(f"{source}.meta", place, overwrite=overwrite)


def without_tensorflow() -> None:
    """Have this process from here on be one in which TensorFlow cannot be had."""
    if sys.modules.get("tensorflow") is not None:
        raise RuntimeError("TensorFlow is loaded, so that nothing can be written without it")
    sys.modules.update(dict.fromkeys(("tensorflow", "keras", "tf_keras")))  # type: ignore[arg-type]


class Stored(Subject):
    """What is written of a file where TensorFlow cannot be had.

    Parameters
    ----------
    destination : str
        As of every subject.
    source : tuple of str
        The subject that writes the source, the end of the source's name, and what is added to that to name it.
    judge : str
        The subject that tells versions.
    verb : callable
        Takes the source, the place and, as keywords, options.
    options : keyword arguments
        Further ones of the verb.
    """

    def __init__(
        self, destination: str, source: tuple[str, str, str], judge: str, verb: Callable[..., object], **options: Any
    ) -> None:
        self.destination = destination
        self.is_group = destination.endswith(".ckpt")
        self._source = source
        self._judge = judge
        self._verb = verb
        self._options = options

    def write(self, place: Path, version: int, *, overwrite: bool) -> object:
        subject, end, added = self._source
        name = f"{subject}-{version}{end}"
        if not any(self.sources.glob(f"{name}*")):
            elsewhere.write(self.sources, subject, self.sources / name, version)
        without_tensorflow()
        return self._verb(self.sources / (name + added), place, overwrite=overwrite, **self._options)

    def version(self, place: Path) -> float | None:
        return elsewhere.version(self.sources, self._judge, place)


class StoredInPlace(Stored):
    """A SavedModel that is signed where it is, where TensorFlow cannot be had."""

    in_place = True

    def __init__(self) -> None:
        super().__init__("model", ("sign-in-place", "", ""), "sign-in-place", tfmagic.sign)

    def write(self, place: Path, version: int, *, overwrite: bool) -> object:
        del overwrite
        if version == 1:
            elsewhere.write(self.sources, self._judge, place, 1)
            return None
        without_tensorflow()
        return tfmagic.sign(place, rename={"serving_default": "again"})


def _frozen(source: Path, place: Path, **options: Any) -> object:
    return tfmagic.freeze(source, output=place, **options)


class Restored(Subject):
    """Values that are put into a live model: what it holds then is written to a file, to be judged like the others."""

    destination = "values"
    in_place = True
    kinds = ("interrupts",)

    def write(self, place: Path, version: int, *, overwrite: bool) -> object:
        del overwrite
        live, file = self._live(version)
        try:
            return tfmagic.restore(live, file) if version == 2 else None
        finally:
            place.write_bytes(self._held(live))

    def _live(self, version: int) -> tuple[Any, Path]:
        """Return what holds the first version, and a file with the second."""
        file = self.sources / "second.weights.h5"
        if version == 2 and not file.exists():
            tfmagic.export(network(2), file)
        model = network(3)
        model.set_weights(network(1).get_weights())
        return model, file

    def _held(self, live: Any) -> bytes:
        return b"".join(value.tobytes() for value in live.get_weights())

    def version(self, place: Path) -> float | None:
        values = np.frombuffer(place.read_bytes(), np.float32)
        return float(values[0]) if (values == values[0]).all() else None


class RestoredSession(Restored):
    """The same for a session."""

    def _live(self, version: int) -> tuple[Any, Path]:
        file = self.sources / "second.ckpt"
        if version == 2 and not file.with_name(file.name + ".meta").exists():
            tfmagic.export(session(2), file)
        live = session(3)
        (kernel,) = live.graph.get_collection("variables")
        live.run(kernel.initializer, {kernel.initializer.inputs[1]: np.ones((4, 1), np.float32)})
        return live, file

    def _held(self, live: Any) -> bytes:
        (kernel,) = live.graph.get_collection("variables")
        return bytes(live.run(kernel).tobytes())


#: What needs no TensorFlow.
PLAIN: dict[str, Subject] = {
    "file": PlainFile(),
    "deep-file": DeepFile(),
    "directory": PlainDirectory(),
    "checkpoint-files": PlainCheckpoint(),
    "checkpoint-files-without-graph": CheckpointWithoutGraph(),
}
_META = ("checkpoint", ".ckpt", ".meta")
#: What is tried in a process without TensorFlow: on the disk lies all that it takes.
STORED: dict[str, Subject] = {
    "stored-graph": Stored("model.pb", _META, "graph", _frozen, inputs=["x"], outputs=["y"]),
    "stored-graph-text": Stored("model.pbtxt", ("saved-model", "", ""), "graph", _frozen),
    "stored-saved-model": Stored("model", _META, "saved-model-of-session", tfmagic.export),
    "stored-saved-model-of-graph": Stored("model", ("graph", ".pb", ""), "saved-model-of-graph", tfmagic.export),
    "stored-checkpoint": Stored("model.ckpt", _META, "checkpoint", tfmagic.export),
    "stored-sign": Stored("model", ("saved-model", "", ""), "sign", tfmagic.sign, rename={"serving_default": "again"}),
    "stored-sign-in-place": StoredInPlace(),
    "stored-events": Stored(
        "model.tfevents.1", ("saved-model", "", ""), "events", tfmagic.export, format="tensorboard"
    ),
}
SUBJECTS: dict[str, Subject] = {
    **PLAIN,
    "graph": Graph("model.pb"),
    "graph-text": Graph("model.pbtxt"),
    "graph-optimised": Graph("model.pb", optimize=True),
    "saved-model": SavedModel("model"),
    "saved-model-text": SavedModel("model", text=True),
    "saved-model-optimised": SavedModel("model", optimize=True),
    "saved-model-with-table": WithTable("model"),
    "saved-model-of-graph": Wrapped("model"),
    "saved-model-of-session": OfSession("model"),
    "sign": Signed("model"),
    "sign-in-place": SignedInPlace("model"),
    "merge": Merged("model"),
    "slim": Slim("model"),
    "slim-graph": SlimGraph("model.pb"),
    "slim-checkpoint": SlimCheckpoint("model.ckpt"),
    "checkpoint": SessionCheckpoint(),
    "checkpoint-copied": CopiedCheckpoint(),
    "object-checkpoint": ObjectCheckpoint("model.ckpt"),
    "keras": KerasFile("model.keras"),
    "h5": KerasFile("model.h5"),
    "weights": Weights("model.weights.h5"),
    "tflite": TFLite("model.tflite"),
    "tflite-quantised": TFLite("model.tflite", quantize="dynamic", samples=np.repeat(X, 2, axis=0)),
    "tflite-of-several": TFLite("model.tflite", signatures={"first": {}, "second": {}}),
    "onnx": Onnx("model.onnx"),
    "events": Events("model.tfevents.1", format="tensorboard"),
    "events-directory": Events("logs", format="tensorboard"),
    "uploaded": Uploaded("model"),
    "uploaded-graph": UploadedGraph("model.pb"),
    "catalogue": Catalogue(),
    "outputs": Outputs(),
    "restore": Restored(),
    "restore-session": RestoredSession(),
    **STORED,
}
