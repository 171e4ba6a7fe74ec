"""What the JSON object of one layer says: its class and name, its arguments, the layers nested in it, shape and dtype.

Speaks the dialects of Keras 1, 2 and 3. Whatever an object does not say stays unknown. Not for: what follows from the
layers around it (:mod:`tfmagic.files.keras.config`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias

from tfmagic.files.keras import shapes as keras_shapes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from tfmagic.frames import Shape

#: A JSON object of a config.
Spec: TypeAlias = "dict[str, Any]"

#: Code travels in these: a layer of Keras 2 and 3, and the function that Keras 3 writes in place of one.
_CODE = frozenset({"Lambda", "__lambda__"})
#: What JSON nests.
_NESTING = frozenset({dict, list})
#: Layers whose output's dtype is not that of their policy.
_OWN_DTYPE = frozenset({
    "CategoryEncoding", "Discretization", "HashedCrossing", "Hashing", "IntegerLookup", "Lambda", "SlicingOpLambda",
    "StringLookup", "TFOpLambda", "TensorFlowOpLayer", "TextVectorization",
})  # fmt: skip
#: Letters of the place of a layer.
_MOST_PLACE = 1000
#: Keras's own default (``floatx``), which configs before TensorFlow 2 leave out.
_DEFAULT_DTYPE = "float32"


def is_keras_3(model: Spec) -> bool:
    """Whether Keras 3 wrote the config: it calls ``batch_shape`` what its predecessors call ``batch_input_shape``."""
    return any("batch_shape" in layer_arguments for layer_arguments in map(arguments, members(model)))


def members(model: Spec) -> list[Spec]:
    """Return the layers nested directly in a model, in order; none for a plain layer.

    Sequential's config was the list itself until Keras 2.2.
    """
    config = model.get("config")
    listed = config.get("layers") if isinstance(config, dict) else config
    if not isinstance(listed, list):
        return []
    return [spec for spec in listed if isinstance(spec, dict) and isinstance(spec.get("class_name"), str)]


def leaves(model: Spec) -> Iterator[tuple[str, Spec]]:
    """Yield the layers of a model that hold no others, at any depth, each with the models that it is in: ``"a/b/"``.

    Those are for messages: of what names make long it is the end.
    """
    # Of many layers no list is made: each object more that the garbage collector has to look at would cost more than
    # the layer.
    waiting = [("", iter(members(model)))]
    while waiting:
        outer, specs = waiting[-1]
        for spec in specs:
            if inner := members(spec):
                way = f"{outer}{name(spec)}/"
                waiting.append((way if len(way) <= _MOST_PLACE else f"…{way[-_MOST_PLACE:]}", iter(inner)))
                break
            yield outer, spec
        else:
            waiting.pop()


def arguments(spec: Spec) -> Spec:
    """Return the arguments of a layer's constructor."""
    config = spec.get("config")
    return config if isinstance(config, dict) else {}


def name(spec: Spec) -> str:
    """Return a layer's name; functional models before Keras 3 write it beside the config as well."""
    own = arguments(spec).get("name", spec.get("name"))
    return printable(own) if isinstance(own, str) and own else snake_case(class_name(spec))


def class_name(spec: Spec) -> str:
    """Return a layer's class, without the package that Keras 2 puts before a registered one (``Package>Class``)."""
    own = spec.get("class_name")
    if not isinstance(own, str):
        return ""
    return own if own.isascii() and ">" not in own else printable(own).rpartition(">")[2]


def snake_case(camel: str) -> str:
    """Turn a class name into a layer name as Keras does (``keras.src.utils.naming.to_snake_case``)."""
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", camel))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()


def keras_2_snake_case(camel: str) -> str:
    """Do the same as Keras 2, which spells ConvLSTM2D ``conv_lst_m2d`` (``keras.utils.generic_utils`` then)."""
    words = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", camel)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()


def printable(text: str) -> str:
    """Replace lone surrogates, which JSON can spell and UTF-8 cannot."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def trainable(spec: Spec, *, frozen: bool) -> bool | None:
    """Whether a layer's weights are trained, inside a model that may be frozen; None where it is not written."""
    own = arguments(spec).get("trainable")
    if frozen or own is False:
        return False
    return True if own is True else None


def is_called_in_training(spec: Spec) -> bool:
    """Say whether a call of a layer in its model says ``training=True``, which no caller of the model takes back.

    Keras 3 writes a call as an object with its arguments by name, its predecessors as lists of tensors, each of which
    ends in those arguments.
    """
    calls = spec.get("inbound_nodes")
    for call in calls if isinstance(calls, list) else ():
        tensors = (
            [tensor[-1] for tensor in call if isinstance(tensor, list) and tensor] if isinstance(call, list) else ()
        )
        named = [call.get("kwargs")] if isinstance(call, dict) else tensors
        if any(isinstance(arguments, dict) and arguments.get("training") is True for arguments in named):
            return True
    return False


def batch_shape(spec: Spec) -> Shape:
    """Return the input's shape that a layer's arguments state: Keras 3's name, then Keras 1's and 2's."""
    values = arguments(spec)
    return shape_of(values.get("batch_shape", values.get("batch_input_shape")))


def built_with(spec: Spec) -> list[Shape]:
    """Return the shapes that a layer was built with; empty where they are not written."""
    built = spec.get("build_config")
    shapes = built.get("input_shape") if isinstance(built, dict) else None
    single = shape_of(shapes)
    if single is not None:
        return [single]
    return [shape_of(each) for each in shapes] if isinstance(shapes, list) else []


def shape_of(value: object) -> Shape:
    """Read a shape, None for anything that is none."""
    if not isinstance(value, list) or not all(keras_shapes.is_dimension(size) for size in value):
        return None
    return tuple(value)


def policy_dtype(spec: Spec, older: str = "dtype") -> str | None:
    """Return the dtype that a layer computes in.

    A policy may be the name of a dtype, ``mixed_float16`` or Keras 3's object around one; ``older`` is Keras 1's
    name of the argument.
    """
    if class_name(spec) in _OWN_DTYPE or str(spec.get("module", "")).startswith("keras.src.ops"):
        return None
    dtype = arguments(spec).get("dtype", arguments(spec).get(older))
    policy = arguments(dtype).get("name") if isinstance(dtype, dict) else dtype
    if not isinstance(policy, str):
        return _DEFAULT_DTYPE
    return printable(policy).removeprefix("mixed_").rpartition("_from_")[2]


def has_code(spec: Spec) -> bool:
    """Whether Python code is anywhere in a layer's config."""
    return any(str(each.get("class_name")) in _CODE for each in objects(spec))


def objects(value: object, apart: Collection[int] = ()) -> Iterator[Spec]:
    """Yield the JSON objects in a value at any depth, itself included, in the order in which they are written.

    Parameters
    ----------
    value : object
        What JSON may hold.
    apart : collection of int
        The ``id`` of each object that is left out, with all that is in it.
    """
    pending: list[Any] = [value] if type(value) in _NESTING else []
    while pending:
        item = pending.pop()
        if type(item) is dict:
            if apart and id(item) in apart:
                continue
            yield item
            item = item.values()
        # What is left are texts and numbers, most of a config: a call for each would be most of the time.
        for inner in reversed(item):
            if type(inner) in _NESTING:
                pending.append(inner)  # noqa: PERF401 - a list more is slower
