from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tfmagic import errors, functions, progress
from tfmagic.runtime import tensorflow as runtime
from tfmagic.verbs.verification import trial_inputs, trial_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tfmagic.functions import NamedFunction


def traced(function: Callable[..., Any], *specs: Any) -> NamedFunction:
    tf = runtime.tensorflow()
    concrete = tf.function(function, autograph=False).get_concrete_function(*specs)
    return functions.of_concrete(concrete, "serving_default")


def spec(*shape: int | None, dtype: str = "float32", name: str = "x") -> Any:
    return runtime.tensorflow().TensorSpec(shape, dtype, name=name)


@pytest.mark.tensorflow
def test_the_first_size_that_the_source_accepts_counts() -> None:
    tf = runtime.tensorflow()
    source = traced(lambda x: {"y": tf.reshape(x, [-1, 5, 3])}, spec(None, None))
    seen = []

    def result(inputs: Any) -> Any:
        seen.append(inputs["x"].shape)
        return source(inputs)

    assert not trial_run.verify(source, result).differs
    assert seen == [(1, 300)]


def pooled(*shape: int | None) -> NamedFunction:
    """Return a function of images that takes them in all sizes, and states one."""
    tf = runtime.tensorflow()
    return traced(lambda x: {"y": tf.reduce_mean(tf.nn.relu(x), axis=[1, 2])}, spec(*shape))


@pytest.mark.tensorflow
@pytest.mark.parametrize("shape", [(None, 224, 224, 3), (2, 3, 224, 224)])
def test_images_may_be_smaller_than_stated(shape: tuple[int | None, ...]) -> None:
    source = pooled(*shape)
    assert trial_run.verify(source, source, quickly=True).frame.attrs["inputs"] == trial_inputs.SMALLER
    assert trial_run.verify(source, source).frame.attrs["inputs"] == trial_inputs.DRAWN
    values = {"x": np.ones([2 if size is None else size for size in shape])}
    assert trial_run.verify(source, source, values, quickly=True).frame.attrs["inputs"] == trial_inputs.GIVEN
    wrong = traced(lambda x: {"y": source.on_tensors({"x": x})["y"][:, ::-1]}, spec(*shape))
    assert trial_run.verify(source, wrong, quickly=True).differs


@pytest.mark.tensorflow
def test_what_smaller_images_do_not_settle_the_stated_ones_do() -> None:
    tf = runtime.tensorflow()
    shape = (None, 128, 128, 3)
    fixed = traced(lambda x: {"y": tf.reshape(x, [-1, 128 * 128 * 3])[:, :9]}, spec(*shape))
    found = trial_run.verify(fixed, fixed, quickly=True)
    assert found.frame["equal"].tolist() == [True]
    assert found.frame.attrs["inputs"] == trial_inputs.DRAWN
    # One that is another function for sizes that nobody promised.
    source = pooled(*shape)
    other = traced(lambda x: {"y": tf.reduce_sum(tf.nn.relu(x), axis=[1, 2]) / 128**2}, spec(*shape))
    found = trial_run.verify(source, other, quickly=True)
    assert found.frame["equal"].tolist() == [True]
    assert found.frame.attrs["inputs"] == trial_inputs.DRAWN


@pytest.mark.tensorflow
def test_an_unknown_rank_is_tried() -> None:
    tf = runtime.tensorflow()
    source = traced(lambda x: {"y": tf.nn.conv2d(x, tf.ones([1, 1, 8, 1]), 1, "SAME")}, tf.TensorSpec(None, name="x"))
    found = trial_run.verify(source, source)
    assert not found.unchecked
    assert found.frame["equal"].tolist() == [True]


@pytest.mark.tensorflow
def test_texts_that_are_numbers_are_tried() -> None:
    tf = runtime.tensorflow()
    source = traced(lambda x: {"y": tf.strings.to_number(x)}, spec(None, dtype="string"))
    assert not trial_run.verify(source, source).unchecked


@pytest.mark.tensorflow
def test_parsed_examples_are_tried() -> None:
    tf = runtime.tensorflow()
    features = {"a": tf.io.FixedLenFeature([], tf.float32, 0.5)}
    source = traced(lambda x: tf.io.parse_example(x, features), spec(None, dtype="string"))
    assert not trial_run.verify(source, source).unchecked


@pytest.mark.tensorflow
def test_what_could_not_be_checked_says_why() -> None:
    tf = runtime.tensorflow()
    source = traced(lambda wav: {"y": tf.audio.decode_wav(wav)[0]}, spec(dtype="string", name="wav"))
    found = trial_run.verify(source, source)
    assert "refused all generated inputs" in found.unchecked
    assert "wav=EXPR" in found.unchecked
    assert not found.differs
    assert found.frame["output"].tolist() == ["y"]
    assert found.frame["equal"].tolist() == [None]


