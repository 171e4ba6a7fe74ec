"""Any keys, in any order, on every path: each comes out with its own tensor, or is refused by its name.

The model scales each of its inputs by another factor, so that whatever mixes them up gives other numbers. It begins as
a graph of TensorFlow 1, whose ends can have any key, or as a function that takes a dict.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import tfmagic
from tests.keys import key_lists
from tfmagic import errors
from tfmagic.graphs.signature_keys import require_arguments

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.tensorflow

#: Each example writes and loads models, so that few are tried; the same in every run.
_few = settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class Keyed:
    """Keys of inputs and outputs, and what each output is of the values given."""

    def __init__(self, inputs: list[str], outputs: list[str]) -> None:
        self.inputs, self.outputs = inputs, outputs[: len(inputs)]
        self.given = {key: np.array([place + 1.0, -place], np.float32) for place, key in enumerate(inputs)}

    def __repr__(self) -> str:
        return f"Keyed({self.inputs!r}, {self.outputs!r})"

    @property
    def expected(self) -> dict[str, np.ndarray]:
        scaled = [self.given[key] * 10.0**place for place, key in enumerate(self.inputs)]
        return dict(zip(self.outputs, scaled, strict=False))

    def check(self, found: Mapping[str, Any], names: Mapping[str, str] | None = None) -> None:
        """Compare outputs, by other names if the keys have such."""
        called = names or {}
        wanted = {called.get(key, key): value for key, value in self.expected.items()}
        assert set(found) == set(wanted)
        for key, value in wanted.items():
            np.testing.assert_allclose(found[key], value, rtol=1e-6, err_msg=key)

    def refused(self) -> str:
        """Return the words with which TensorFlow 2 cannot have these keys of inputs, nothing if it can."""
        try:
            require_arguments(self.inputs)
        except errors.ConversionError as error:
            return str(error)
        return ""


@st.composite
def keyed(draw: Any) -> Keyed:
    """Keys for both sides, which may share some."""
    inputs = draw(key_lists())
    outputs = draw(st.permutations(draw(key_lists()) + inputs))
    return Keyed(inputs, list(dict.fromkeys(outputs)))


def _session(tf: Any, keys: Keyed) -> tuple[Any, dict[str, Any]]:
    """Return a session of TensorFlow 1, and the ends that an export takes."""
    graph = tf.Graph()
    with graph.as_default():
        given = [tf.compat.v1.placeholder(tf.float32, [None], f"given{place}") for place, _ in enumerate(keys.inputs)]
        found = [tf.multiply(each, 10.0**place, name=f"scaled{place}") for place, each in enumerate(given)]
    session = tf.compat.v1.Session(graph=graph)
    return session, {
        "inputs": dict(zip(keys.inputs, given, strict=True)),
        "outputs": dict(zip(keys.outputs, found, strict=False)),
    }


def _saved(tf: Any, keys: Keyed, place: Path) -> bool:
    """Export to a SavedModel; where TensorFlow 2 cannot have a key, see that it is refused by its name."""
    session, ends = _session(tf, keys)
    if keys.refused():
        with pytest.raises(errors.ConversionError) as caught:
            tfmagic.export(session, place, **ends)
        assert any(repr(key) in str(caught.value) for key in keys.inputs)
        assert not place.exists()
        return False
    tfmagic.export(session, place, **ends, overwrite=True)
    return True


@_few
@given(keys=keyed())
def test_a_saved_model(tf: Any, keys: Keyed) -> None:
    """It is run, loaded by both of TensorFlow's loaders, frozen, exported again, signed, compared."""
    with tempfile.TemporaryDirectory() as place:
        saved = Path(place) / "saved"
        if not _saved(tf, keys, saved):
            return
        keys.check(tfmagic.run(saved, keys.given).outputs)
        keys.check(_by_signature_def(tf, saved, keys))
        loaded = tf.saved_model.load(str(saved))
        keys.check(tfmagic.run(loaded, keys.given).outputs)
        keys.check(tfmagic.run(loaded.signatures["serving_default"], keys.given).outputs)
        if "self" not in keys.inputs:
            tensors = {key: tf.constant(value) for key, value in keys.given.items()}
            keys.check(loaded.signatures["serving_default"](**tensors))
        frozen = tfmagic.freeze(saved)
        assert set(frozen.signatures["key"]) == {*keys.inputs, *keys.outputs}
        keys.check(tfmagic.run(frozen, keys.given).outputs)
        tfmagic.export(loaded, Path(place) / "again")
        keys.check(tfmagic.run(Path(place) / "again", keys.given).outputs)
        assert all(tfmagic.verify(saved, frozen)["equal"])


