"""Ends in the body of a loop: refused with what comes out of it, unless the loop does not run between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tests.graph_samples import control_flow
from tfmagic import errors

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def looping(tf: Any) -> Any:
    """A session with a loop of TensorFlow 1, in whose body two nodes follow one another."""
    v1 = tf.compat.v1

    def body(step: Any, value: Any) -> tuple[Any, Any]:
        inner = tf.add(value, value, name="inner")
        return step + 1, tf.multiply(inner, inner, name="outer")

    with control_flow(1), tf.Graph().as_default() as graph:
        x = v1.placeholder(tf.float32, [None], name="x")
        _, looped = v1.while_loop(lambda step, _: step < 3, body, [0, x], name="loop")
        tf.identity(looped, name="y")
    return v1.Session(graph=graph)


@pytest.mark.parametrize("place", ["m", "m.pb", "m.tflite"])
@pytest.mark.parametrize("state", ["session", "file"])
def test_what_a_session_cannot_fetch_is_refused(looping: Any, tmp_path: Path, place: str, state: str) -> None:
    source = looping
    if state == "file":
        source = tmp_path / "graph.pb"
        source.write_bytes(looping.graph.as_graph_def().SerializeToString())
    before = set(tmp_path.iterdir())
    for inputs, outputs in ((["x"], ["loop/inner"]), (["x", "loop/inner"], ["y"])):
        with pytest.raises(errors.ConversionError, match="'loop/inner' lies in the body of a loop") as refused:
            tfmagic.export(source, tmp_path / place, inputs=inputs, outputs=outputs)
        assert "'loop/Exit_1'" in str(refused.value)
    assert set(tmp_path.iterdir()) == before


def test_a_part_of_the_body_is_a_graph_by_itself(looping: Any, tmp_path: Path) -> None:
    tfmagic.export(looping, tmp_path / "m.pb", inputs=["loop/inner"], outputs=["loop/outer"])
    result = tfmagic.run(tmp_path / "m.pb", {"loop/inner": [4.0]}).outputs["loop/outer"]
    np.testing.assert_array_equal(result, [16.0])
