from __future__ import annotations

import numpy as np
import pytest

from tests.array_files import npy
from tfmagic import errors
from tfmagic.display import pictures as picture_files
from tfmagic.graphs.signatures import Endpoint
from tfmagic.notebook.panel import input_values
from tfmagic.verbs.input_files import File

VECTORS = Endpoint("x", "x:0", "float32", (None, 2))
TEXTS = Endpoint("text", "text:0", "string", (None,))


def read(file: bytes) -> np.ndarray:
    """Read a PNG by another's hand."""
    tf = pytest.importorskip("tensorflow")
    return np.asarray(tf.io.decode_png(file).numpy())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "give an expression"),
        ("x[", "no Python expression"),
        ("import os", "no Python expression"),
        ("imges", "did you mean 'images'"),
        ("wrong", "rank is 1, not 2; give it a batch"),
        ("images[:2]", ""),
        ("[each for each in images]", ""),
        ("list(map(lambda n: n + 1, images))", ""),
        ("images", ""),
        ("big", "rank is 1, not 2"),
    ],
)
def test_an_expression_is_looked_at_while_it_is_typed(text: str, told: str) -> None:
    big = np.lib.stride_tricks.as_strided(np.zeros(1), (2_000_000,), (0,))
    variables = {"images": np.zeros((3, 2), np.float32), "wrong": np.zeros(2), "big": big}
    found = input_values.problem(text, VECTORS, variables)
    assert told in found
    assert bool(told) == bool(found)


@pytest.mark.tensorflow
def test_what_has_a_dtype_and_a_shape_is_compared_without_its_content() -> None:
    tf = pytest.importorskip("tensorflow")
    big = np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), (2_000_000, 3), (0, 4))
    variables = {"big": big, "text": tf.constant(["a"]), "right": tf.zeros([5, 2]), "frame": [[1, 2]]}
    assert "dimension 1 is 3, not 2" in input_values.problem("big", VECTORS, variables)
    assert "text is no number" in input_values.problem("text", VECTORS, variables)
    assert not input_values.problem("text", TEXTS, variables)
    assert not input_values.problem("right", VECTORS, variables)
    assert not input_values.problem("frame", VECTORS, variables)


def test_a_file_is_looked_at_once_it_is_there() -> None:
    assert not input_values.file_problem(File("a.npy", npy(np.zeros((3, 2)))), VECTORS)
    assert "dimension 1 is 4, not 2" in input_values.file_problem(File("a.npy", npy(np.zeros((3, 4)))), VECTORS)
    assert "cannot be read" in input_values.file_problem(File("a.json", b"["), VECTORS)
    assert "text is no number" in input_values.file_problem(File("a.json", b'["a"]'), VECTORS)
    assert not input_values.file_problem(File("a.png", b"whatever"), VECTORS)


def test_looking_evaluates_nothing() -> None:
    ran: list[int] = []
    assert not input_values.problem("boom()", VECTORS, {"boom": lambda: ran.append(1)})
    assert not ran


def test_an_expression_is_evaluated_over_the_variables_and_leaves_them() -> None:
    variables: dict[str, object] = {"a": 2}
    assert input_values.evaluated(" [(b := a) + each for each in range(b + 1)] ", "x", variables | {"b": 1}) == [2, 3]
    assert input_values.evaluated("a * 3", "x", variables) == 6
    assert variables == {"a": 2}
    with pytest.raises(errors.ConversionError, match=r"'1/0' for 'x' raises ZeroDivisionError: division by zero"):
        input_values.evaluated("1/0", "x", variables)


# Pictures


@pytest.mark.tensorflow
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_png_holds_the_pixels(channels: int) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (11, 9, channels)).astype(np.uint8)
    np.testing.assert_array_equal(read(picture_files.png(pixels)), pixels)


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("values", "pixels"),
    [
        ([0.0, 0.2, 1.0], [0, 51, 255]),
        ([-1.0, 0.0, 1.0], [0, 128, 255]),
        ([0.0, 10.0, 20.0], [0, 128, 255]),
        ([-7.0, -7.0, -7.0], [0, 0, 0]),
        ([np.nan, np.inf, 1.0], [0, 0, 255]),
    ],
)
def test_floats_become_brightness(values: list[float], pixels: list[int]) -> None:
    assert read(picture_files.png(np.array(values).reshape(1, 3, 1))).ravel().tolist() == pixels


@pytest.mark.tensorflow
def test_a_large_picture_is_shown_smaller() -> None:
    found = read(picture_files.png(np.zeros((2000, 1000, 3), np.uint8)))
    assert max(found.shape) <= 512
    assert found.shape[0] == pytest.approx(2 * found.shape[1], abs=1)


@pytest.mark.parametrize(
    ("shape", "dtype", "expected"),
    [
        ((2, 8, 8, 3), "float32", True),
        ((8, 8, 1), "uint8", True),
        ((8, 8, 2), "uint8", False),
        ((1, 7, 3), "float32", False),
        ((8, 8), "float32", False),
        ((0, 8, 8, 3), "float32", False),
        ((8, 8, 3), "complex64", False),
        ((8, 8, 3), "object", False),
    ],
)
def test_what_may_be_a_picture(shape: tuple[int, ...], dtype: str, expected: bool) -> None:  # noqa: FBT001 - a case
    assert picture_files.is_picture(np.zeros(shape, dtype)) is expected
