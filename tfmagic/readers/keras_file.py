"""Keras's files: ``.keras`` archives and HDF5, whole models and weights only, of Keras 1, 2 and 3.

Layers, weights and signature are read without Keras, so a file that today's Keras cannot load is still shown. What
has to be run (the graph, a function) needs Keras: :func:`executable_loaders` is where that is put in.
"""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from tfmagic import errors, keras_archive, keras_config, keras_weights, protos
from tfmagic.model import Model, Part

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from pathlib import Path

    from tfmagic.frames import LayerRow
    from tfmagic.keras_archive import Contents
    from tfmagic.keras_config import End, Layer
    from tfmagic.keras_weights import Weight
    from tfmagic.registry import Candidate

#: Keras exports with this tag, key and method; a file that is not exported yet has them by anticipation.
TAGS = ("serve",)
SIGNATURE = "serving_default"
METHOD = "tensorflow/serving/predict"

Signatures: TypeAlias = "tuple[tuple[tuple[str, ...], Mapping[str, protos.Message]], ...]"


class KerasFileReader:
    """Reads what ``model.save`` and ``model.save_weights`` write."""

    form: ClassVar[str] = "keras_file"
    parts: ClassVar[frozenset[Part]] = frozenset(
        {Part.GRAPH, Part.SIGNATURES, Part.VARIABLES, Part.FUNCTION, Part.KERAS}
    )
    looks_like: ClassVar[str] = "a `.keras` archive, an `.h5` model, a `.weights.h5` (variables only)"
    is_live: ClassVar[bool] = False

    def claims(self, candidate: Candidate) -> bool:
        """Say whether the candidate is a Keras archive, or HDF5 with Keras's marks."""
        path = candidate.path
        return path is not None and candidate.is_file and keras_archive.is_keras(candidate.head, path)

    def read(self, candidate: Candidate, tags: Collection[str] | None) -> Model:
        """Return the model; a file of weights only has variables and nothing else.

        Raises
        ------
        CorruptSourceError
            If the container or its config does not parse.
        UnknownNameError
            If other tags than ``serve`` are asked for.
        """
        path = candidate.path
        if path is None:
            raise TypeError(f"a Keras file is a path, not {candidate.value!r}")
        if tags and set(tags) != set(TAGS):
            raise errors.UnknownNameError(",".join(sorted(tags)), "tag-set", TAGS, self.form)
        return Model(self.form, str(path), *_opened(path))


def executable_loaders(path: Path) -> Mapping[Part, Callable[[], Any]]:  # noqa: ARG001 - the hook's contract
    """Return the loaders of GRAPH and FUNCTION for a file with a config.

    The hook for what needs Keras to build the model: there is none yet, so these parts are absent.
    """
    return {}


def _opened(path: Path) -> tuple[dict[Part, Callable[[], Any]], tuple[str, ...]]:
    """Return the loaders of what a file has, and the notes on how it was read."""
    contents = keras_archive.contents(path)
    config = contents.config
    weights = cache(partial(_read_weights, path, config))
    loaders: dict[Part, Callable[[], Any]] = {}
    if contents.has_weights:
        loaders[Part.VARIABLES] = lambda: keras_weights.variables(weights())
    layers = keras_config.layers(config) if config else ()
    if config and layers:
        loaders[Part.KERAS] = lambda: _rows(layers, weights() if contents.has_weights else None)
    if config and keras_config.signature(config) is not None:
        loaders[Part.SIGNATURES] = partial(read_signatures, config)
    if config:
        loaders.update(executable_loaders(path))
    return loaders, tuple(_notes(contents, layers))


def read_signatures(config: dict[str, Any]) -> Signatures:
    """Return the signature that the config implies, in the shape of a SavedModel's.

    Tensors have no names, as there is no graph yet; an unknown dtype is DT_INVALID.
    """
    ends = keras_config.signature(config)
    signature = protos.message("SignatureDef")(method_name=METHOD)
    for key, end in ends.inputs.items() if ends else ():
        _fill(signature.inputs[key], end)
    for key, end in ends.outputs.items() if ends else ():
        _fill(signature.outputs[key], end)
    return ((TAGS, {SIGNATURE: signature}),)


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
    counts = {} if weights is None else keras_weights.counts(weights, layers)
    return keras_config.rows(layers, counts)


def _notes(contents: Contents, layers: tuple[Layer, ...]) -> Iterator[str]:
    """Say what a person should know of the file."""
    if contents.keras_version:
        yield f"saved by Keras {contents.keras_version}"
    if contents.config is None:
        yield "weights only: no config tells the layers, so there are variables and nothing else"
    elif not layers:
        kind = keras_config.class_name(contents.config)
        yield f"{kind!r} is a subclassed model: its layers and signature are in its code, not in the file"
    if not contents.has_weights:
        yield f"the archive holds no {keras_archive.WEIGHTS!r}: there are no variables"
    code = keras_config.carrying_code(layers)
    if code:
        yield f"Python code travels with the layers {errors.listed(code)}; it was not run"
