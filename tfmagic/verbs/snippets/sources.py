"""The code that brings a source to where it can be converted: a ConcreteFunction, or a session.

Not for: what is made of those (:mod:`tfmagic.verbs.snippets.results`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tfmagic import errors
from tfmagic.functions import nested_structures, tf_functions
from tfmagic.functions.keras import models as keras_models
from tfmagic.graphs import signatures, tensor_names
from tfmagic.models.model import Part
from tfmagic.verbs.conversion import options as conversion_options
from tfmagic.verbs.conversion.options import Wish
from tfmagic.verbs.snippets import choices
from tfmagic.verbs.snippets.choices import Choice
from tfmagic.verbs.snippets.example_values import Bare

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tfmagic.functions import NamedFunction
    from tfmagic.graphs.signatures import Endpoint
    from tfmagic.models.model import Model

SESSIONS = frozenset({"session", "meta_graph"})


@dataclass(frozen=True)
class Source:
    """A source, and what the user said of it.

    Attributes
    ----------
    name : str
        What it is called in the code, if it is live.
    model : Model
        What was read.
    options : mapping
        The verb's options.
    """

    name: str
    model: Model
    options: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def function(self) -> NamedFunction:
        """The function that is meant."""
        given = {each: self.options.get(each) for each in ("signature", "inputs", "outputs", "method")}
        found = conversion_options.functions(self.model, Wish(**given), every=False)
        return next(iter(found.values()))

    @cached_property
    def choice(self) -> Choice:
        """The ends that are meant, of a source whose function is called as it is."""
        given = {each: self.options.get(each) for each in ("signature", "method")}
        whole = conversion_options.functions(self.model, Wish(**given), every=False)
        return Choice.of(self.model.form, next(iter(whole.values())), self.options)

    @property
    def is_session(self) -> bool:
        """Whether the code works with a session of TensorFlow 1."""
        return self.model.form in SESSIONS

    @property
    def is_keras(self) -> bool:
        """Whether it is a Keras model, live or in a file."""
        return self.model.form in ("keras_model", "keras_file")

    @property
    def is_whole(self) -> bool:
        """Whether its own inputs and outputs are meant."""
        return not self.choice.is_other

    @property
    def place(self) -> str:
        """The path, in quotes."""
        path: Path | None = self.model.path
        return repr(str(path))

    def named(self, name: str) -> Source:
        """Return the same under another name."""
        return replace(self, name=name)

    def lines(self) -> list[str]:
        """Return the code that makes ``function``, or ``session``."""
        makers = {
            "keras_model": self._of_keras,
            "keras_file": self._of_keras_file,
            "function": self._of_function,
            "saved_model": self._of_saved_model,
            "graph_def": self._of_graph_def,
            "meta_graph": self._of_meta_graph,
            "session": self._of_session,
        }
        if self.model.form not in makers:
            reason = "stock TensorFlow has no way back from it"
            raise errors.UnsupportedConversionError(self.model.form, "code", sorted(makers), reason)
        return ["", *makers[self.model.form]()]

    @property
    def holder(self) -> str:
        """What has to be saved with the function: an object that holds its variables and tables."""
        form = self.model.form
        if self.is_keras:
            return self.name if form == "keras_model" else "model"
        return "loaded" if form == "saved_model" else "list(function.graph.variables)"

    def _of_keras(self) -> list[str]:
        return _serving(self.name, self.choice)

    def _of_keras_file(self) -> list[str]:
        return ["import keras", "", f"model = keras.saving.load_model({self.place}, compile=False)",
                *_serving("model", self.choice)]  # fmt: skip

    def _of_function(self) -> list[str]:
        live, chosen = self.model.live, self.choice.function
        specs = ", ".join(spec(end) for end in chosen.inputs)
        if tf_functions.is_concrete(live):
            made = self.name
        elif tf_functions.is_polymorphic(live):
            made = f"{self.name}.get_concrete_function({specs})"
        elif tf_functions.is_loaded(live) or isinstance(live, Mapping):
            holder = f"{self.name}.signatures" if tf_functions.is_loaded(live) else self.name
            made = f"{holder}[{chosen.key!r}]"
        else:
            method = "__call__" if chosen.key == signatures.DEFAULT_KEY else chosen.key
            made = f"{self.name}.{method}.get_concrete_function({specs})"
        return [f"function = {made}", *self._chosen_ends()]

    def _of_saved_model(self) -> list[str]:
        tags = list(self.choice.function.tags)
        return [
            f"loaded = tf.saved_model.load({self.place}, tags={tags!r})",
            f"function = loaded.signatures[{self.choice.function.key!r}]",
            *self._chosen_ends(),
        ]

    def _chosen_ends(self) -> list[str]:
        """Return the code that gives the function the ends that are meant, none if they are its own."""
        if not self.choice.is_other:
            return []
        call, paths = choices.calling(self.model.form, self.choice)
        return ["whole = function", "", *_decorated(self.choice.specs), *_ended(call, self.choice.results(paths))]

    def _of_graph_def(self) -> list[str]:
        feeds = [_tensor(self, end) for end in self.function.inputs]
        fetches = {end.key: _tensor(self, end, of="outputs") for end in self.function.outputs}
        return [
            "graph_def = tf.compat.v1.GraphDef()",
            f'with open({self.place}, "rb") as file:',
            "    graph_def.ParseFromString(file.read())",
            "wrapped = tf.compat.v1.wrap_function(",
            '    lambda: tf.graph_util.import_graph_def(graph_def, name=""), []',
            f").prune({feeds!r}, {fetches!r})",
            "",
            *_decorated(self.function.inputs),
            "    return wrapped(" + ", ".join(_arguments(self.function.inputs)) + ")",
            "",
            "function = serve.get_concrete_function()",
        ]

    def _of_session(self) -> list[str]:
        return [f"session = {self.name}"]

    def _of_meta_graph(self) -> list[str]:
        prefix = str(self.model.path).removesuffix(".meta")
        return [
            "session = tf.compat.v1.Session(graph=tf.Graph())",
            "with session.graph.as_default():",
            f"    saver = tf.compat.v1.train.import_meta_graph({self.place}, clear_devices=True)",
            f"    saver.restore(session, {prefix!r})",
        ]

    def tensors(self, side: str) -> dict[str, str]:
        """Return the names of the graph's own tensors, for sessions, by key."""
        ends = self.function.inputs if side == "inputs" else self.function.outputs
        return {end.key: _tensor(self, end, of=side) for end in ends}


