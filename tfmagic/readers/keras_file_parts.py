"""The parts of a Keras file: what it holds, and what Keras makes of it.

Layers, weights and signature are read without Keras, so a file that today's Keras cannot load is still shown. The
graph and the function are not in the file: the model is loaded for them, once, when one of them is asked for. Not for:
how it is loaded (:mod:`tfmagic.functions.keras.files`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tfmagic import errors, functions
from tfmagic.files import file_marks, protos
from tfmagic.files.keras import archive as keras_archive
from tfmagic.files.keras import config as keras_config
from tfmagic.files.keras import layer_rows
from tfmagic.files.keras import specs as keras_specs
from tfmagic.files.keras import values as keras_values
from tfmagic.files.keras import vocabularies as keras_vocabularies
from tfmagic.files.keras import weights as keras_weights
from tfmagic.findings import file_scan, hazards, keras_scan
from tfmagic.graphs import signatures
from tfmagic.graphs.metagraphs import MetaGraph
from tfmagic.models.model import Model, Part
from tfmagic.models.value_blocks import BLOCK, Values
from tfmagic.readers.keras_model import KerasModelReader
from tfmagic.runtime import concrete_functions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tfmagic.files.keras.archive import Contents
    from tfmagic.files.keras.config import Ends, Layer, Structure
    from tfmagic.files.keras.inbound_nodes import End
    from tfmagic.files.keras.weight_names import Weight
    from tfmagic.findings.scan import Finding
    from tfmagic.frames import LayerRow, VariableRow
    from tfmagic.functions import NamedFunction
    from tfmagic.graphs.signatures import Endpoint, TaggedSignatures
    from tfmagic.models.reader import Candidate

Loaders: TypeAlias = "dict[Part, Callable[[], Any]]"

FORM = "keras_file"
#: How the names of what an optimizer keeps begin.
_OPTIMIZER = "optimizer"
#: As many weights are compared with an average, so many bytes of each: a display does not wait for more.
_MOST_COMPARED, _COMPARED = 12, 4096


def read(candidate: Candidate) -> Model:
    """Return the model; a file of weights only has variables and nothing else.

    Raises
    ------
    CorruptSourceError
        If the container or its config does not parse.
    """
    path = candidate.path
    if path is None:
        raise TypeError(f"a Keras file is a path, not {candidate.value!r}")
    contents = keras_archive.contents(path)
    structure = keras_config.Structure(contents.config) if contents.config else None
    layers = structure.layers if structure else ()
    mark = file_marks.of(path)
    weights = cache(partial(_read_weights, path, contents.config))
    stored = _stored_loaders(contents, structure, weights)
    loading = _made_loaders(path, structure, trust=candidate.trust) if structure else {}
    return Model(
        FORM,
        str(path),
        {**loading, **stored},
        tuple(_notes(contents, layers)),
        path,
        computed=frozenset(loading.keys() - stored.keys()),
        # What was listed is where it was as long as nobody wrote the file again.
        values=partial(_values, path, lambda: weights() if file_marks.of(path) == mark else None),
        settings=partial(
            _settings,
            {layer.path: layer for layer in layers},
            cache(lambda: keras_vocabularies.read(path, contents.config or {})),
        ),
        wiring=None if structure is None else lambda: structure.wiring,
        in_training=lambda: [layer.path for layer in layers if keras_specs.is_called_in_training(layer.spec)],
        advice=_advice(contents),
        averaging=partial(_averaged, candidate) if contents.config else None,
        averages_apart=partial(_averages_apart, path, contents.config, weights) if contents.config else None,
        trusting=None if candidate.trust else lambda: read(replace(candidate, trust=True)),
        scanned=partial(_scanned, path, contents),
    )


def _advice(contents: Contents) -> str:
    """Say what to do with weights whose model is elsewhere."""
    if contents.config is not None:
        return ""
    return (
        "It holds weights only: build the model that they are of, put them into it with tfmagic.restore(model, file) "
        "(%tf_restore), and give that"
    )


def _scanned(path: Path, contents: Contents) -> Iterator[Finding]:
    """Yield the rows of a scan of a file: what the config, the archive and the weights could do."""
    yield from keras_scan.of_container(path)
    if not keras_archive.is_zip(path):
        yield from file_scan.of_user_block(path)
    yield from keras_scan.of_contents(path, contents)


def _averaged(candidate: Candidate) -> Model:
    """Return the model that Keras makes of a file, its weights being the moving averages that the optimizer kept."""
    path = candidate.path
    assert path is not None  # noqa: S101 - a live object is no file
    loaded = functions.keras_files.load(path, trust=candidate.trust)
    with keras_values.opened(path) as stored:
        averages = [stored.value(weight) for weight in _of_optimizer(stored.weights)]
    has_averages = _keeps_averages(path, keras_archive.contents(path).config)
    functions.keras_averages.put(loaded.model, averages if has_averages else (), str(path))
    reader = KerasModelReader()
    live = reader.read(replace(candidate, value=loaded.model, path=None), None)
    return replace(live, reader=reader, origin=str(path), notes=(*loaded.notes, *live.notes), ema=True)


def _of_optimizer(weights: tuple[Weight, ...]) -> list[Weight]:
    """Return what an optimizer keeps beside its counter and its learning rate: averages first, if it has them."""
    return [weight for weight in weights if weight.name.startswith(_OPTIMIZER)][2:]


def _keeps_averages(path: Path, config: dict[str, Any] | None) -> bool:
    """Say whether a file with such a config tells of an optimizer that averages."""
    compiled = (config or {}).get("compile_config") or keras_archive.training_config(path)
    optimizers = (compiled.get(name) for name in ("optimizer", "optimizer_config")) if compiled else ()
    own = [each.get("config") for each in optimizers if isinstance(each, dict)]
    return any(isinstance(each, dict) and each.get("use_ema") is True for each in own)


def _averages_apart(path: Path, config: dict[str, Any] | None, weights: Callable[[], tuple[Weight, ...]]) -> list[str]:
    """Return the first weight, if its moving average in the file is another value than any weight of that shape."""
    if not config or not _keeps_averages(path, config):
        return []
    averages = _of_optimizer(weights())
    own = [weight for weight in weights() if not weight.name.startswith(_OPTIMIZER)]
    with keras_values.opened(path, weights()) as stored:
        for average in averages[:1]:
            alike = [weight for weight in own if weight.array.shape == average.array.shape]
            first, *others = (next(stored.blocks(each, _COMPARED)) for each in (average, *alike[:_MOST_COMPARED]))
            if not any(np.array_equal(first, other) for other in others):
                return [weight.name for weight in alike[:1]]
    return []


def _settings(
    layers: Mapping[str, Layer], learned: Callable[[], Mapping[str, list[str]]], name: str
) -> Mapping[str, object]:
    """Return the arguments of a layer's constructor, as its config has them, with the vocabulary that it learned."""
    config = layers[name].spec.get("config") if name in layers else None
    if not isinstance(config, dict):
        return {}
    own = keras_vocabularies.ARGUMENT
    is_learned = config.get(own, "") is None and name in learned()
    return {**config, own: learned()[name]} if is_learned else config


