"""The form ``function``: a ``tf.function``, ConcreteFunction, ``tf.Module`` or loaded SavedModel, live.

Not for: Keras models (``keras_model``), which are objects of the same kind to TensorFlow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, ClassVar

from tfmagic import errors, functions
from tfmagic.functions import nested_structures
from tfmagic.graphs import signatures
from tfmagic.graphs.metagraphs import MetaGraph
from tfmagic.models.model import Model, Part
from tfmagic.models.reader import Reader
from tfmagic.readers import keras_model
from tfmagic.runtime import concrete_functions

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from tfmagic.frames import VariableRow
    from tfmagic.functions import NamedFunction
    from tfmagic.models.plain_code import CodeSource
    from tfmagic.models.reader import Candidate
    from tfmagic.runtime import tensorflow as runtime


class FunctionReader(Reader):
    """Reads whatever TensorFlow 2 can call."""

    form: ClassVar[str] = "function"
    title: ClassVar[str] = "Function"
    parts: ClassVar[frozenset[Part]] = frozenset({Part.GRAPH, Part.SIGNATURES, Part.VARIABLES, Part.FUNCTION})
    costly: ClassVar[frozenset[Part]] = frozenset({Part.GRAPH, Part.SIGNATURES, Part.VARIABLES})
    has_free_key: ClassVar[bool] = True
    looks_like: ClassVar[str] = "a `tf.function`, ConcreteFunction, `tf.Module` or loaded SavedModel"
    is_live: ClassVar[bool] = True

    def claims(self, candidate: Candidate) -> bool:
        """Say whether the object is one of TensorFlow's functions, or holds some."""
        value = candidate.value
        if candidate.path is not None or keras_model.is_keras(value):
            return False
        kinds = functions.tf_functions
        named = any(kinds.is_a(value, name) for name in ("Module", "_SignatureMap"))
        called = kinds.is_polymorphic(value) or kinds.is_concrete(value)
        # Part of a loaded model, a checkpoint's root: whatever TensorFlow saves, where it has functions.
        holder = kinds.is_loaded(value) or (kinds.is_a(value, "AutoTrackable") and any(kinds.methods(value)))
        return named or called or holder

    def read(self, candidate: Candidate, tags: Collection[str] | None) -> Model:
        """Return the model; nothing is traced yet."""
        del tags
        value = candidate.value
        traced = cache(partial(functions.tf_functions.collect, value))
        graphs = cache(lambda: (MetaGraph.of_message(functions.meta_graphs.meta_graph_def(traced())),))
        # One that was traced has those that it captured, whatever becomes of the module.
        kept = cache if functions.tf_functions.is_concrete(value) else partial
        variables: Callable[[], Mapping[str, runtime.Live]] = kept(partial(_live_variables, value, traced))
        lean = cache(lambda: (MetaGraph.of_message(functions.meta_graphs.meta_graph_def(traced(), shapes=False)),))
        model = Model(
            self.form,
            origin(value),
            {
                Part.GRAPH: graphs,
                Part.SIGNATURES: lambda: (functions.meta_graphs.signature_defs(traced()),),
                Part.VARIABLES: lambda: _variables(value, traced),
                Part.FUNCTION: lambda: partial(_chosen, traced),
            },
            live=value,
            values=lambda row: keras_model.live_values(row.name, variables()),
            tables=lambda: functions.tf_functions.captured_tables(traced()),
            reader=self,
        )
        return replace(model, lean=lambda: replace(model, loaders={**model.loaders, Part.GRAPH: lean}))

    def code(self, source: CodeSource) -> list[str] | None:
        """Return the code that obtains the ConcreteFunction."""
        live, chosen, kinds = source.live, source.whole, functions.tf_functions
        if kinds.is_concrete(live):
            return [f"function = {source.name}", *(source.chosen_ends() or _named(source, chosen))]
        if kinds.is_polymorphic(live):
            return _traced(source, chosen, source.name, live)
        if kinds.is_loaded(live) or isinstance(live, Mapping):
            signed = f"{source.name}.signatures" if kinds.is_loaded(live) else source.name
            return [f"function = {signed}[{chosen.key!r}]", *source.chosen_ends()]
        name = chosen.key.partition("(")[0]
        method = "__call__" if name == signatures.DEFAULT_KEY else name
        return _traced(source, chosen, f"{source.name}.{method}", getattr(live, method, None))


