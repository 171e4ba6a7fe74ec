"""Files that hold no model of TensorFlow's: what one seems to be by its beginning, and what to do.

Not for: telling TensorFlow's own messages apart (:mod:`tfmagic.files.message_files`).
"""

from __future__ import annotations

import codecs
import re

from tfmagic.files import crc32c

_ZIP, _TORCH = b"PK\x03\x04", b"/data.pkl"
#: The name of the first member of an archive that numpy wrote; it lies behind 30 bytes of the member's header.
_NPZ = re.compile(rb"PK\x03\x04.{26}[^\0]{1,200}?\.npy", re.DOTALL)
#: Where the table of contents of a safetensors file begins, behind its size.
_SAFETENSORS_JSON = 8
_PICKLE = "a Python pickle, which would run code to be read: save the model from its own library"
_HDF5, _NO_MARKS = b"\x89HDF", "an HDF5 file without Keras' marks"
_WROTE = "give the file that model.save or save_weights wrote"
#: Where HDF5 may begin behind other bytes, in what is looked at of a file.
_BEHIND = tuple(512 << step for step in range(7))
_LATER = "give the TensorFlow model that it was made from, if there is one"
#: Beginnings of files that are not models of ours, and what to say of them.
_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself: run `git lfs pull` in its repository"),
    (
        b"\x83\xaf\x70\xd1\x0d\x88\x4a\x3f",
        "a chunked proto (.cpb), which no public TensorFlow reads; save it unchunked",
    ),
    (b"GGUF", f"a GGUF file of llama.cpp; {_LATER}"),
    (_ZIP, "a zip archive without a Keras model; unpack it and give what is inside"),
    (_HDF5, f"{_NO_MARKS}; {_WROTE}"),
    (b"\x1f\x8b", "gzip data; unpack it and give what is inside"),
    (b"\x80\x02", "a Python pickle, perhaps of PyTorch; save the model from its own library"),
    (b"\x80\x03", _PICKLE),
    (b"\x80\x04", _PICKLE),
    (b"\x80\x05", _PICKLE),
    (b"RIFF", "a media file; give the model's own file"),
    (b"\x89PNG", "a PNG image; give the model's own file"),
    (b"\xff\xd8\xff", "a JPEG image; give the model's own file"),
    (b"\0" * 64, "zeros: the file was never written to its end; copy or download it again"),
    (b"\x93NUMPY", "a NumPy array; load it with numpy.load"),
    (b"\x28\xb5\x2f\xfd", "zstd data; unpack it and give what is inside"),
    (b"7z\xbc\xaf", "a 7-zip archive; unpack it and give what is inside"),
    (b"Rar!", "a RAR archive; unpack it and give what is inside"),
    (b"BZh", "bzip2 data; unpack it and give what is inside"),
    (b"\xfd7zXZ", "xz data; unpack it and give what is inside"),
    (b"PAR1", "a Parquet table; give the model's own file"),
    (b"SQLite format 3", "an SQLite database; give the model's own file"),
    (b"%PDF", "a PDF document; give the model's own file"),
    (b"\x7fELF", "a compiled library or program; give the model that it runs"),
    (codecs.BOM_UTF16_LE, "text in UTF-16, which TensorFlow does not read; save it as UTF-8"),
    (codecs.BOM_UTF16_BE, "text in UTF-16, which TensorFlow does not read; save it as UTF-8"),
)
#: What JSON is about, by a key that only such has.
_JSON = (
    (b'"modelTopology"', "JSON of TensorFlow.js; give the SavedModel that it was made from"),
    (b'"graph-model"', "JSON of TensorFlow.js; give the SavedModel that it was made from"),
    (
        b'"class_name"',
        "a Keras model's config without weights; keras.models.model_from_json(…) builds it: load weights and give that",
    ),
    (b'"model_type"', "the config of a model of transformers; load that there, and export a SavedModel"),
    (b'"nbformat"', "a notebook; run it and give a model that it makes"),
    (b'"cells"', "a notebook; run it and give a model that it makes"),
)
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1f]")
_UNKNOWN = (
    "no message of TensorFlow's that can be told by its beginning; it may be truncated or of another program: check "
    "where it comes from, or copy it again"
)
_PLAIN = "text, but none of TensorFlow's messages in text format; give the model's own file"
_ANY_JSON = "JSON, perhaps what a service answered instead of the file; download it again, or give the model"
#: The header of a record: its length, and the checksum of that, masked (tensorflow/core/lib/io/record_writer.h).
_LENGTH, _HEADER = 8, 12


def guess(head: bytes) -> str:
    """Say what a file may be that no form claims, and what to do.

    Parameters
    ----------
    head : bytes
        The first bytes of the file.
    """
    if not head:
        return "nothing: the file is empty, so its writing or copying did not finish; save or copy it again"
    # A binary message may begin with a line feed and a brace: the tag of its first field and the length of that.
    text = b"" if _CONTROLS.search(head) else head.removeprefix(codecs.BOM_UTF8).lstrip()
    return (
        _hdf5_behind(head)
        or _binary(head)
        or (_text(text, marked=head.startswith(codecs.BOM_UTF8)) if text else "")
        or _UNKNOWN
    )


def is_told(guessed: str) -> bool:
    """Say whether a guess tells what a file is, and not only what it is not."""
    return guessed not in (_UNKNOWN, _PLAIN, _ANY_JSON)


def uncommented(text: str) -> str:
    """Leave out empty lines and comments; comments alone say nothing of which message they are about."""
    return "\n".join(line for line in text.splitlines() if line.strip()[:1] not in ("", "#"))


def _hdf5_behind(head: bytes) -> str:
    is_behind = any(head[place:].startswith(_HDF5) for place in _BEHIND)
    return f"{_NO_MARKS}, behind other bytes; {_WROTE}" if is_behind else ""


def _binary(head: bytes) -> str:
    if head.startswith(_ZIP) and _TORCH in head:
        return "a file of PyTorch; save or convert the model from there, and give what TensorFlow wrote"
    if _NPZ.match(head):
        return "arrays of NumPy (.npz), which hold values and no model; load them with numpy.load"
    if head[_SAFETENSORS_JSON:].startswith(b'{"') and head[4:_SAFETENSORS_JSON] == bytes(4):
        return "a safetensors file, which holds values and no model; load it in the library that made the model"
    if head[257:262] == b"ustar":
        return "a tar archive; unpack it and give what is inside"
    if len(head) >= _HEADER and crc32c.masked(crc32c.checksum(head[:_LENGTH])) == int.from_bytes(
        head[_LENGTH:_HEADER], "little"
    ):
        return "records (TFRecord): examples, or events for TensorBoard; give the model that was trained or logged"
    return next((meaning for beginning, meaning in _BEGINNINGS if head.startswith(beginning)), "")


def _text(text: bytes, *, marked: bool) -> str:
    if not uncommented(text.decode(errors="replace")):
        return "text with comments and nothing else; give the file with the model"
    if text.startswith(b"<"):
        return "HTML or XML: a download may have got an error page instead of the file; download it again"
    if text.startswith((b"{", b"[")):
        about = next((meaning for key, meaning in _JSON if key in text), "")
        return about or _ANY_JSON
    if not text.isascii():
        return ""
    return "text that begins with a byte order mark; save it without" if marked else _PLAIN