def _tensor(source: Source, end: Endpoint, of: str = "inputs") -> str:
    """Return the name that a tensor has in the source's own graph."""
    named = conversion_options.named(source.options.get(of)) or {}
    if Part.SIGNATURES in source.model.loaders:
        for _, signed in source.model.part(Part.SIGNATURES):
            for signature in signed.values():
                side = getattr(signature, of)
                if end.key in side:
                    return str(side[end.key].name)
    name = named.get(end.key, end.key)
    return tensor_names.full(name)


def spec(end: Endpoint) -> str:
    """Return the code of a TensorSpec."""
    shape = "None" if end.shape is None else repr(list(end.shape))
    return f"tf.TensorSpec({shape}, {end.dtype!r}, name={_arguments([end])[0]!r})"


def _arguments(ends: Sequence[Endpoint]) -> list[str]:
    return nested_structures.identifiers(end.key for end in ends)


def _decorated(ends: Sequence[Endpoint]) -> list[str]:
    specs = ", ".join(spec(end) for end in ends)
    return [f"@tf.function(input_signature=[{specs}])", f"def serve({', '.join(_arguments(ends))}):"]


def _serving(name: str, choice: Choice) -> list[str]:
    """Return the code that traces a Keras model under the user's keys, in inference mode."""
    function = choice.function
    call = keras_models.call_of(function.model)
    names = [Bare(choice.arguments[end.key]) for end in function.inputs]
    args, kwargs = nested_structures.rebuild((call.args, call.kwargs), iter(names))
    given = [*(repr(each) for each in args), *(f"{key}={each!r}" for key, each in kwargs.items()), "training=False"]
    results = choice.results(function.returned)
    return ["", *_decorated(choice.specs), *_ended(f"{name}({', '.join(given)})", results)]


def _ended(call: str, results: str) -> list[str]:
    return [f"    found = {call}", f"    return {results}", "", "function = serve.get_concrete_function()"]