def _traced(source: CodeSource, function: NamedFunction, name: str, polymorphic: object) -> list[str]:
    """Return the code that traces a function for what it was traced for."""
    if getattr(polymorphic, "input_signature", None) is not None:
        # It is traced once, for what it says that it takes, and refuses the same under other names.
        return [f"function = {name}.get_concrete_function()", *(source.chosen_ends() or _named(source, function))]
    ends = {end.key: source.specs([end]) for end in function.inputs}
    return [f"function = {name}.get_concrete_function({_arguments(function, ends)})", *source.chosen_ends()]


def _named(source: CodeSource, function: NamedFunction) -> list[str]:
    """Return the code that gives the inputs their names, none if they have them: TensorFlow numbers what is nested."""
    if set(concrete_functions.argument_keywords(function.concrete)) == {end.key for end in function.inputs}:
        return []
    keys = [end.key for end in function.inputs]
    names = dict(zip(keys, nested_structures.identifiers(keys), strict=True))
    traced = source.traced(function.inputs, "whole", _arguments(function, names))
    return ["whole = function", "", *traced]


def _arguments(function: NamedFunction, codes: Mapping[str, str]) -> str:
    """Return the code of a function's arguments, tensors and Python values, nested as it takes them.

    Parameters
    ----------
    function : NamedFunction
        The function.
    codes : mapping of str to str
        What stands for each input, by its key.
    """
    concrete = function.concrete
    if concrete.structured_input_signature is None:  # cut out of a graph
        return ", ".join(codes.values())
    keys = {end.tensor: end.key for end in function.inputs}
    flat = [codes[keys[tensor.name]] for tensor in concrete.inputs if tensor.name in keys]
    try:
        return functions.traces.arguments_code(concrete, flat)
    except TypeError as error:
        reason = f"{function.key!r} takes {error}, which code cannot name"
        raise errors.UnsupportedConversionError("function", "code", (), reason) from error


def origin(value: runtime.Live) -> str:
    """Word what the object is."""
    kinds = functions.tf_functions
    if kinds.is_concrete(value):
        return "a ConcreteFunction"
    if kinds.is_polymorphic(value):
        return f"tf.function {kinds.function_name(value)!r}"
    if kinds.is_a(value, "Module"):
        # A class that never called super().__init__() has no name, and TensorFlow saves it all the same.
        return f"tf.Module {getattr(value, 'name', '')!r} ({type(value).__name__})"
    return "a loaded SavedModel" if kinds.is_loaded(value) else f"a {type(value).__name__} with functions"


def _variables(value: runtime.Live, load: Callable[[], tuple[NamedFunction, ...]]) -> tuple[VariableRow, ...]:
    """Return the rows of the variables."""
    return tuple(keras_model.variable_row(*named) for named in _live_variables(value, load).items())


def _live_variables(value: runtime.Live, load: Callable[[], tuple[NamedFunction, ...]]) -> Mapping[str, runtime.Live]:
    """Return the variables by name; a module that cannot be traced yet has some all the same."""
    try:
        traced = load()
    except errors.MissingPartError:
        traced = ()
    return functions.tf_functions.variables(value, traced)


def _chosen(load: Callable[[], tuple[NamedFunction, ...]], key: str | None = None) -> NamedFunction:
    by_key = {each.key: each for each in load()}
    return functions.with_values(by_key[signatures.choose(by_key, key)])
