"""The format ``saved_model``: a directory that both of TensorFlow's loaders and its servers take.

Each variable is stored once and stays a variable; tables and assets come along; signatures, tags and method names are
those that were asked for. Not for: editing a SavedModel that exists (``transforms/``).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from tfmagic import errors, progress
from tfmagic.files import protos, saved_model_files
from tfmagic.files.checkpoints import tensor_writing
from tfmagic.files.reading import PROTOBUF_LIMIT
from tfmagic.functions.named_function import acts
from tfmagic.functions.saved_models import SavedModelFunctions
from tfmagic.functions.state.stored_variables import stored_value
from tfmagic.graphs import signatures
from tfmagic.graphs.signature_keys import require_arguments
from tfmagic.models.model import Part
from tfmagic.models.writer import ENDS, Size, Variables, Writer
from tfmagic.runtime import tensorflow as runtime
from tfmagic.transforms.captures import array_of, require_no_python, require_outside_state, value_of
from tfmagic.transforms.freeze import freeze
from tfmagic.transforms.frozen_graph import serialised
from tfmagic.transforms.optimize import optimize
from tfmagic.transforms.reference_variables import REFERENCE_VARIABLES
from tfmagic.writers.graph_def import wrapped
from tfmagic.writers.saved_model import by_tensorflow, directory, main_graph, object_graph
from tfmagic.writers.saved_model import functions as saved_functions
from tfmagic.writers.saved_model.graph_draft import graph_draft

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tfmagic.functions import NamedFunction
    from tfmagic.functions.state.saved_models import Store
    from tfmagic.models.model import Model
    from tfmagic.models.plain_code import CodeSource
    from tfmagic.models.writer import Measures, WriteOptions
    from tfmagic.writers.saved_model.graph_draft import GraphDraft
    from tfmagic.writers.saved_model.main_graph import Stored

_FROZEN = (
    "optimised, the SavedModel is frozen: its variables are constants, each signature has its own, and none trains"
)
#: Where a SavedModel keeps its checkpoint, and the key of the objects in it.
_OBJECTS = "_CHECKPOINTABLE_OBJECT_GRAPH"
#: Variables that a plan names.
_MOST_NAMED = 5
#: Room for the graph and the index beside the weights, where TensorFlow writes them: an upper bound for most.
_GRAPH_BYTES = 4 << 20
#: Room in the checkpoint's index for a variable.
_ENTRY_BYTES = 256


@dataclass(frozen=True)
class Messages:
    """A SavedModel whose messages were made here: the graph, the objects, and the variables that they name."""

    saved_model: bytes
    objects: bytes
    variables: tuple[Stored, ...]

    @classmethod
    def of(
        cls, chosen: tuple[NamedFunction, ...], tags: tuple[str, ...], trainable: Mapping[int, bool]
    ) -> Messages | None:
        """Make the messages, None where something besides variables and constants is to be saved."""
        if not saved_functions.are_plain(chosen):
            return None
        functions = saved_functions.functions_of(chosen)
        if functions is None:
            return None
        parts = main_graph.parts(functions, trainable)
        saved = protos.message("SavedModel")(saved_model_schema_version=1)
        meta_graph = saved.meta_graphs.add()
        meta_graph.CopyFrom(main_graph.meta_graph_def(parts, tags))
        meta_graph.object_graph_def.CopyFrom(object_graph.saved_object_graph(parts))
        _require_small_enough(meta_graph.ByteSize())
        objects = object_graph.checkpoint_object_graph(meta_graph.object_graph_def, parts.variables)
        return cls(serialised(saved), serialised(objects), parts.variables)

    @property
    def size(self) -> int:
        """What the directory will take in bytes, about."""
        weights = sum(_bytes_of(each.live) + _ENTRY_BYTES for each in self.variables)
        return weights + len(self.saved_model) + len(self.objects)

    def write(self, path: Path) -> None:
        """Write the directory; a variable's value goes to the disk from where it is."""
        prefix = path / directory.VARIABLES / directory.VARIABLES
        prefix.parent.mkdir(parents=True)
        with runtime.eager():
            if any(stored_value(each.live) is not None for each in self.variables):
                tensor_writing.write(prefix, self._tensors())
            else:
                self._save(prefix)
        (path / saved_model_files.BINARY).write_bytes(self.saved_model)

    def _tensors(self) -> Iterator[tensor_writing.Tensor]:
        """Yield what goes into the checkpoint, of which one tensor is in memory at a time."""
        for variable in self.variables:
            progress.check()
            yield tensor_writing.Tensor(variable.key, variable.dtype, array_of(variable.live))
        yield tensor_writing.Tensor(_OBJECTS, "string", np.array(self.objects, dtype=object))

    def _save(self, prefix: Path) -> None:
        """Let TensorFlow write what it has in memory, which it does sooner."""
        tf = runtime.tensorflow()
        names = [*(each.key for each in self.variables), _OBJECTS]
        with tf.device("CPU"):
            values = [value_of(each.live) for each in self.variables]
            tf.raw_ops.SaveV2(
                prefix=str(prefix),
                tensor_names=names,
                shape_and_slices=[""] * len(names),
                tensors=[*values, tf.constant(self.objects)],
            )


