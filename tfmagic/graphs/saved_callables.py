"""The functions that a saved object has as attributes, with the Python signatures that they were traced for.

They are what ``tf.saved_model.load`` gives back beside the signatures; a SavedModel may have no signature at all, and
these. Not for: signatures (:mod:`tfmagic.graphs.signatures`).
"""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

from tfmagic.files import protos

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tfmagic.files.protos import Message

_SPECS = ("tensor_spec_value", "bounded_tensor_spec_value")
_ITEMS = ("list_value", "tuple_value")


def callables(object_graph: Message | None) -> list[tuple[str, str]]:
    """Return name and Python signature of each trace of the root's functions, such as ``scale(x: float32 (None,))``.

    Parameters
    ----------
    object_graph : SavedObjectGraph or None
        That of a SavedModel.
    """
    if object_graph is None or not object_graph.nodes:
        return []
    nodes = object_graph.nodes
    children = [child for child in nodes[0].children if 0 <= child.node_id < len(nodes)]
    functions = [(child.local_name, nodes[child.node_id].function) for child in children]
    return [
        (name, f"{name}({', '.join(_arguments(function.function_spec, object_graph.concrete_functions[trace]))})")
        for name, function in sorted(functions, key=lambda pair: pair[0])
        for trace in function.concrete_functions
        if trace in object_graph.concrete_functions
    ]


def _arguments(spec: Message, concrete: Message) -> Iterator[str]:
    """Yield the arguments of a trace as they would be written in Python."""
    pairs = {pair.key: pair.value for pair in spec.fullargspec.named_tuple_value.values}
    names = _texts(pairs.get("args"))
    sides = concrete.canonicalized_input_signature.tuple_value.values
    positional: Sequence[Message] = sides[0].tuple_value.values if sides else ()
    named: Mapping[str, Message] = sides[1].dict_value.fields if len(sides) > 1 else {}
    own = names[1:] if names[:1] == ["self"] and (spec.is_method or len(names) > len(positional)) else names
    for name, value in zip_longest(own, positional):
        if value is not None:
            yield _argument(name or "", value)
    yield from (_argument(name, named[name]) for name in sorted(named))


def _texts(value: Message | None) -> list[str]:
    return [] if value is None else [item.string_value for item in value.list_value.values]


def _argument(name: str, value: Message) -> str:
    """Write an argument: one that takes a tensor after a colon, another with its value."""
    text = _text(value)
    return f"{name}{': ' if _takes_tensors(value) else '='}{text}" if name else text


def _takes_tensors(value: Message) -> bool:
    kind = value.WhichOneof("kind")
    if kind in _ITEMS:
        return any(_takes_tensors(item) for item in getattr(value, kind).values)
    if kind == "dict_value":
        return any(_takes_tensors(item) for item in value.dict_value.fields.values())
    if kind == "named_tuple_value":
        return any(_takes_tensors(pair.value) for pair in value.named_tuple_value.values)
    return kind in _SPECS or kind == "type_spec_value"


def _text(value: Message) -> str:
    """Write a value that a function was traced for: a spec as dtype and shape, else as Python does."""
    kind = value.WhichOneof("kind") or "none_value"
    if kind in _SPECS:
        shape = protos.shape_of(getattr(value, kind).shape)
        return f"{protos.dtype_name(getattr(value, kind).dtype)} {'of any rank' if shape is None else shape}"
    if kind in _ITEMS:
        items = [_text(item) for item in getattr(value, kind).values]
        return f"[{', '.join(items)}]" if kind == "list_value" else f"({', '.join(items)}{',' * (len(items) == 1)})"
    if kind == "dict_value":
        fields = value.dict_value.fields
        return f"{{{', '.join(f'{key!r}: {_text(fields[key])}' for key in sorted(fields))}}}"
    if kind == "named_tuple_value":
        pairs = (f"{pair.key}={_text(pair.value)}" for pair in value.named_tuple_value.values)
        return f"{value.named_tuple_value.name}({', '.join(pairs)})"
    plain = None if kind == "none_value" else getattr(value, kind)
    if kind == "type_spec_value":
        return str(value.type_spec_value.type_spec_class_name)
    return repr(plain) if isinstance(plain, bool | int | float | str | None) else kind.removesuffix("_value")
