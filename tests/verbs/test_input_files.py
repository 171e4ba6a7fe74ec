from __future__ import annotations

import base64
import io
import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.array_files import npy
from tfmagic import errors
from tfmagic.commands import declarations
from tfmagic.display import pictures as picture_files
from tfmagic.graphs.signatures import Endpoint
from tfmagic.verbs import input_files, run_inputs
from tfmagic.verbs.input_files import File
from tfmagic.verbs.verification import trial_inputs

IMAGES = Endpoint("images", "images:0", "float32", (None, 4, 4, 3))
VECTORS = Endpoint("x", "x:0", "float32", (None, 2))
TEXTS = Endpoint("text", "text:0", "string", (None,))


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def test_arrays_are_read_without_pickle() -> None:
    value = np.arange(6, dtype=np.float32).reshape(3, 2)
    np.testing.assert_array_equal(input_files.of_file(File("a.NPY", npy(value)), VECTORS), value)
    hostile = npy(np.array([print], dtype=object), allow_pickle=True)
    with pytest.raises(errors.ConversionError, match="allow_pickle"):
        input_files.of_file(File("a.npy", hostile), VECTORS)
    with pytest.raises(errors.ConversionError, match=r"'a.npy' cannot be read"):
        input_files.of_file(File("a.npy", b"\x93NUMPY nonsense"), VECTORS)


@pytest.mark.parametrize(
    "content",
    [
        [[1, 2], [3, 4]],
        {"x": [[1, 2], [3, 4]]},
        {"inputs": [[1, 2], [3, 4]]},
        {"inputs": {"x": [[1, 2], [3, 4]]}},
        {"instances": [{"x": [1, 2]}, {"x": [3, 4]}]},
        {"signature_name": "s", "instances": [[1, 2], [3, 4]]},
    ],
)
def test_json_is_lists_or_a_request_to_a_server(content: Any) -> None:
    found = input_files.of_file(File("a.json", json.dumps(content).encode()), VECTORS)
    np.testing.assert_array_equal(found, [[1, 2], [3, 4]])


def test_json_holds_text_and_bytes() -> None:
    found = input_files.of_file(File("a.json", b'["a", "b\\u0000"]'), TEXTS)
    assert found.tolist() == ["a", "b\0"]
    sent = json.dumps([{"b64": base64.b64encode(b"\x00\xff\x00").decode()}]).encode()
    assert input_files.of_file(File("a.json", sent), TEXTS).tolist() == [b"\x00\xff\x00"]


@pytest.mark.parametrize("content", [b"{", b'{"y": [1]}', b"[" * 100_000, b"[[1], [1, 2]]", b"\xff"])
def test_json_that_is_no_value_is_one_line(content: bytes) -> None:
    with pytest.raises(errors.ConversionError) as raised:
        input_files.of_file(File("a.json", content), VECTORS)
    assert "\n" not in str(raised.value)
    assert "'a.json'" in str(raised.value)


def test_of_several_arrays_the_one_of_the_input_is_taken_or_the_only_one() -> None:
    vectors = np.ones((3, 2), np.float32)
    for arrays in ({"x": vectors, "other": np.zeros(9)}, {"other": vectors}):
        np.testing.assert_array_equal(input_files.of_file(File("a.npz", npz(**arrays)), VECTORS), vectors)
    with pytest.raises(errors.ConversionError, match=r"'a.npz' holds 'a', 'b', and none of them is 'x'"):
        input_files.of_file(File("a.npz", npz(a=vectors, b=vectors)), VECTORS)
    with pytest.raises(errors.ConversionError, match=r"'a.npz' cannot be read"):
        input_files.of_file(File("a.npz", b"PK nonsense"), VECTORS)


def test_a_file_of_text_is_one_text() -> None:
    assert run_inputs.fitting(TEXTS, File("a.txt", "größe\n".encode())).tolist() == ["größe"]
    with pytest.raises(errors.ConversionError, match="text is no number"):
        run_inputs.fitting(VECTORS, File("a.txt", b"1 2"))


def test_a_picture_may_be_the_text_that_a_model_takes() -> None:
    picture = trial_inputs.png(8)
    assert input_files.of_file(File("a.png", picture), TEXTS).tolist() == [picture]
    assert input_files.of_file(File("a.png", picture), TEXTS._replace(shape=())).item() == picture