def _bytes_of(variable: runtime.Live) -> int:
    return int(variable.dtype.size * (variable.shape.num_elements() or 0))


def _require_small_enough(size: int) -> None:
    """Refuse a message that no protobuf reader would take."""
    if size > PROTOBUF_LIMIT:
        raise errors.TooLargeError(
            f"the graph of the SavedModel would take {size / 2**30:.2f} GiB, and no protobuf reader takes a message of "
            "2 GiB or more, so nothing could load it. Its constants are what is large: make them variables, which lie "
            "outside the graph and have no limit"
        )


@dataclass(frozen=True)
class SavedModelDraft:
    """Functions on their way to a SavedModel."""

    functions: tuple[NamedFunction, ...]
    tags: tuple[str, ...]
    notes: tuple[str, ...]
    #: Whether variables are trained, by their identity, where the source says so.
    trainable: Mapping[int, bool]
    #: None where TensorFlow has to save the functions itself.
    messages: Messages | None
    #: Whether the message is written as text, ``saved_model.pbtxt``.
    text: bool = False
    #: What was read back, by its place: once for all signatures.
    loaded: dict[Path, SavedModelFunctions] = field(default_factory=dict)

    @cached_property
    def size(self) -> int:
        """What the directory will take in bytes, about."""
        if self.messages is not None:
            return self.messages.size
        return sum(_bytes_of(each) for each in by_tensorflow.variables(self.functions)) + _GRAPH_BYTES

    def write(self, path: Path) -> None:
        """Write the directory.

        Raises
        ------
        ConversionError
            If TensorFlow cannot save a function; its error is the cause.
        """
        if self.messages is not None:
            self.messages.write(path)
        else:
            by_tensorflow.save(self.functions, self.tags, self.trainable, path)
        directory.settle(path, text=self.text)

    def load(self, path: Path, key: str) -> NamedFunction:
        """Read the directory back as TensorFlow 2 does.

        Raises
        ------
        ConversionError
            If TensorFlow 1 and servers, which go by the SignatureDef, would see another signature.
        """
        if path not in self.loaded:
            if self.messages is not None and not self.text:
                directory.require_message(path, self.messages.saved_model)
            self.loaded[path] = SavedModelFunctions(path, self.tags, whole=True)
        function = self.loaded[path].function(key)
        directory.require_agreement(path, function)
        return function

    def require_loaders(self, path: Path) -> None:
        """See that TensorFlow 1 and servers take the directory, and find in it what the functions have."""
        directory.require_session(path, self.tags, self.functions)


