"""What classes are called is taken from what lies with the model, or is given; never from what does not fit."""

from __future__ import annotations

import json
import zipfile
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tfmagic import errors
from tfmagic.verbs import class_labels
from tfmagic.verbs.run_results import Run

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ["cat", "dog", "<b>bird</b>"]


def own(path: Path, count: int = 3) -> tuple[str, ...]:
    model: Any = SimpleNamespace(path=path)
    return class_labels.own(model, count)[0]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels.txt", "cat\ndog\n<b>bird</b>\n"),
        ("labels.txt", "cat\r\ndog\r\n<b>bird</b>"),
        ("imagenet_class_index.json", json.dumps({str(n): [f"n{n}", name] for n, name in enumerate(NAMES)})),
        ("class_names.json", json.dumps(NAMES)),
        ("classes.json", json.dumps({"2": NAMES[2], "0": NAMES[0], "1": NAMES[1]})),
    ],
)
def test_labels_beside_a_model_are_its_own(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / "model.pb").write_bytes(b"")
    (tmp_path / name).write_bytes(content.encode())
    assert own(tmp_path / "model.pb") == tuple(NAMES)
    assert own(tmp_path / "model.pb", 4) == ()
    assert class_labels.of(tmp_path / name) == tuple(NAMES)


def test_labels_are_assets_of_a_saved_model_and_packed_in_a_tflite_file(tmp_path: Path) -> None:
    assets = tmp_path / "served" / "assets"
    assets.mkdir(parents=True)
    (assets / "words.txt").write_text("cat\ndog\n<b>bird</b>\n")
    assert own(tmp_path / "served") == tuple(NAMES)
    path = tmp_path / "m.tflite"
    path.write_bytes(b"TFL3 and what a model is")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("probability-labels.txt", "cat\ndog\n<b>bird</b>")
    assert own(path) == tuple(NAMES)


@pytest.mark.parametrize("content", [b"", b"{", b"[" * 100_000, b'{"1": "a", "2": "b", "3": "c"}', b"3", b"\xff\xfe"])
def test_what_holds_no_labels_is_passed_over(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.pb").write_bytes(b"")
    (tmp_path / "labels.json").write_bytes(content)
    assert own(tmp_path / "model.pb") == ()
    with pytest.raises(errors.ConversionError):
        class_labels.of(tmp_path / "labels.json")


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_is_packed_and_does_not_unpack_is_passed_over(tmp_path: Path, method: int) -> None:
    path = tmp_path / "model.tflite"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("labels.txt", "".join(f"{number * 7919}\n" for number in range(999)))
    data = bytearray(path.read_bytes())
    begin = data.index(b"labels.txt") + len("labels.txt")
    data[begin + 40 : begin + 400] = b"\xff" * 360
    path.write_bytes(data)
    assert own(path, 999) == ()


@pytest.mark.parametrize("labels", [3, "nowhere.txt", []])
def test_labels_that_are_none_are_refused(labels: object) -> None:
    with pytest.raises(errors.ConversionError):
        class_labels.of(labels)


def result(output: Any, **more: Any) -> Run:
    return Run({"scores": np.asarray(output)}, 0.0, 0.0, 0.0, {}, **more)


def test_the_largest_values_are_told_by_their_labels_and_files() -> None:
    run = result([[0, 3, 1, 2, 5, 4], [9, float("nan"), 1, 2, 5, 4]], files={"x": ("a.png", "b.png")})
    top = run.top(2)
    assert top["row"].tolist() == ["a.png", "a.png", "b.png", "b.png"]
    assert top["class"].tolist() == [4, 5, 0, 4]
    named = result([0, 3, 1, 2, 5, 4], labels={"scores": (*"abcd", "<i>", "f")})
    assert named.top(2)["label"].tolist() == ["<i>", "f"]
    assert "&lt;i&gt;" in named._repr_html_()
    assert "Largest values" in repr(named)


@pytest.mark.parametrize("output", [[1.0, 2.0], 3.0, np.zeros((2, 3, 9)), np.array([b"a"] * 9), np.zeros((0, 9))])
def test_what_is_no_vector_of_classes_is_not_ranked(output: Any) -> None:
    assert len(result(output).top()) == 0
    assert "Largest values" not in repr(result(output))
