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
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from pathlib import Path

    from tfmagic.functions import NamedFunction

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


def require_agreement(path: Path, loaded: NamedFunction) -> None:
    """Compare a signature as TensorFlow 2 loads it with what the SignatureDef says.

    Raises
    ------
    ConversionError
        If they differ in a key or a dtype.
    """
    place = path / BINARY
    is_binary = place.exists()
    saved = protos.parse("SavedModel", place.read_bytes()) if is_binary else _text_of(path / TEXT)
    signature = saved.meta_graphs[0].signature_def[loaded.key]
    for side, ends in ((signature.inputs, loaded.inputs), (signature.outputs, loaded.outputs)):
        parts = {name for key, info in side.items() for name in composites.tensors_by_key(key, info) if name != key}
        stated = {end.key: end.dtype for end in signatures.endpoints(side) if "," not in end.tensor}
        loaded_ends = {end.key: end.dtype for end in ends if end.key not in parts}
        if stated != loaded_ends:
            raise errors.ConversionError(
                f"the signature {loaded.key!r} came out as {loaded_ends} for TensorFlow 2 and as {stated} for "
                "TensorFlow 1 and servers; choose other keys with inputs={…} and outputs={…}"
            )


def _text_of(place: Path) -> protos.Message:
    return protos.parse_text("SavedModel", place.read_text("utf-8"))