class SavedModelWriter(Writer):
    """Writes SavedModels."""

    format: ClassVar[str] = "saved_model"
    suffixes: ClassVar[tuple[str, ...]] = ("",)
    needs: ClassVar[frozenset[Part]] = frozenset({Part.GRAPH, Part.FUNCTION})
    directory: ClassVar[bool] = True
    label: ClassVar[str] = "SavedModel (a directory)"
    options: ClassVar[frozenset[str]] = ENDS | {"tags", "method", "text", "optimize"}
    variables: ClassVar[Variables] = Variables.VARIABLES
    has_tag_sets: ClassVar[bool] = True

    def key_notes(self, source: Model, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> tuple[str, ...]:
        """Refuse inputs that TensorFlow 2 cannot load; a SignatureDef itself takes any key."""
        del source, outputs
        require_arguments(inputs)
        return ()

    def prepare(self, source: Model, options: WriteOptions) -> SavedModelDraft:
        """Collect the functions and what they need; optimised, they are frozen first.

        Raises
        ------
        ConversionError
            If a function cannot be saved, frozen or optimised.
        """
        chosen = tuple(source.part(Part.FUNCTION)(key) for key in options.signatures)
        if not options.optimize:
            return self.of_functions(source, chosen, options)
        draft = self.of_functions(source, tuple(map(_optimized, chosen)), options)
        return replace(draft, notes=(_FROZEN, *draft.notes))

    def of_functions(self, source: Model, chosen: tuple[NamedFunction, ...], options: WriteOptions) -> SavedModelDraft:
        """Take functions of the source for its signatures, whatever it calls them and their ends itself."""
        for function in chosen:
            require_outside_state(function, self.format)
        notes = tuple(dict.fromkeys(note for each in chosen for note in (*each.notes, *_effect_notes(each))))
        trainable = _trainable(source, chosen)
        with runtime.eager():
            messages = Messages.of(chosen, options.tags, trainable)
        notes += signatures.tag_notes(options.tags)
        return SavedModelDraft(chosen, options.tags, notes, trainable, messages, options.text)

    def edited_draft(
        self, store: Store, signatures: Mapping[str, protos.Message], tags: Sequence[str], *, text: bool
    ) -> GraphDraft:
        """Take what is a graph: its nodes, variables and tables keep their names.

        Raises
        ------
        UnsupportedConversionError
            If it calls back into Python, which no other process could do.
        """
        draft = graph_draft(store, signatures, tags, text=text)
        require_no_python(draft.messages.meta_graph_def.graph_def, "graph", self.format, "the graph")
        return draft

    def lost(self, source: Model) -> Iterator[str]:
        """Say which tensors mean another thing: a variable by reference becomes a resource, for TensorFlow 2."""
        frame = source.table("ops", all=True) if source.is_at_hand("graph") else None
        if frame is None or not REFERENCE_VARIABLES.intersection(frame["op"].cat.categories):
            return
        rows = frame[frame["op"].isin(REFERENCE_VARIABLES) & (frame["function"] == "")]
        tensors = [f"{name}:0" for name in rows["name"]]
        more = f" and {len(tensors) - _MOST_NAMED} more" if len(tensors) > _MOST_NAMED else ""
        if tensors:
            yield (
                f"the values of variables by reference under their own names: {errors.listed(tensors[:_MOST_NAMED])}"
                f"{more} are handles then, and the reads beside them ({rows['name'].iloc[0]}/read:0) the values"
            )

    def size(self, source: Model, measures: Measures) -> Size | None:
        """Predict the size: each signature is a function with the part of the graph that it needs."""
        del source
        if measures.weights is None:
            return None
        times = max(1, measures.signatures)
        at_most = measures.holds_more or times > 1
        return Size(measures.weights + (measures.graph or 0) * times, at_most=at_most, rest=measures.rest)

    def code(self, source: CodeSource, place: str) -> list[str] | None:
        """Return the code that saves.

        Raises
        ------
        UnsupportedConversionError
            If it is to be optimised.
        """
        if source.options.get("optimize"):
            reason = "a graph that is optimised is wrapped and signed again, a program; there is code for a '.pb'"
            raise errors.UnsupportedConversionError(source.form, "code with optimize=", ("graph_def",), reason)
        if source.is_session:
            return _session_code(source, place)
        note = ["# The tag-set is always 'serve': others take an edit of the message."]
        return [
            "module = tf.Module()",
            f"module.held = {source.holder}",
            *(note if source.options.get("tags") else []),
            f"tf.saved_model.save(module, {place!r}, signatures={{{source.function.key!r}: function}})",
        ]


def _effect_notes(function: NamedFunction) -> tuple[str, ...]:
    """Say who runs a signature that returns nothing; refuse one that does nothing either."""
    if function.outputs:
        return ()
    if not acts(function.concrete):
        raise errors.ConversionError(
            f"{function.key!r} returns no tensor and changes nothing, so that nobody could see that it was called: "
            "return a tensor, or prune to one ('y:0') instead of to its op ('y')"
        )
    note = "TensorFlow 2 calls it for what it does; TensorFlow 1 and servers fetch outputs, and cannot"
    return (f"{function.key!r} returns no tensor: {note}",)


def _optimized(function: NamedFunction) -> NamedFunction:
    """Return a function as a frozen graph that is optimised, with the notes on that."""
    frozen = optimize(freeze(function))
    return replace(wrapped(frozen, frozen.graph_def, function.key), notes=(*frozen.notes, *frozen.name_notes))


def _trainable(source: Model, chosen: tuple[NamedFunction, ...]) -> dict[int, bool]:
    """Return the flags of the source's table of variables, which goes by the same names as the functions'."""
    if Part.VARIABLES not in source.loaders or source.has_objects:
        return {}
    known = {name: variable for function in chosen for name, variable in function.variables.items()}
    return {
        id(known[row.name]): row.trainable
        for row in source.part(Part.VARIABLES)
        if row.name in known and row.trainable is not None
    }


def _session_code(source: CodeSource, place: str) -> list[str]:
    ends = []
    for side in ("inputs", "outputs"):
        pairs = ", ".join(f"{key!r}: graph.get_tensor_by_name({name!r})" for key, name in source.tensors(side).items())
        ends.append(f"    {side}={{{pairs}}},")
    return [
        "# This adds ops to the graph of the session.",
        "graph = session.graph",
        "with graph.as_default():",
        f"    tf.compat.v1.saved_model.simple_save(session, {place!r},",
        *(f"    {line}" for line in ends),
        "    )",
    ]
