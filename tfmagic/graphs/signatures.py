"""Tag-sets, SignatureDef keys and what lies behind them: read, made, chosen by name.

Not for: finding the ends of a graph that has no signature (:mod:`tfmagic.graphs.plumbing` proposes those).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from tfmagic import errors
from tfmagic.files import protos
from tfmagic.frames import Shape, SignatureRow
from tfmagic.graphs.metagraphs import HIDDEN_PREFIX

DEFAULT_KEY = "serving_default"
DEFAULT_TAGS = ("serve",)
_METHOD_PREFIX = "tensorflow/serving/"
#: The methods that serving knows, by their short names.
METHODS = ("predict", "classify", "regress")
PREDICT = _METHOD_PREFIX + "predict"
#: The keys under which servers look for what the other methods take and give
#: (tensorflow_serving/servables/tensorflow/classifier.cc and regressor.cc).
_PRESCRIBED = {
    _METHOD_PREFIX + "classify": ({"inputs"}, {"classes", "scores"}),
    _METHOD_PREFIX + "regress": ({"inputs"}, {"outputs"}),
}
#: The method name of signatures that nobody wrote: ends proposed for a graph without any.
PROPOSED = "proposed"

#: What :attr:`Part.SIGNATURES` holds: for each MetaGraphDef its tag-set and its SignatureDefs by key.
TaggedSignatures: TypeAlias = Sequence[tuple[tuple[str, ...], Mapping[str, protos.Message]]]


class Ordered(dict[str, protos.Message]):
    """SignatureDefs by key, of a form that keeps the order of their ends; the maps of a SignatureDef do not.

    Parameters
    ----------
    definitions : mapping of str to SignatureDef
        By key.
    orders : mapping of str to (sequence of str, sequence of str)
        The keys of the inputs and of the outputs of each.
    """

    def __init__(
        self, definitions: Mapping[str, protos.Message], orders: Mapping[str, tuple[Sequence[str], Sequence[str]]]
    ) -> None:
        super().__init__(definitions)
        self.orders = orders


class Endpoint(NamedTuple):
    """One input or output of a signature: the user's key, the tensor's name in the graph, dtype and shape."""

    key: str
    tensor: str
    dtype: str
    shape: Shape


def find(ends: Iterable[Endpoint], wanted: object) -> Endpoint | None:
    """Return the end that a user means, None if it is none of these.

    Parameters
    ----------
    ends : iterable of Endpoint
        One side of a signature.
    wanted : object
        A key, or a tensor's name, each with or without ``:0``; or the tensor itself. A key comes before any name.
    """
    listed = list(ends)
    name = str(getattr(wanted, "name", wanted))
    by_key = {end.key: end for end in listed} if isinstance(wanted, str) else {}
    by_name = {each: end for end in reversed(listed) for each in (end.tensor.removesuffix(":0"), end.tensor)}
    return by_key.get(name) or by_name.get(name) or by_key.get(name.removesuffix(":0"))


def own_key(tensor: object, keys: Collection[str] = ()) -> str:
    """Return the key of an end that was named without one.

    It keeps the key that it has; other tensors go by their names, a node's first output by that of the node.

    Parameters
    ----------
    tensor : object
        A key, a tensor's name or the tensor itself.
    keys : collection of str
        The keys of the signature.
    """
    name = str(getattr(tensor, "name", tensor))
    return name if isinstance(tensor, str) and name in keys else name.removesuffix(":0")


def shape_text(shape: Shape) -> str:
    """Word a shape."""
    return "of any rank" if shape is None else str(shape)


def described(ends: Iterable[Endpoint]) -> str:
    """Word ends with their dtypes and shapes."""
    return ", ".join(f"{end.key!r} ({end.dtype} {shape_text(end.shape)})" for end in ends)


def tag_set(tags: object) -> tuple[str, ...] | None:
    """Take tags as a list or joined by commas; the empty string is the empty tag-set.

    Raises
    ------
    ConversionError
        If they are no texts.
    """
    if isinstance(tags, str):
        return tuple(tag.strip() for tag in tags.split(",") if tag.strip())
    if tags is None:
        return None
    if not isinstance(tags, Collection) or not all(isinstance(tag, str) for tag in tags):
        raise errors.ConversionError(
            f"tags are texts, in a list or joined by commas, not {tags!r}; give tags='serve' (--tags serve)"
        )
    return tuple(tags)


def tag_notes(tags: Collection[str]) -> tuple[str, ...]:
    """Say what follows from tags that are none of servers'."""
    if DEFAULT_TAGS[0] in tags:
        return ()
    return (f"the tags are {errors.listed(tags)}: servers ask for 'serve', and loaders need the tags named",)


def method_uri(method: str) -> str:
    """Return the method name that serving knows: ``predict``, ``classify`` and ``regress`` are short for it.

    Raises
    ------
    UnknownNameError
        If it is none of these, and none written out: those have slashes.
    """
    if "/" in method:
        return method
    if method not in METHODS:
        raise errors.UnknownNameError(method, "method", METHODS)
    return _METHOD_PREFIX + method


def method_notes(method: str, inputs: Collection[str], outputs: Collection[str]) -> tuple[str, ...]:
    """Say which keys a server asks for, where a signature of this method has others."""
    keys, wanted = _PRESCRIBED.get(method, (set(inputs), set(outputs)))
    if set(inputs) == keys and wanted >= set(outputs):
        return ()
    said = (
        f"servers that are asked to {method.rpartition('/')[2]} look for the input {errors.listed(sorted(keys))} and "
        f"the outputs {errors.listed(sorted(wanted))}, and the signature has {errors.listed(sorted(inputs))} and "
        f"{errors.listed(sorted(outputs))}"
    )
    return (said,)