@pytest.mark.tensorflow
def test_inputs_of_the_users_own() -> None:
    tf = runtime.tensorflow()
    source = traced(lambda png: {"y": tf.io.decode_png(png)}, spec(dtype="string", name="png"))
    image = tf.io.encode_png(tf.zeros([2, 2, 3], tf.uint8)).numpy()
    assert trial_run.verify(source, source, {"png": image}).frame["equal"].tolist() == [True]
    with pytest.raises(errors.ConversionError, match="does not run on the inputs given"):
        trial_run.verify(source, source, {"png": b"no image"})
    with pytest.raises(errors.UnknownNameError, match="did you mean 'png'"):
        trial_run.verify(source, source, {"pgn": image})


@pytest.mark.tensorflow
def test_random_graphs_are_checked_on_equal_seeds() -> None:
    tf = runtime.tensorflow()

    def noisy(factor: float) -> NamedFunction:
        return traced(lambda x: {"y": x + factor * tf.random.uniform([2])}, spec(2))

    verification = trial_run.verify(noisy(1.0), noisy(1.0))
    assert not verification.unchecked
    assert verification.frame["equal"].tolist() == [True]
    assert trial_run.verify(noisy(1.0), noisy(2.0)).differs


@pytest.mark.tensorflow
def test_what_no_seed_makes_the_same_is_not_called_wrong() -> None:
    tf = runtime.tensorflow()
    uniform = traced(lambda x: {"y": x + tf.random.uniform([2])}, spec(2))
    normal = traced(lambda x: {"y": x + tf.random.normal([2])}, spec(2))
    plain = traced(lambda x: {"y": x * 1.0}, spec(2))
    runners: list[tuple[NamedFunction, Any]] = [(uniform, normal), (uniform, plain), (uniform, uniform.__call__)]
    for source, result in runners:
        verification = trial_run.verify(source, result)
        assert "draws at random" in verification.unchecked
        assert not verification.differs
    drawn = iter(range(10))
    assert "draws at random" in trial_run.verify(plain, lambda _: {"y": np.full(2, next(drawn), np.float32)}).unchecked


@pytest.mark.tensorflow
def test_an_output_that_tells_nothing_is_not_verified() -> None:
    tf = runtime.tensorflow()
    source = traced(lambda x: {"nan": tf.math.log(-1.0 - tf.abs(x)), "y": x, "few": x[x > 900.0]}, spec(None))
    verification = trial_run.verify(source, source)
    assert not verification.differs
    assert verification.frame["equal"].tolist() == [None, True, None]
    assert "'nan', 'few'" in verification.reservation
    wrong = traced(lambda x: {"nan": x, "y": x, "few": x[x > 900.0]}, spec(None))
    assert trial_run.verify(source, wrong).differs


@pytest.mark.tensorflow
def test_what_no_inputs_change_is_verified_whatever_it_is() -> None:
    tf = runtime.tensorflow()

    def constant(value: float, count: int) -> dict[str, Any]:
        return {"y": tf.math.log(tf.constant([value])), "none": tf.zeros([count])}

    source = traced(lambda: constant(-1.0, 0))
    verification = trial_run.verify(source, traced(lambda: constant(-1.0, 0)))
    assert verification.frame["equal"].tolist() == [True, True]
    assert not verification.reservation
    assert trial_run.verify(source, traced(lambda: constant(1.0, 0))).differs
    assert trial_run.verify(source, traced(lambda: constant(-1.0, 2))).differs
    for body, shape in ((lambda x: x / 0.0, (0, 3)), (lambda x: x[:, :0], (None, 3))):
        empty = traced(lambda x, body=body: {"y": body(x)}, spec(*shape))
        assert trial_run.verify(empty, empty).frame["equal"].tolist() == [True]


@pytest.mark.tensorflow
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (lambda tf, x: tf.identity(x), "drawn from [0, 1)"),
        (lambda tf, x: tf.where(x == 0.0, x, tf.math.log(-tf.ones_like(x))), "zeros"),
        (lambda tf, x: tf.where(tf.reduce_all(x == 1.0), x, tf.math.log(-tf.ones_like(x))), "ones"),
        (lambda tf, x: tf.boolean_mask(x, x < -1.0), "the dtype's usual range"),
        (lambda tf, x: tf.identity(x[16:]), "larger sizes"),
    ],
)
def test_inputs_on_which_outputs_tell_are_looked_for(body: Any, kind: str) -> None:
    tf = runtime.tensorflow()
    source = traced(lambda x: {"y": body(tf, x)}, spec(None))
    verification = trial_run.verify(source, source)
    assert verification.frame["equal"].tolist() == [True]
    assert verification.frame.attrs["inputs"] == kind