def _values(path: Path, listed: Callable[[], tuple[Weight, ...] | None], row: VariableRow) -> Values:
    return Values(row.size or 0, lambda: keras_values.blocks(path, row.name, BLOCK, listed()))


def _made_loaders(path: Path, structure: Structure, *, trust: bool) -> Loaders:
    """Return the loaders of what Keras makes of a file: they share one model."""
    traced = cache(partial(_traced, path, structure, trust=trust))
    graphs = cache(lambda: (MetaGraph.of_message(functions.meta_graphs.meta_graph_def([traced()])),))
    return {
        Part.GRAPH: graphs,
        Part.SIGNATURES: lambda: (functions.meta_graphs.signature_defs([traced()]),),
        Part.FUNCTION: lambda: partial(_function, traced),
    }


def _function(traced: Callable[[], NamedFunction], key: str | None = None) -> NamedFunction:
    signatures.choose({signatures.DEFAULT_KEY: None}, key)
    return traced()


def _traced(path: Path, structure: Structure, *, trust: bool) -> NamedFunction:
    """Load the model and trace it, its ends under the names that the file's signature gives them."""
    loaded = functions.keras_files.load(path, trust=trust)
    function = functions.trace_keras_model(loaded.model)
    if not trust:
        hazards.require_none(hazards.of_graph(concrete_functions.graph_def(function.concrete)), str(path))
    ends = structure.signature
    if ends is not None:
        function = replace(function, inputs=_renamed(function.inputs, list(ends.inputs)))
        function = replace(function, outputs=_renamed(function.outputs, list(ends.outputs)))
        function = function.ordered(
            _order(function.inputs, list(ends.inputs)), _order(function.outputs, list(ends.outputs))
        )
    return replace(function, notes=(*loaded.notes, *function.notes))


