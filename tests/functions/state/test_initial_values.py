"""Variables whose values no checkpoint has: what initialises the graph gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tfmagic import errors
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.tensorflow


def _write(tf: Any, path: Path, initial: Any, *, resource: bool, form: str) -> None:
    """Write ``y = x * w + offset``; the offset is local, and computed from ``w``, whose stored value is 3."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None], "x")
        weight = v1.get_variable("w", initializer=np.float32(1), use_resource=resource)
        offset = v1.Variable(
            initial(weight), collections=["local_variables"], trainable=False, name="offset", use_resource=resource
        )
        y = tf.add(x * weight, offset, "y")
        session.run(v1.global_variables_initializer())
        session.run(v1.assign(weight, 3.0))
        if form == "meta_graph":
            v1.train.Saver().save(session, str(path))
            return
        builder = v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {"serving_default": v1.saved_model.predict_signature_def({"x": x}, {"y": y})},
            main_op=v1.local_variables_initializer(),
        )
        builder.save()


@pytest.mark.parametrize("resource", [False, True])
@pytest.mark.parametrize("form", ["saved_model", "meta_graph"])
def test_it_is_computed_as_a_loader_would(tmp_path: Path, form: str, resource: bool) -> None:  # noqa: FBT001 - a parameter
    tf = runtime.tensorflow()
    source = tmp_path / "source"
    _write(tf, source, lambda weight: weight.read_value() + 10.0, resource=resource, form=form)
    ends: dict[str, Any] = {"inputs": ["x"], "outputs": ["y"]}
    frozen = tfmagic.freeze(source, **ends, output=tmp_path / "m.pb")
    tfmagic.export(source, tmp_path / "saved", **ends)
    for result in (source, frozen, tmp_path / "m.pb", tmp_path / "saved"):
        np.testing.assert_array_equal(tfmagic.run(result, {"x": [2.0]}, outputs=["y"]).outputs["y"], [3 * 2 + 3 + 10])


def test_what_is_drawn_anew_at_each_start_is_named(tmp_path: Path) -> None:
    tf = runtime.tensorflow()
    source = tmp_path / "source"
    _write(tf, source, lambda _: tf.random.normal([]), resource=True, form="saved_model")
    with pytest.raises(errors.ConversionError, match=r"no value for the variable 'offset'.*is drawn anew"):
        tfmagic.freeze(source)


@pytest.mark.parametrize("verb", ["freeze", "export"])
def test_a_load_that_left_no_values_behind_is_told(tmp_path: Path, verb: str) -> None:
    tf: Any = runtime.tensorflow()
    module = tf.Module()
    module.scale = tf.Variable([1.0, 2.0], name="scale")
    module.f = tf.function(lambda x: x * module.scale, input_signature=[tf.TensorSpec([2])])
    tf.saved_model.save(module, str(tmp_path / "m"))
    options = tf.saved_model.LoadOptions(experimental_skip_checkpoint=True)
    loaded = tf.saved_model.load(str(tmp_path / "m"), options=options)
    with pytest.raises(errors.ConversionError, match=r"'scale' of shape \(2,\) has no value"):
        tfmagic.export(loaded.f, tmp_path / "e") if verb == "export" else tfmagic.freeze(loaded.f)
    assert [each.name for each in tmp_path.iterdir()] == ["m"]