@pytest.mark.tensorflow
def test_models_that_parse_get_an_example() -> None:
    tf = runtime.tensorflow()
    features = {
        "dense": tf.io.FixedLenFeature([3], tf.float32),
        "word": tf.io.FixedLenFeature([], tf.string),
        "ids": tf.io.VarLenFeature(tf.int64),
        "rows": tf.io.RaggedFeature(tf.float32),
    }

    def parsed(values: dict[str, Any]) -> dict[str, Any]:
        return {
            "dense": values["dense"],
            "word": values["word"],
            "ids": values["ids"].values,
            "rows": values["rows"].values,
        }

    many = traced(lambda x: parsed(tf.io.parse_example(x, features)), spec(None, dtype="string"))
    single = {key: features[key] for key in ("dense", "word")}
    one = traced(lambda x: tf.io.parse_single_example(x, single), spec(dtype="string"))
    old = traced(
        lambda x: {"dense": tf.raw_ops.ParseExample(
            serialized=x, names=[], sparse_keys=[], dense_keys=["dense"], dense_defaults=[tf.constant([], tf.float32)],
            sparse_types=[], dense_shapes=[[3]],
        ).dense_values[0]},
        spec(None, dtype="string"),
    )  # fmt: skip
    for source in (many, one, old):
        verification = trial_run.verify(source, source)
        assert not verification.reservation
        assert verification.frame.attrs["inputs"] == "a serialised Example"


@pytest.mark.tensorflow
def test_what_is_given_is_completed_and_said() -> None:
    source = traced(lambda x, z: {"y": x + z}, spec(2), spec(2, name="z"))
    frame = trial_run.verify(source, source, {"x": [1.0, 2.0]}).frame
    assert frame.attrs["inputs"] == "given, and drawn from [0, 1)"
    assert trial_run.verify(source, source, {"x": [1, 2], "z": [3, 4]}).frame.attrs["inputs"] == "given"


@pytest.mark.tensorflow
@pytest.mark.parametrize("dtype", ["complex64", "float16", "bfloat16", "float64", "int8", "uint16", "bool", "string"])
def test_every_dtype_is_made_and_compared(dtype: str) -> None:
    tf = runtime.tensorflow()
    source = traced(lambda x: {"y": tf.identity(x), "empty": x[:0]}, tf.TensorSpec([None, 0, 2], dtype, "x"))
    assert trial_run.verify(source, source).frame["equal"].tolist() == [True, True]
    source = traced(lambda x: {"y": tf.identity(x)}, tf.TensorSpec(None, dtype, "x"))
    assert trial_run.verify(source, source).frame["equal"].tolist() == [True]


@pytest.mark.tensorflow
def test_mixed_precision_has_the_tolerance_of_what_comes_out() -> None:
    tf = runtime.tensorflow()
    weight = tf.Variable(tf.random.stateless_normal([8, 8], [1, 2]))
    half = traced(
        lambda x: {"y": tf.cast(tf.cast(x, tf.float16) @ tf.cast(weight, tf.float16), tf.float32)}, spec(None, 8)
    )
    assert not trial_run.verify(half, half).differs
    full = traced(lambda x: {"y": x @ weight}, spec(None, 8))
    assert trial_run.verify(full, half).differs


@pytest.mark.tensorflow
def test_variables_are_as_before() -> None:
    tf = runtime.tensorflow()
    count = tf.Variable(0.0)
    source = traced(lambda x: {"y": x * 0 + count.assign_add(1.0)}, spec(2))
    trial_run.verify(source, source)
    assert float(count.numpy()) == 0.0


@pytest.mark.tensorflow
def test_a_model_with_state_is_checked_from_where_it_stands() -> None:
    """A stateful layer gives other numbers at each call: that is no chance, and does not leave it unchecked."""
    tf = runtime.tensorflow()

    def counting(start: float, by: float) -> NamedFunction:
        count = tf.Variable(start)
        return traced(lambda x: {"y": x + count.assign_add(by)}, spec(2))

    source = counting(5.0, 1.0)
    for same in (source, counting(5.0, 1.0)):
        found = trial_run.verify(source, same)
        assert not found.unchecked
        assert not found.differs
    assert trial_run.verify(source, counting(0.0, 1.0)).differs
    assert trial_run.verify(source, counting(5.0, 2.0)).differs