def _by_signature_def(tf: Any, saved: Path, keys: Keyed) -> dict[str, Any]:
    """Run as TensorFlow 1 and servers do."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        signature = v1.saved_model.load(session, ["serve"], str(saved)).signature_def["serving_default"]
        fetches = {key: info.name for key, info in signature.outputs.items()}
        feeds = {signature.inputs[key].name: value for key, value in keys.given.items()}
        return dict(session.run(fetches, feeds))


@_few
@given(keys=keyed(), others=keyed())
def test_a_signature_that_is_renamed(tf: Any, keys: Keyed, others: Keyed) -> None:
    others = Keyed(others.inputs[: len(keys.inputs)], others.outputs)
    keys = Keyed(keys.inputs[: len(others.inputs)], keys.outputs)
    renamed = {
        "inputs": dict(zip(others.inputs, keys.inputs, strict=True)),
        "outputs": dict(zip(others.outputs, keys.outputs, strict=False)),
    }
    with tempfile.TemporaryDirectory() as place:
        saved = Path(place) / "saved"
        if not _saved(tf, keys, saved):
            return
        if others.refused():
            with pytest.raises(errors.ConversionError, match="TensorFlow 2"):
                tfmagic.sign(saved, Path(place) / "signed", signatures={"serving_default": renamed})
            return
        tfmagic.sign(saved, Path(place) / "signed", signatures={"serving_default": renamed})
        Keyed(others.inputs, others.outputs[: len(keys.outputs)]).check(
            tfmagic.run(Path(place) / "signed", others.given).outputs
        )


@_few
@given(keys=keyed())
def test_a_frozen_file(tf: Any, keys: Keyed) -> None:
    """Its nodes have the nearest names, which are told."""
    session, ends = _session(tf, keys)
    with tempfile.TemporaryDirectory() as place:
        frozen = tfmagic.freeze(session, **ends, output=Path(place) / "m.pb")
        assert list(frozen.signatures["key"]) == [*sorted(keys.inputs), *sorted(keys.expected)]
        keys.check(tfmagic.run(frozen, keys.given).outputs)
        frame = frozen.signatures
        names = dict(zip(zip(frame["side"], frame["key"], strict=True), map(str, frame["tensor"]), strict=True))
        for (_, key), tensor in names.items():
            assert tensor == f"{key}:0" or f"{key!r} is {tensor.removesuffix(':0')!r}" in " ".join(frozen.notes)
        graph_def = tf.compat.v1.GraphDef.FromString((Path(place) / "m.pb").read_bytes())
        with tf.Graph().as_default(), tf.compat.v1.Session() as other:
            tf.graph_util.import_graph_def(graph_def, name="")
            found = other.run(
                {key: names["output", key] for key in keys.expected},
                {names["input", key]: value for key, value in keys.given.items()},
            )
        keys.check(found)


@_few
@given(keys=keyed())
def test_tflite(tf: Any, keys: Keyed) -> None:
    session, ends = _session(tf, keys)
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "m.tflite"
        tfmagic.export(session, file, **ends)
        signature = tfmagic.inspect(file).signatures
        assert set(signature[signature["side"] == "input"]["key"]) == set(keys.inputs)
        keys.check(tfmagic.run(file, keys.given).outputs)
        # The order is the user's.
        interpreter = tf.lite.Interpreter(str(file))
        assert [each["name"] for each in interpreter.get_input_details()] == keys.inputs


@_few
@given(keys=keyed())
def test_onnx(tf: Any, keys: Keyed) -> None:
    """An output is never called like an input there; the pairs are told."""
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    session, ends = _session(tf, keys)
    with tempfile.TemporaryDirectory() as place:
        done = tfmagic.export(session, Path(place) / "m.onnx", **ends)
        running = runtime.InferenceSession(Path(place) / "m.onnx")
        inputs = [each.name for each in running.get_inputs()]
        outputs = [each.name for each in running.get_outputs()]
        for key, name in zip([*keys.inputs, *keys.expected], [*inputs, *outputs], strict=True):
            assert key == name or f"{key!r} is {name!r}" in " ".join(done.notes)
        found = running.run(outputs, {name: keys.given[key] for key, name in zip(keys.inputs, inputs, strict=True)})
        keys.check(dict(zip(keys.expected, found, strict=True)))


@_few
@given(keys=keyed())
def test_a_function_of_a_dict(tf: Any, keys: Keyed) -> None:
    """Live, it has the user's order and any key."""

    @tf.function  # type: ignore[untyped-decorator]
    def scale(values: Any) -> Any:
        found = [values[key] * 10.0**place for place, key in enumerate(keys.inputs)]
        return dict(zip(keys.outputs, found, strict=False))

    scale({key: tf.constant(value) for key, value in keys.given.items()})
    keys.check(tfmagic.run(scale, keys.given).outputs)
    assert list(tfmagic.run(scale, keys.given).outputs) == list(keys.expected)
    keys.check(tfmagic.run(tfmagic.freeze(scale), keys.given).outputs)
    with tempfile.TemporaryDirectory() as place:
        if keys.refused():
            with pytest.raises(errors.ConversionError, match="TensorFlow 2"):
                tfmagic.export(scale, Path(place) / "m")
        else:
            tfmagic.export(scale, Path(place) / "m")
            keys.check(tfmagic.run(Path(place) / "m", keys.given).outputs)


