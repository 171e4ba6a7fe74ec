"""The files of a SavedModel's directory once its message is written, and what both loaders see in them.

Not for: making the message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.files import protos
from tfmagic.files.saved_model_files import BINARY, FINGERPRINT, TEXT
from tfmagic.functions import composites
from tfmagic.graphs import signatures
from tfmagic.runtime import cancellation, error_texts
from tfmagic.runtime import tensorflow as runtime
from tfmagic.runtime.log_filters import held_back

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tfmagic.functions import NamedFunction
    from tfmagic.graphs.signatures import Endpoint

#: The folder of the checkpoint, and how its files begin.
VARIABLES = "variables"


def settle(path: Path, *, text: bool) -> None:
    """Bring the message into the form that is wanted, and the fingerprint into line with it."""
    if text:
        _become_text(path)
    else:
        _refresh_fingerprint(path)


def _become_text(path: Path) -> None:
    """Replace the message by its text form; the fingerprint is that of a binary one."""
    binary = path / BINARY
    (path / TEXT).write_text(protos.to_text(protos.parse("SavedModel", binary.read_bytes())), "utf-8")
    binary.unlink()
    (path / FINGERPRINT).unlink(missing_ok=True)


def _refresh_fingerprint(path: Path) -> None:
    """Let the fingerprint be that of the message as it is; a loader does not ask for one."""
    data = runtime.fingerprint(path)
    file = path / FINGERPRINT
    if data is not None:
        file.write_bytes(data)
    else:
        file.unlink(missing_ok=True)


def require_message(path: Path, meant: bytes) -> None:
    """See that the message is as it was written: of much of it a loader of TensorFlow 2 takes no notice.

    Raises
    ------
    ConversionError
        If it is another.
    """
    if (path / BINARY).read_bytes() != meant:
        raise errors.ConversionError(
            f"{BINARY!r} was not written as it is, so nothing was left; look at the disk, and whether something else "
            "changes it meanwhile"
        )


def require_agreement(path: Path, loaded: NamedFunction) -> None:
    """Compare a signature as TensorFlow 2 loads it with what the SignatureDef says.

    Raises
    ------
    ConversionError
        If they differ in a key or a dtype.
    """
    signature = _meta_graph_def(path).signature_def[loaded.key]
    for name, ends in (("inputs", loaded.inputs), ("outputs", loaded.outputs)):
        side = getattr(signature, name)
        parts = {
            part
            for key, info in side.items()
            for part in composites.tensors_by_key(key, info, is_input=name == "inputs")
            if part != key
        }
        stated = {end.key: end.dtype for end in signatures.endpoints(side) if "," not in end.tensor}
        loaded_ends = {end.key: end.dtype for end in ends if end.key not in parts}
        if stated != loaded_ends:
            raise errors.ConversionError(
                f"the signature {loaded.key!r} came out as {loaded_ends} for TensorFlow 2 and as {stated} for "
                "TensorFlow 1 and servers; choose other keys with inputs={…} and outputs={…}"
            )


def require_session(path: Path, tags: Sequence[str], sources: Sequence[NamedFunction] = ()) -> None:
    """Load a SavedModel as TensorFlow 1 and servers do, and hold the tensors of its signatures against what they say.

    Parameters
    ----------
    path : Path
        Its directory.
    tags : sequence of str
        The tag-set.
    sources : sequence of NamedFunction
        What it was made of, which has to be what its signatures say.

    Raises
    ------
    ConversionError
        If that cannot be, TensorFlow's error is the cause; or if a key, a dtype or a shape is another.
    """
    signature_def = _meta_graph_def(path, tags).signature_def
    for source in sources:
        for side in ("inputs", "outputs"):
            _require_same(source, getattr(source, side), signatures.endpoints(getattr(signature_def[source.key], side)))
    tf = runtime.tensorflow()
    compat = tf.compat.v1
    graph = tf.Graph()

    def load() -> None:
        # That this loader is an old one is no news, nor is the path where the result is prepared.
        with graph.as_default(), held_back(tf.get_logger(), str(path), "is deprecated"):
            compat.saved_model.load(session, list(tags), str(path))

    with compat.Session(graph=graph) as session:
        try:
            cancellation.bounded(load)
            for key in filter(lambda key: not signatures.is_hidden(key), signature_def):
                signature = signature_def[key]
                for info in (*signature.inputs.values(), *signature.outputs.values()):
                    for name in signatures.tensors_of(info):
                        graph.get_tensor_by_name(name)
        except cancellation.EndlessError as error:
            raise errors.ConversionError(
                f"loading the SavedModel that comes out as TensorFlow 1 does {error}: its initialiser runs then; "
                "export a frozen graph (.pb), which has none"
            ) from error
        except (ValueError, TypeError, KeyError, RuntimeError, tf.errors.OpError) as error:
            raise errors.ConversionError(
                f"TensorFlow 1 does not load the SavedModel that comes out: {error_texts.gist(error)}; "
                "choose other inputs and outputs, or export a frozen graph (.pb)"
            ) from error


def _require_same(source: NamedFunction, ends: Sequence[Endpoint], stated: Sequence[Endpoint]) -> None:
    """Compare one side of a signature with that of its source, whatever order and names of tensors each has."""
    known = {end.key: end for end in stated}
    wrong = [end.key for end in ends if end.key not in known or not _agree(end, known[end.key])]
    wrong += sorted(known.keys() - {end.key for end in ends})
    if wrong:
        raise errors.ConversionError(
            f"{errors.listed(wrong)} of the signature {source.key!r} came out otherwise than the source has it: "
            f"{ {key: known[key][2:] if key in known else None for key in wrong} }; choose other keys"
        )


def _agree(end: Endpoint, stated: Endpoint) -> bool:
    """Whether dtypes are equal, and shapes as far as both are known."""
    if end.dtype.removesuffix("_ref") != stated.dtype.removesuffix("_ref"):
        return False
    if end.shape is None or stated.shape is None:
        return True
    sizes = zip(end.shape, stated.shape, strict=False)
    return len(end.shape) == len(stated.shape) and all(a is None or b is None or a == b for a, b in sizes)


def _meta_graph_def(path: Path, tags: Sequence[str] = ()) -> protos.Message:
    """Read what was written: the MetaGraphDef with these tags, the first where none has them."""
    place = path / BINARY
    if place.exists():
        message = protos.parse("SavedModel", place.read_bytes())
    else:
        message = protos.parse_text("SavedModel", (path / TEXT).read_text("utf-8"))
    tagged = [each for each in message.meta_graphs if set(each.meta_info_def.tags) == set(tags)]
    return (tagged or message.meta_graphs)[0]
