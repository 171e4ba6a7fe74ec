from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tfmagic import errors
from tfmagic.models.model import Part
from tfmagic.verbs.conversion import options as conversion_options
from tfmagic.verbs.export import export
from tfmagic.verbs.freeze import freeze

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.tensorflow
X = np.linspace(-1, 1, 8, dtype=np.float32).reshape(4, 2)


@pytest.fixture(scope="module")
def session() -> Any:
    """A session whose graph ends in two places, of which one is proposed."""
    tf = pytest.importorskip("tensorflow")
    v1 = tf.compat.v1
    with tf.Graph().as_default():
        x = v1.placeholder(tf.float32, [None, 2], name="x")
        first, second = tf.split(x * v1.get_variable("w", initializer=2.0), 2, axis=1, name="parts")
        tf.add(first, second, name="y")
        tf.reduce_sum(v1.summary.histogram("unrelated", tf.square(x, name="aside")).shape, name="z")
        made = v1.Session()
        made.run(v1.global_variables_initializer())
    return made


def plain_graph() -> Any:
    """The same graph, its variable a constant."""
    tf = pytest.importorskip("tensorflow")
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [None, 2], name="x")
        first, second = tf.split(x * 2.0, 2, axis=1, name="parts")
        tf.add(first, second, name="y")
        tf.reduce_sum(tf.cast(tf.shape(tf.square(x, name="aside")), tf.float32), name="z")
    return graph.as_graph_def()


def run(result: Any, **inputs: Any) -> Any:
    return result.part(Part.FUNCTION)(None)(inputs)


@pytest.mark.parametrize("form", ["session", "graph"])
def test_any_tensor_can_be_an_end(session: Any, form: str) -> None:
    # "aside" is no part of what is proposed, and "parts" ends in two tensors.
    source = session if form == "session" else plain_graph()
    result = freeze(source, outputs=["aside", "parts:1"])
    np.testing.assert_allclose(run(result, x=X)["aside"], X**2)
    np.testing.assert_allclose(run(result, x=X)["parts:1"], X[:, 1:] * 2)


def test_two_outputs_of_one_node_are_two(session: Any) -> None:
    result = freeze(session, outputs=["parts:0", "parts:1"])
    found = run(result, x=X)
    np.testing.assert_allclose(np.hstack([found["parts"], found["parts:1"]]), X * 2)


def test_tensors_themselves_and_keys_of_ones_own(session: Any, tmp_path: Any) -> None:
    graph = session.graph
    result = freeze(
        session, inputs={"given": graph.get_tensor_by_name("x:0")}, outputs={"wanted": graph.get_tensor_by_name("y:0")}
    )
    np.testing.assert_allclose(run(result, given=X)["wanted"], 2 * X.sum(1, keepdims=True), atol=1e-6)
    inner = freeze(session, inputs=[graph.get_tensor_by_name("parts:0"), "parts:1"], outputs="y")
    assert run(inner, **{"parts": [[1]], "parts:1": [[2]]})["y"] == [[3]]
    done = export(
        session,
        tmp_path / "m",
        signatures={
            "one": {"outputs": {"a": "aside"}},
            "two": {"inputs": ["x"], "outputs": ["y"], "method": "classify"},
        },
    )
    assert done.verification["output"].tolist() == ["one/a", "two/y"]
    assert done.verification["equal"].all()


def test_wrong_names_get_the_nearest(session: Any) -> None:
    with pytest.raises(errors.UnknownNameError, match="did you mean 'aside'"):
        freeze(session, outputs=["asid"])
    with pytest.raises(errors.ConversionError, match="no output is named"):
        freeze(session, outputs=[])
    with pytest.raises(errors.ConversionError, match="has no key; give it one"):
        freeze(session, outputs={"": "aside"})


@pytest.mark.parametrize("key", ["", "__saved_model_init_op"])
def test_a_key_that_no_signature_may_have_is_refused(session: Any, tmp_path: Path, key: str) -> None:
    ends = {"inputs": ["x"], "outputs": ["aside"]}
    for options in ({"signature": key, **ends}, {"signatures": {key: ends}}):
        with pytest.raises(errors.ConversionError, match="is no key for a signature"):
            export(session, tmp_path / "made", **options)
    assert list(tmp_path.iterdir()) == []


def test_names_are_taken_in_every_way() -> None:
    assert conversion_options.named(None) is None
    assert conversion_options.named("a:0") == {"a": "a:0"}
    assert conversion_options.named(["a", "b:1"]) == {"a": "a", "b:1": "b:1"}
    assert conversion_options.named({"k": "a"}) == {"k": "a"}
    for wrong in (3, {3: "a"}):
        with pytest.raises(errors.ConversionError, match="in a list or under the keys"):
            conversion_options.named(wrong)  # type: ignore[arg-type]