def _renamed(ends: tuple[Endpoint, ...], keys: list[str]) -> tuple[Endpoint, ...]:
    """Give the ends of a loaded model their keys in the file, where Keras made up others: it keeps their order."""
    if len(ends) != len(keys) or {each.key for each in ends} == set(keys):
        return ends
    return tuple(each._replace(key=key) for each, key in zip(ends, keys, strict=True))


def _order(ends: tuple[Endpoint, ...], keys: list[str]) -> list[str]:
    """Return the keys in the file's order, where they are the file's."""
    own = [each.key for each in ends]
    return keys if set(own) == set(keys) else own


def _stored_loaders(
    contents: Contents, structure: Structure | None, weights: Callable[[], tuple[Weight, ...]]
) -> Loaders:
    """Return the loaders of what a file holds."""
    loaders: Loaders = {}
    if contents.has_weights:
        loaders[Part.VARIABLES] = lambda: keras_weights.variables(weights())
    if structure and structure.layers:
        loaders[Part.KERAS] = lambda: _rows(structure.layers, weights() if contents.has_weights else None)
    if structure and structure.signature:
        loaders[Part.SIGNATURES] = partial(_signatures, structure.signature)
    return loaders


def _signatures(ends: Ends) -> TaggedSignatures:
    """Return the signature that the config implies, in the shape of a SavedModel's.

    Tensors have no names, as there is no graph yet; an unknown dtype is DT_INVALID.
    """
    signature = protos.message("SignatureDef")(method_name=signatures.PREDICT)
    for key, end in ends.inputs.items():
        _fill(signature.inputs[key], end)
    for key, end in ends.outputs.items():
        _fill(signature.outputs[key], end)
    orders = {signatures.DEFAULT_KEY: (list(ends.inputs), list(ends.outputs))}
    return ((signatures.DEFAULT_TAGS, signatures.Ordered({signatures.DEFAULT_KEY: signature}, orders)),)


def _fill(info: protos.Message, end: End) -> None:
    try:
        info.dtype = protos.dtype_number(end.dtype or "invalid")
    except KeyError:
        info.dtype = protos.dtype_number("invalid")
    info.tensor_shape.CopyFrom(protos.shape_proto(end.shape))


def _read_weights(path: Path, config: dict[str, Any] | None) -> tuple[Weight, ...]:
    with keras_archive.weights(path) as root:
        return keras_weights.read(root, config)


def _rows(layers: tuple[Layer, ...], weights: tuple[Weight, ...] | None) -> tuple[LayerRow, ...]:
    counts, sizes = (
        {} if weights is None else keras_weights.sums(weights, layers, measure)
        for measure in (lambda array: array.size, lambda array: array.bytes)
    )
    return layer_rows.rows(layers, counts, sizes)


def _notes(contents: Contents, layers: tuple[Layer, ...]) -> Iterator[str]:
    """Say what a person should know of the file."""
    if contents.keras_version:
        yield f"saved by Keras {contents.keras_version}"
    if contents.config is None:
        yield "weights only: no config tells the layers, so there are variables and nothing else"
    elif not layers:
        kind = keras_specs.class_name(contents.config)
        yield f"{kind!r} is a subclassed model: its layers and signature are in its code, not in the file"
    if not contents.has_weights:
        yield f"the archive holds no {keras_archive.WEIGHTS!r}: there are no variables"
    code = keras_config.carrying_code(layers)
    if code:
        yield f"Python code travels with the layers {errors.listed(code)}; it was not run"