@pytest.mark.tensorflow
def test_a_wrong_result_differs() -> None:
    source = traced(lambda x: {"y": x * 2, "z": x + 1}, spec(None, 2))
    wrong = traced(lambda x: {"y": x * 2, "z": x + 1.01}, spec(None, 2))
    found = trial_run.verify(source, wrong)
    assert found.differs
    assert found.frame["equal"].tolist() == [True, False]


@pytest.mark.tensorflow
def test_a_result_that_does_not_run_is_an_error() -> None:
    tf = runtime.tensorflow()
    source = traced(lambda x: {"y": x * 2}, spec(None, 2))
    broken = traced(lambda x: {"y": tf.reshape(x, [7, 7])}, spec(None, None))
    with pytest.raises(errors.ConversionError, match=r"does not run on inputs of shapes \{'x': \(2, 2\)\}") as caught:
        trial_run.verify(source, broken)
    assert caught.value.__cause__ is not None


@pytest.mark.tensorflow
def test_the_result_is_not_blamed_where_the_source_does_not_run_either() -> None:
    tf = runtime.tensorflow()
    uses = [0]

    def used_up(value: Any) -> Any:
        uses[0] += 1
        if uses[0] > 1:
            raise ValueError("used up")
        return value

    source = traced(lambda x: {"y": tf.ensure_shape(tf.numpy_function(used_up, [x], tf.float32), [2])}, spec(2))
    with pytest.raises(errors.ConversionError, match=r"^the first model does not run on the inputs given: .*used up"):
        trial_run.verify(source, source, {"x": [1.0, 2.0]}, ("the first model", "the second model"))


@pytest.mark.tensorflow
def test_a_loop_that_never_ends_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    tf = runtime.tensorflow()
    monkeypatch.setattr(trial_run, "LIMIT", 0.5)
    source = traced(lambda x: {"y": tf.while_loop(lambda y: y[0] < 2.0, lambda y: (y * 1.0,), (x,))[0]}, spec(2))
    found = trial_run.verify(source, source)
    assert "took longer than" in found.unchecked


def endless(tf: Any, x: Any) -> Any:
    return tf.while_loop(lambda y: y[0] < 2.0, lambda y: (y * 1.0,), (x,))[0]


@pytest.mark.tensorflow
def test_a_result_that_takes_too_long_is_not_called_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    tf = runtime.tensorflow()
    monkeypatch.setattr(trial_run, "LIMIT", 0.5)
    source = traced(lambda x: {"y": x * 1.0}, spec(2))
    result = traced(lambda x: {"y": endless(tf, x)}, spec(2))
    begun = time.monotonic()
    found = trial_run.verify(source, result)
    assert time.monotonic() - begun < trial_run._PATIENCE
    assert "the result was not compared: a run took longer than " in found.unchecked
    assert not found.differs


@pytest.mark.tensorflow
def test_a_result_gets_longer_the_longer_the_source_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    tf = runtime.tensorflow()
    monkeypatch.setattr(trial_run, "LIMIT", 2.0)

    def slow(seconds: float) -> Any:
        def wait(value: Any) -> Any:
            time.sleep(seconds)
            return value

        return traced(lambda x: {"y": tf.ensure_shape(tf.numpy_function(wait, [x], tf.float32), [2])}, spec(2))

    assert not trial_run.verify(slow(0.5), slow(3.0), {"x": [1.0, 2.0]}).unchecked


@pytest.mark.tensorflow
def test_who_watches_may_stop_a_run_in_its_middle() -> None:
    tf = runtime.tensorflow()
    source = traced(lambda x: {"y": endless(tf, x)}, spec(2))
    watch = progress.Watch(lambda _: None)
    timer = threading.Timer(0.5, watch.cancel)
    timer.start()
    with pytest.raises(progress.CancelledError), progress.watched(watch):
        trial_run.verify(source, source)


@pytest.mark.tensorflow
@pytest.mark.parametrize("shape", [(), (None,), None])
@pytest.mark.parametrize("encoded", [False, True])
def test_models_that_read_pictures_get_one(shape: Any, *, encoded: bool) -> None:
    tf = runtime.tensorflow()

    def decoded(image: Any) -> Any:
        image = tf.io.decode_base64(image) if encoded else image
        return tf.reshape(tf.io.decode_png(tf.reshape(image, [-1])[0]), [28, 28])

    source = traced(lambda image: {"pixels": decoded(image)}, tf.TensorSpec(shape, tf.string, name="image"))
    found = trial_run.verify(source, source)
    assert not found.unchecked
    assert found.frame["equal"].tolist() == [True]