@pytest.mark.tensorflow
@pytest.mark.parametrize(("pixels", "expected"), [("0 to 1", 1.0), ("-1 to 1", 1.0), ("0 to 255", 255.0)])
def test_a_picture_gets_the_size_and_the_range_of_the_input(pixels: str, expected: float) -> None:
    white = picture_files.png(np.full((9, 7, 3), 255, np.uint8))
    black = picture_files.png(np.zeros((9, 7, 1), np.uint8))
    found = input_files.of_file(File("a.png", white), IMAGES, pixels)
    assert (found.shape, found.dtype.type) == ((1, 4, 4, 3), np.float32)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    lowest = input_files.of_file(File("b.png", black), IMAGES, pixels)
    np.testing.assert_allclose(lowest, -1.0 if pixels.startswith("-") else 0.0, atol=1e-6)


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("dtype", "shape", "found"),
    [
        ("uint8", (None, None, None, 3), ((1, 8, 8, 3), np.uint8)),
        ("float32", (None, 3, 5, 6), ((1, 3, 5, 6), np.float32)),
        ("float32", (8, 8, 1), ((8, 8, 1), np.float32)),
        ("float16", (None, 8, 8, 4), ((1, 8, 8, 4), np.float32)),
        ("float32", None, ((1, 8, 8, 1), np.float32)),
        ("int32", (None, 2, 2, 1), ((1, 2, 2, 1), np.uint8)),
    ],
)
def test_a_picture_takes_the_form_of_the_input(dtype: str, shape: Any, found: Any) -> None:
    value = input_files.of_file(File("a.png", trial_inputs.png(8)), Endpoint("i", "i:0", dtype, shape))
    assert (value.shape, value.dtype.type) == found


@pytest.mark.tensorflow
def test_what_is_no_picture_is_said() -> None:
    with pytest.raises(errors.ConversionError, match=r"'a.bin': this is no PNG.*\.json and \.txt"):
        input_files.of_file(File("a.bin", b"hello"), IMAGES)
    with pytest.raises(errors.ConversionError, match=r"which is none; give \.npy or \.json"):
        input_files.of_file(File("a.png", trial_inputs.png(8)), VECTORS)


def wav(samples: Any, width: int = 2, channels: int = 1) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(16_000)
        file.writeframes(np.asarray(samples).tobytes())
    return buffer.getvalue()


SOUND = Endpoint("sound", "sound:0", "float32", (None, None))


@pytest.mark.parametrize(
    ("content", "values"),
    [
        (wav(np.array([0, 16384, -32768], "<i2")), [0, 0.5, -1]),
        (wav(np.array([128, 192, 0], "u1"), 1), [0, 0.5, -1]),
        (wav(np.array([0, 1 << 30, -(1 << 31)], "<i4"), 4), [0, 0.5, -1]),
        (wav(np.array([0, 16384, -32768, 0], "<i2"), channels=2), [0.25, -0.5]),
    ],
)
def test_sound_is_its_samples(content: bytes, values: list[float]) -> None:
    found = input_files.of_file(File("a.wav", content), SOUND)
    np.testing.assert_allclose(found, [values])
    flat = input_files.of_file(File("a.wav", content), SOUND._replace(shape=(None,)))
    np.testing.assert_allclose(flat, values)


@pytest.mark.parametrize("content", [b"", b"RIFF", wav(np.zeros(3, "u1"), 3), b"\0" * 100])
def test_what_is_no_sound_is_refused(content: bytes) -> None:
    with pytest.raises(errors.ConversionError, match=r"'a.wav' cannot be read"):
        input_files.of_file(File("a.wav", content), SOUND)


def test_a_folder_is_its_pictures_in_natural_order(tmp_path: Path) -> None:
    for name in ("p10.png", "p9.PNG", "notes.txt", "p1.jpg"):
        (tmp_path / name).write_bytes(b"")
    assert [Path(each.name).name for each in input_files.at(tmp_path)] == ["p1.jpg", "p9.PNG", "p10.png"]
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "empty", tmp_path / "nowhere"):
        with pytest.raises(errors.ConversionError):
            input_files.at(path)


@pytest.mark.tensorflow
def test_pictures_of_several_sizes_are_a_batch_only_where_the_model_says_the_size(tmp_path: Path) -> None:
    for size in (8, 16):
        (tmp_path / f"{size}.png").write_bytes(picture_files.png(np.full((size, size, 3), 255, np.uint8)))
    assert run_inputs.fitting(IMAGES, str(tmp_path)).shape == (2, 4, 4, 3)
    paths = [tmp_path / "8.png", tmp_path / "16.png"]
    np.testing.assert_allclose(run_inputs.fitting(IMAGES, paths, "-1 to 1"), 1, rtol=1e-6)
    with pytest.raises(errors.ConversionError, match="have different ones"):
        run_inputs.fitting(IMAGES._replace(shape=(None, None, None, 3)), tmp_path)
    with pytest.raises(errors.ConversionError, match="one picture and no batch"):
        run_inputs.fitting(IMAGES._replace(shape=(4, 4, 3)), tmp_path)


def test_the_command_knows_the_same_pixels() -> None:
    assert tuple(input_files.PIXELS) == declarations._PIXELS


def test_each_picture_may_have_a_range_of_its_own() -> None:
    pixels = {"photo": "0 to 255", "mask": "-1 to 1"}
    assert [input_files.pixels_of(pixels, key) for key in ("photo", "mask", "else")] == [
        "0 to 255",
        "-1 to 1",
        "0 to 1",
    ]
    input_files.require_pixels(pixels, ["photo", "mask"])
    with pytest.raises(errors.ConversionError, match=r"pixels are '0 to 1'.*not '0 to 2'"):
        input_files.require_pixels({"photo": "0 to 2"})
    with pytest.raises(errors.UnknownNameError, match="no input 'fotos'"):
        input_files.require_pixels({"fotos": "0 to 1"}, ["photo"])