@_few
@given(keys=keyed(), names=key_lists())
def test_a_merge(tf: Any, keys: Keyed, names: list[str]) -> None:
    """What is connected is connected by its key, the rest keeps its own."""
    session, ends = _session(tf, keys)
    source, target = next(iter(keys.expected)), names[0]
    second = _function(tf, [target])
    joined = tfmagic.merge(tfmagic.freeze(session, **ends), second, connect={source: target})
    inputs = set(joined.signatures[joined.signatures["side"] == "input"]["key"])
    assert inputs == set(keys.inputs)
    found = tfmagic.run(joined, keys.given).outputs
    np.testing.assert_allclose(found["sum"], keys.expected[source] + 1.0)
    for key in list(keys.expected)[1:]:
        np.testing.assert_allclose(found["first_sum" if key == "sum" else key], keys.expected[key])


def _function(tf: Any, keys: list[str]) -> Any:
    """Return a function of a dict with these keys, traced."""
    function = tf.function(lambda values: {"sum": tf.add_n(list(values.values())) + 1.0})
    function({key: tf.constant([0.0, 0.0]) for key in keys})
    return function


def test_keys_of_a_keras_model_that_differ_in_case(tf: Any, tmp_path: Path) -> None:
    """A graph that is traced has no two names that do."""
    keras = tf.keras
    ends = {name: keras.Input((2,), name=name) for name in ("scale", "Scale", "SCALE")}
    low, title, high = ends.values()
    model = keras.Model(ends, {"y": low + 10 * title, "Y": low - high})
    given = {name: np.full((1, 2), number, "f") for number, name in enumerate(ends, 1)}
    for format in ("m", "m.pb", "m.tflite", "m.keras"):
        tfmagic.export(model, tmp_path / format)
        outputs = tfmagic.run(tmp_path / format, given).outputs
        assert {key: value.tolist() for key, value in outputs.items()} == {"y": [[21, 21]], "Y": [[-2, -2]]}
