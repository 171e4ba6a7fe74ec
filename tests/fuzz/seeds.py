"""What fuzzing begins with: the samples of the suite, and small files of the corpus, each for the targets it fits."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fuzz.targets import TARGETS
from tests.samples import Built

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Larger files are not told apart by what is fuzzed of them, and are slow.
_LARGEST = 48 << 10
#: As many files of one kind.
_MOST = 200
_SAMPLES = {
    "graph_def": ("graph_def", "graph_def_gzip"),
    "graph_text": ("graph_def_text",),
    "meta_graph": ("meta_graph",),
    "checkpoint_v1": ("checkpoint_v1",),
    "keras_archive": ("keras_archive",),
    "keras_hdf5": ("keras_hdf5",),
    "keras_weights": ("keras_weights",),
    "tflite": ("tflite",),
}
_SUFFIXES = {
    ".pb": ("graph_def", "wire"), ".pbtxt": ("graph_text", "text"), ".meta": ("meta_graph", "wire"),
    ".h5": ("keras_hdf5",), ".hdf5": ("keras_hdf5",), ".keras": ("keras_archive",), ".tflite": ("tflite",),
    ".index": ("sorted_table",),
}  # fmt: skip


def gather(directory: Path, corpus: Path | None) -> dict[str, int]:
    """Write the seeds of each target to a folder of its own; return how many there are.

    Parameters
    ----------
    directory : Path
        Where the folders are made.
    corpus : Path or None
        A folder with models, whatever they are.
    """
    counts = dict.fromkeys(TARGETS, 0)
    with tempfile.TemporaryDirectory() as place:
        sources = (*_of_samples(Built(Path(place))), *(_of_corpus(corpus) if corpus is not None else ()))
        for target, data in sources:
            folder = directory / target
            folder.mkdir(parents=True, exist_ok=True)
            if len(data) <= _LARGEST and counts[target] < _MOST:
                (folder / hashlib.sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)
                counts[target] += 1
    return counts


def _of_samples(built: Built) -> Iterator[tuple[str, bytes]]:
    for target, names in _SAMPLES.items():
        for name in names:
            yield target, built.path(name).read_bytes()
            yield "any", built.path(name).read_bytes()
    for name in ("saved_model_tf1", "saved_model_tf2", "saved_model_of_keras", "saved_model_several"):
        yield "saved_model", (built.path(name) / "saved_model.pb").read_bytes()
    yield "saved_model_text", (built.path("saved_model_text") / "saved_model.pbtxt").read_bytes()
    for name in ("checkpoint_v2", "checkpoint_of_objects"):
        built.path(name)
        for index in (built.directory / name).glob("*.index"):
            yield "checkpoint", _pair(index)
            yield "sorted_table", index.read_bytes()
    for state in built.directory.rglob("checkpoint"):
        yield "checkpoint_state", state.read_bytes()
    yield "checkpoint_state", b'model_checkpoint_path: "model.ckpt-2"\nall_model_checkpoint_paths: "model.ckpt-1"\n'
    yield "keras_config", _config(built.path("keras_archive"))
    yield "snappy", b"\x0a\x24abcdefghij\x05\x0a"


def _pair(index: Path) -> bytes:
    """Join an index and its first shard as the target ``checkpoint`` takes them."""
    data = index.with_name(index.name.removesuffix(".index") + ".data-00000-of-00001")
    content = index.read_bytes()
    return len(content).to_bytes(4, "little") + content + (data.read_bytes() if data.exists() else b"")


def _config(archive: Path) -> bytes:
    import zipfile  # noqa: PLC0415 - for one seed

    with zipfile.ZipFile(archive) as opened:
        return opened.read("config.json")


def _of_corpus(corpus: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(corpus.rglob("*")):
        if path.is_file() and os.path.getsize(path) <= _LARGEST:  # noqa: PTH202 - thousands of files
            name = path.name
            targets = _SUFFIXES.get(path.suffix, ())
            if name in ("saved_model.pb", "saved_model.pbtxt"):
                targets = ("saved_model" if name.endswith("pb") else "saved_model_text",)
            elif name == "checkpoint":
                targets = ("checkpoint_state",)
            for target in targets:
                yield target, path.read_bytes()
            if path.suffix == ".index" and len(pair := _pair(path)) <= _LARGEST:
                yield "checkpoint", pair
