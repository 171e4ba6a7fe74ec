"""Files of others are told by how they begin, and each with what to do."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tfmagic.files import foreign_files

if TYPE_CHECKING:
    from pathlib import Path

BEGINNINGS = {
    b"SQLite format 3\0": "SQLite",
    b"%PDF-1.7\n": "PDF",
    b"PAR1" + bytes(8): "Parquet",
    b"Rar!\x1a\x07\x01\0": "RAR",
    b"\x7fELF\x02\x01\x01": "compiled",
    "node { }".encode("utf-16"): "UTF-8",
    b'\xef\xbb\xbfnode { name: "a" op: "NoOp" }': "byte order mark",
    b'{"error": "not found"}': "download it again",
    b'[{"error": 404}]': "download it again",
    b'{"class_name": "Sequential", "config": {}}': "model_from_json",
    b'{"format": "layers-model", "modelTopology": {}}': "TensorFlow.js",
    b'{"model_type": "bert"}': "transformers",
    b'{"cells": [], "nbformat": 4}': "notebook",
}


@pytest.mark.parametrize("head", BEGINNINGS)
def test_a_file_is_told_by_how_it_begins(head: bytes) -> None:
    assert BEGINNINGS[head] in foreign_files.guess(head)


def test_arrays_of_numpy_are_told_from_other_archives() -> None:
    file = io.BytesIO()
    np.savez(file, weights=np.ones(2))
    assert "numpy.load" in foreign_files.guess(file.getvalue())
    assert "unpack it" in foreign_files.guess(b"PK\x03\x04" + bytes(100))


def test_only_a_guess_that_tells_something_counts_as_told() -> None:
    telling = {head: foreign_files.is_told(foreign_files.guess(head)) for head in (b"%PDF", b"words\n", b"\1\2", b"{}")}
    assert telling == {b"%PDF": True, b"words\n": False, b"\1\2": False, b"{}": False}


@pytest.mark.tensorflow
def test_records_are_told_by_their_checksum(tf: Any, tmp_path: Path) -> None:
    with tf.io.TFRecordWriter(str(tmp_path / "r")) as writer:
        writer.write(b"anything")
    content = (tmp_path / "r").read_bytes()
    assert "TFRecord" in foreign_files.guess(content)
    assert "TFRecord" not in foreign_files.guess(bytes([content[0] ^ 1]) + content[1:])
