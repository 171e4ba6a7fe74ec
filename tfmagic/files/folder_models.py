"""Which names in a folder are one model: a SavedModel's folder, a checkpoint's files, any other file by itself.

Names alone are looked at. What is certain to be meant as a model, broken or not, is told from what may be one, whose
content decides. Not for: recognising a form (``readers/``), or walking (:mod:`tfmagic.verbs.cataloguing.walks`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from tfmagic.files.checkpoints.location import STATE_FILE
from tfmagic.files.saved_model_files import BINARY, PARTS, SINGLE, TEXT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tfmagic.files.folders import Entry

#: Any of them makes a folder a SavedModel; the last one is what no public TensorFlow reads.
_MESSAGES = (BINARY, TEXT, "saved_model.cpb")
_CHECKPOINT = re.compile(r"(?P<stem>.+)(?P<suffix>\.index|\.meta|\.data-\d{5,}-of-\d{5,})", re.DOTALL)
_V1_SHARD = re.compile(r"(?P<stem>.+)-\d{5}-of-\d{5}", re.DOTALL)
_META, _INDEX = ".meta", ".index"
#: Files that are meant to be models: one that cannot be read is told.
_CERTAIN = (".keras", ".h5", ".hdf5", ".tflite", ".pb", _META)
#: Files of other kinds, as their names say; nobody opens them to look.
_SUFFIXES = """
    7z avi avro bash bat bmp bz2 c cc cfg conf cpp crc css csv dcm doc docx dockerfile egg eot eps exe flac
    gguf gif gitattributes gitignore go h hpp htm html ico ini ipynb jar java jpeg jpg js jsonl json jsonnet
    lock log lz4 m4a map md mjs mkv mlmodel mlpackage mov mp3 mp4 mpeg npy npz ogg onnx ods orc parquet part pdf php
    pickle pkl png pot pptx proto ps1 psd pt pth py pyc pyd pyi pyo pyx r rar rb recordio rs rst safetensors scala sh
    sha256 so sql sqlite svg swift tar tex tfrecord tfrecords tgz tif tiff tmp toml ts tsv ttf txt wav webm webp whl
    woff woff2 xls xlsx xml xz yaml yml zip zst
"""
_OTHERS = frozenset(_SUFFIXES.split())
_AS_TEXT = ".pb."
#: What a training writes beside its checkpoints for TensorBoard.
_EVENTS = "events.out.tfevents."
#: Descriptions in text format that lie beside models: of Triton's servers, of classes, of a training.
_DESCRIPTIONS = frozenset({"config.pbtxt", "pipeline.config"})


class Bundle(NamedTuple):
    """Files in a folder that are one model.

    Attributes
    ----------
    name : str
        What a reader is given: a file, a checkpoint's prefix, or ``""`` for the folder itself.
    files : tuple of Entry
        Those of the folder itself, by name.
    folders : tuple of str
        The folders that belong to it as a whole.
    is_certain : bool
        Whether it is a model by its name, which is told where it cannot be read.
    """

    name: str
    files: tuple[Entry, ...]
    folders: tuple[str, ...] = ()
    is_certain: bool = False


def bundles(entries: Sequence[Entry]) -> list[Bundle]:
    """Return the models that the names in a folder may be, the folder itself first, then by name."""
    files = {entry.name: entry for entry in entries if not entry.is_folder}
    whole = _of_folder(entries) if any(name in files for name in _MESSAGES) else None
    taken = {entry.name for entry in whole.files} if whole else set()
    rest = [entry for name, entry in files.items() if name not in taken and name != STATE_FILE]
    singles = sorted(_of_files(rest), key=lambda bundle: bundle.name)
    return [whole, *singles] if whole else singles


def _of_folder(entries: Iterable[Entry]) -> Bundle:
    own = [entry for entry in entries if entry.name in (PARTS if entry.is_folder else SINGLE)]
    folders = tuple(entry.name for entry in own if entry.is_folder and not entry.elsewhere)
    return Bundle("", tuple(entry for entry in own if entry.name not in folders), folders, is_certain=True)


def _of_files(files: Iterable[Entry]) -> Iterator[Bundle]:
    """Group the files of a checkpoint; what belongs to none stands alone."""
    groups: dict[str, list[Entry]] = {}
    others = []
    for entry in files:
        part = _CHECKPOINT.fullmatch(entry.name) or _V1_SHARD.fullmatch(entry.name)
        if part:
            groups.setdefault(part["stem"], []).append(entry)
        else:
            others.append(entry)
    for entry in others:
        if entry.name in groups:
            # A checkpoint of one file, with its graph beside it.
            groups[entry.name].append(entry)
        elif may_be_model(entry.name):
            yield Bundle(entry.name, (entry,), is_certain=entry.name.lower().endswith(_CERTAIN))
    for stem, group in groups.items():
        yield _checkpoint(stem, sorted(group))


def _checkpoint(stem: str, group: list[Entry]) -> Bundle:
    """Say by which name the reader of a checkpoint, or of the graph beside it, finds all of it."""
    suffixes = {entry.name.removeprefix(stem).partition("-")[0] for entry in group}
    has_shards = ".data" in suffixes
    if len(group) == 1 and not has_shards:
        (entry,) = group
        return Bundle(entry.name, (entry,), is_certain=entry.name.endswith(_META))
    if has_shards or _META in suffixes:
        return Bundle(stem, tuple(group), is_certain=True)
    # Shards of the first format, or of anything else that is numbered so.
    return Bundle(group[0].name, tuple(group), is_certain=_INDEX in suffixes)


def may_be_model(name: str) -> bool:
    """Say whether a file may be a model, going by its name."""
    lower = name.lower()
    if lower in _DESCRIPTIONS or lower.startswith(_EVENTS):
        return False
    # TensorFlow's own tools call a message as text "graph.pb.txt".
    return lower.rpartition(".")[2] not in _OTHERS or _AS_TEXT in lower


def decisive(bundle: Bundle) -> Entry | None:
    """Return the file that makes a bundle a model: the message, the index or the graph, else the first."""
    ranked = sorted(bundle.files, key=lambda entry: (_rank(entry.name), entry.name))
    return ranked[0] if ranked else None


def _rank(name: str) -> int:
    if name in _MESSAGES:
        return _MESSAGES.index(name)
    return 1 if name.endswith(_INDEX) else 2 if name.endswith(_META) else 3