def default_notes(signature: protos.Message) -> tuple[str, ...]:
    """Say which inputs have a default value: TensorFlow 2's loader leaves those out, and so does what is made of it."""
    if not signature.defaults:
        return ()
    named = errors.listed(sorted(signature.defaults))
    return (f"the default value that the signature has for {named} is not kept: a value has to be given",)


def signature_def(inputs: Iterable[Endpoint], outputs: Iterable[Endpoint], method: str = PREDICT) -> protos.Message:
    """Build a SignatureDef of our pool."""
    result = protos.message("SignatureDef")(method_name=method)
    for side, endpoints in ((result.inputs, inputs), (result.outputs, outputs)):
        for endpoint in endpoints:
            info = side[endpoint.key]
            info.name = endpoint.tensor
            info.dtype = protos.dtype_number(endpoint.dtype)
            info.tensor_shape.CopyFrom(protos.shape_proto(endpoint.shape))
    return result


def endpoints(side: Mapping[str, protos.Message]) -> tuple[Endpoint, ...]:
    """Read the inputs or the outputs of a SignatureDef, sorted by key: a map has no order of its own."""
    return tuple([Endpoint(key, *_described(side[key])) for key in sorted(side)])


def _described(info: protos.Message) -> tuple[str, str, Shape]:
    """Return the tensor that a TensorInfo names, its dtype and its shape."""
    # A name is one of the encodings: where there is one, it is no other.
    return info.name or tensor_name(info), protos.dtype_name(info.dtype), _shape(info)


def _shape(info: protos.Message) -> Shape:
    """Return a TensorInfo's shape; one that was never written means unknown rank, not a scalar."""
    return _shape_in(info.tensor_shape.SerializeToString()) if info.HasField("tensor_shape") else None


@lru_cache(maxsize=1024)
def _shape_in(data: bytes) -> Shape:
    """Read a serialised TensorShapeProto: of a hundred thousand ends most have one of a few."""
    return protos.shape_of(protos.parse("TensorShapeProto", data))


def tensors_of(info: protos.Message) -> tuple[str, ...]:
    """Return the tensors that a TensorInfo names, those of a composite one in the order of its parts."""
    encoding = info.WhichOneof("encoding")
    if encoding == "coo_sparse":
        sparse = info.coo_sparse
        return sparse.indices_tensor_name, sparse.values_tensor_name, sparse.dense_shape_tensor_name
    if encoding == "composite_tensor":
        return tuple(name for part in info.composite_tensor.components for name in tensors_of(part))
    return (str(info.name),)


def tensor_name(info: protos.Message) -> str:
    """Return the tensor that a TensorInfo names; of a sparse or composite one, its parts joined by commas."""
    encoding = info.WhichOneof("encoding")
    if encoding == "coo_sparse":
        sparse = info.coo_sparse
        return f"{sparse.values_tensor_name},{sparse.indices_tensor_name},{sparse.dense_shape_tensor_name}"
    if encoding == "composite_tensor":
        return ",".join(tensor_name(part) for part in info.composite_tensor.components)
    return str(info.name)


def is_hidden(key: str) -> bool:
    """Say whether a SignatureDef is TensorFlow's own bookkeeping, such as ``__saved_model_init_op``."""
    return key.startswith(HIDDEN_PREFIX)


def require_own_key(key: str) -> None:
    """Refuse a key that no signature of a user's may have.

    Raises
    ------
    ConversionError
        If it is empty or TensorFlow's own.
    """
    if is_hidden(key) or not key:
        raise errors.ConversionError(
            f"{key!r} is no key for a signature: what begins with '__' is TensorFlow's own; choose another"
        )


def rows(tagged: TaggedSignatures) -> Iterator[SignatureRow]:
    """Yield a row for each input and output of each signature, those of bookkeeping included.

    They come in the order that the form keeps, else sorted.
    """
    for tags, signatures in tagged:
        joined = ",".join(tags)
        orders = signatures.orders if isinstance(signatures, Ordered) else {}
        for key, signature in signatures.items():
            method = str(signature.method_name)
            known = orders.get(key) or (sorted(signature.inputs), sorted(signature.outputs))
            sides = (("input", signature.inputs), ("output", signature.outputs))
            for (side, ends), names in zip(sides, known, strict=True):
                for name in names:
                    info = ends[name]
                    yield SignatureRow(joined, key, method, side, name, *_described(info))


def choose(signatures: Mapping[str, object], key: str | None = None) -> str:
    """Return the key of the signature that is meant: the one named, else the default one, else the only one.

    Raises
    ------
    UnknownNameError
        If there is none of that name, or several and none is named.
    """
    visible = [name for name in signatures if not is_hidden(name)]
    if key is not None:
        if key not in signatures:
            raise errors.UnknownNameError(key, "signature", visible)
        return key
    if DEFAULT_KEY in visible:
        return DEFAULT_KEY
    if len(visible) == 1:
        return visible[0]
    raise errors.UnknownNameError(DEFAULT_KEY, "signature", visible)


def shapes_by_node(signatures: Mapping[str, protos.Message]) -> dict[str, Shape]:
    """Return the shapes that signatures state for first outputs of nodes, by the node's name."""
    shapes: dict[str, Shape] = {}
    for signature in signatures.values():
        for side in (signature.inputs, signature.outputs):
            for key in sorted(side):
                info = side[key]
                node, _, index = (info.name or tensor_name(info)).partition(":")
                if node not in shapes and index in ("", "0") and (shape := _shape(info)) is not None:
                    shapes[node] = shape
    return shapes
