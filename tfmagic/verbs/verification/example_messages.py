"""Serialised Examples: of features that a user gives, or such that fit what a graph parses.

Without one, a model that reads examples is tried on the empty message only, if it takes that at all. Not for: messages
of any other type.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tfmagic import errors
from tfmagic.graphs.tensor_names import node_of
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tfmagic.files import protos

#: Elements along a dimension that the spec leaves open.
_OPEN = 2
_PARSERS = frozenset({"ParseExample", "ParseExampleV2", "ParseSingleExample"})


class Feature(NamedTuple):
    """What a parsing op asks for under a key."""

    key: str
    dtype: int
    shape: tuple[int, ...]


def messages(graph_def: protos.Message) -> Iterator[bytes]:
    """Yield an Example with all features that the graph parses, if it parses any.

    Parameters
    ----------
    graph_def : GraphDef
        Of TensorFlow's own class.
    """
    bodies = [graph_def.node, *(function.node_def for function in graph_def.library.function)]
    features = {each.key: each for nodes in bodies for each in _features(nodes)}
    if features:
        train = runtime.tensorflow().train
        example = {key: _value(feature) for key, feature in features.items()}
        yield train.Example(features=train.Features(feature=example)).SerializeToString()


def of_features(features: Mapping[str, Any]) -> bytes:
    """Return an Example with the values of some features, as ``saved_model_cli run --input_examples`` makes one.

    Raises
    ------
    ConversionError
        If a value is neither text nor numbers, or a list of them.
    """
    train = runtime.tensorflow().train
    example = {key: _given(key, value) for key, value in features.items()}
    return bytes(train.Example(features=train.Features(feature=example)).SerializeToString())


def _given(key: str, value: Any) -> Any:  # noqa: ANN401 - a user's value, and a message of TensorFlow's
    train = runtime.tensorflow().train
    # Of text an array would have lost zeros at the end.
    values = np.ravel(np.asarray(value, object)).tolist()
    if all(isinstance(each, str | bytes) for each in values):
        texts = [each.encode() if isinstance(each, str) else each for each in values]
        return train.Feature(bytes_list=train.BytesList(value=texts))
    kind = np.asarray(values).dtype.kind
    if kind in "biu":
        return train.Feature(int64_list=train.Int64List(value=map(int, values)))
    if kind == "f":
        return train.Feature(float_list=train.FloatList(value=map(float, values)))
    raise errors.ConversionError(
        f"the feature {key!r} of an example takes text, whole numbers or floats, or a list of one kind of them, not "
        f"{value!r}"
    )


def _features(nodes: Sequence[protos.Message]) -> Iterator[Feature]:
    by_name = {node.name: node for node in nodes}
    for node in nodes:
        if node.op in _PARSERS:
            yield from _Parser(node, by_name).features()


class _Parser:
    """One parsing op; where its keys stand depends on its version."""

    def __init__(self, node: protos.Message, by_name: dict[str, protos.Message]) -> None:
        self._node = node
        self._by_name = by_name

    def features(self) -> Iterator[Feature]:
        attr = self._node.attr
        dense, sparse, ragged = self._keys()
        shapes = [_shape(shape) for shape in attr["dense_shapes"].list.shape]
        yield from map(Feature, dense, attr["Tdense"].list.type, shapes)
        for keys, name in ((sparse, "sparse_types"), (ragged, "ragged_value_types")):
            yield from (Feature(key, dtype, (_OPEN,)) for key, dtype in zip(keys, attr[name].list.type, strict=False))

    def _keys(self) -> tuple[list[str], list[str], list[str]]:
        """Return the keys of dense, sparse and ragged features."""
        attr, inputs = self._node.attr, [text for text in self._node.input if not text.startswith("^")]
        if self._node.op == "ParseSingleExample":
            return _decoded(attr["dense_keys"].list.s), _decoded(attr["sparse_keys"].list.s), []
        if self._node.op == "ParseExampleV2":
            # serialized, names, sparse_keys, dense_keys, ragged_keys, dense_defaults
            return self._texts(inputs[3:4]), self._texts(inputs[2:3]), self._texts(inputs[4:5])
        # serialized, names, sparse_keys (so many), dense_keys (so many), dense_defaults
        count = attr["Nsparse"].i
        return self._texts(inputs[2 + count : 2 + count + attr["Ndense"].i]), self._texts(inputs[2 : 2 + count]), []

    def _texts(self, inputs: Iterable[str]) -> list[str]:
        texts = []
        for text in inputs:
            node = self._by_name.get(node_of(text))
            if node is not None and node.op == "Const":
                values = runtime.tensorflow().make_ndarray(node.attr["value"].tensor)
                texts += _decoded(np.asarray(values, dtype=object).reshape(-1))
        return texts


def _decoded(keys: Iterable[bytes]) -> list[str]:
    return [key.decode(errors="surrogateescape") for key in keys]


def _shape(shape: protos.Message) -> tuple[int, ...]:
    return tuple(dim.size if dim.size >= 0 else _OPEN for dim in shape.dim)


def _value(feature: Feature) -> Any:  # noqa: ANN401 - a message of TensorFlow's
    tf = runtime.tensorflow()
    count = int(np.prod(feature.shape))
    numbers = range(count)
    if feature.dtype == tf.string.as_datatype_enum:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[f"w{number}".encode() for number in numbers]))
    if feature.dtype == tf.int64.as_datatype_enum:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[number % 2 for number in numbers]))
    return tf.train.Feature(float_list=tf.train.FloatList(value=[(number + 1) / (count + 1) for number in numbers]))
