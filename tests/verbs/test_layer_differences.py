"""Keras models are compared by their layers: by arguments, and by what these take from one another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import tfmagic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.tensorflow


def two_branches(keras: Any, wired: Callable[[Any, Any], dict[str, Any]]) -> Any:
    """Return a model of two dense layers with the same weights whenever it is made, and what is made of them."""
    keras.utils.clear_session()
    start = keras.Input((4,), name="start")
    layers = [keras.layers.Dense(4, name=name, kernel_initializer="ones") for name in ("left", "right")]
    return keras.Model(start, wired(*(layer(start) for layer in layers)))


def difference(keras: Any, left: Any, right: Any) -> dict[str, Any]:
    return {"out": keras.layers.Subtract(name="minus")([left, right])}


def pair(keras: Any, left: Any, right: Any) -> dict[str, Any]:
    return {"a": keras.layers.ReLU(name="one")(left), "b": keras.layers.Softmax(name="other")(right)}


def scaled(factor: float) -> Callable[[Any, Any, Any], dict[str, Any]]:
    return lambda keras, left, right: {"out": keras.ops.multiply(left, factor) + right}


@pytest.mark.parametrize(
    ("own", "other", "rows"),
    [
        (
            difference,
            lambda keras, left, right: difference(keras, right, left),
            [("layer", "minus, inputs", "left, right", "right, left")],
        ),
        (
            pair,
            lambda keras, left, right: dict(zip("ba", pair(keras, left, right).values(), strict=True)),
            [("layer", "output 'a'", "one", "other"), ("layer", "output 'b'", "other", "one")],
        ),
        (scaled(2.0), scaled(3.0), [("layer", "multiply, inputs", "left, 2.0", "left, 3.0")]),
    ],
    ids=["inputs", "outputs", "constants"],
)
def test_the_same_layers_wired_otherwise_are_not_equal(
    tf: Any, tmp_path: Path, own: Any, other: Any, rows: list[tuple[str, ...]]
) -> None:
    del tf
    import keras  # noqa: PLC0415

    models = [two_branches(keras, lambda *ends, wired=wired: wired(keras, *ends)) for wired in (own, other)]
    for name, model in zip("ab", models, strict=True):
        model.save(tmp_path / f"{name}.keras")
    for second in (tmp_path / "b.keras", models[1]):
        found = tfmagic.diff(tmp_path / "a.keras", second)
        assert not found.equal
        assert sorted(found.table[["what", "where", "a", "b"]].itertuples(index=False, name=None)) == rows
    assert tfmagic.diff(tmp_path / "a.keras", models[0]).equal


def test_a_layer_that_is_called_twice_and_one_within_a_model_are_told_apart(tf: Any, tmp_path: Path) -> None:
    del tf
    import keras  # noqa: PLC0415

    def twice(*, crossed: bool) -> Any:
        keras.utils.clear_session()
        inner_input = keras.Input((4,), name="inner_input")
        both = (
            keras.layers.Dense(4, name="p", kernel_initializer="ones")(inner_input),
            keras.layers.ReLU(name="r")(inner_input),
        )
        inner = keras.Model(inner_input, both[::-1] if crossed else both, name="inner")
        first, second = (keras.Input((4,), name=name) for name in ("first", "second"))
        parts = *inner(first), *inner(second)
        return keras.Model([first, second], keras.layers.Concatenate(name="all")(parts))

    for name, crossed in (("a", False), ("b", True)):
        twice(crossed=crossed).save(tmp_path / f"{name}.keras")
    found = tfmagic.diff(tmp_path / "a.keras", tmp_path / "b.keras")
    assert found.table[["where", "a", "b"]].to_numpy().tolist() == [
        ["inner, its inputs and outputs", "inner/inner_input, inner/p, inner/r", "inner/inner_input, inner/r, inner/p"]
    ]
    structure = tfmagic.inspect(tmp_path / "a.keras").layer_wiring
    assert structure is not None
    assert [each.text for each in structure.calls["all"]] == [
        "inner, call 0", "inner, call 0, output 1", "inner, call 1", "inner, call 1, output 1",
    ]  # fmt: skip


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".ckpt", ""])
def test_a_generator_that_no_result_draws_from_leaves_two_models_equal(tf: Any, tmp_path: Path, suffix: str) -> None:
    del tf
    import keras  # noqa: PLC0415

    def model() -> Any:
        keras.utils.clear_session()
        given = keras.Input((4,), name="x")
        dense = keras.layers.Dense(2, kernel_initializer="ones", name="dense")
        return keras.Model(given, keras.layers.Dropout(0.5, name="drop")(dense(given)))

    first, path = model(), tmp_path / f"model{suffix}"
    tfmagic.export(first, path, verify=False)
    for other in (model(), path):
        found = tfmagic.diff(first, other)
        assert found.equal, found.table.to_string()
        assert set(found.table["what"]) <= {"unused weight", "renamed"}
    first.get_layer("dense").kernel.assign_add([[1, 0]] * 4)
    assert not tfmagic.diff(first, path).equal


def test_vocabularies_that_layers_have_learned_are_compared(tf: Any, tmp_path: Path) -> None:
    del tf
    import keras  # noqa: PLC0415

    def learned(*words: str) -> Any:
        keras.utils.clear_session()
        given, text = keras.Input((1,), name="x", dtype="string"), keras.Input((1,), name="text", dtype="string")
        ids, tokens = keras.layers.StringLookup(name="ids"), keras.layers.TextVectorization(name="tokens")
        ids.adapt(list(words))
        tokens.adapt([" ".join(words)])
        inner = keras.Model(given, ids(given), name="inner")
        return keras.Model([given, text], [inner(given), tokens(text)])

    models = [learned("a", "a", "b"), learned("b", "a", "a"), learned("b", "b", "a"), learned(*map(str, range(999)))]
    for place, model in enumerate(models):
        model.save(tmp_path / f"{place}.keras")
    files = [tmp_path / f"{place}.keras" for place in range(4)]
    for own in (files, models):
        assert tfmagic.diff(own[0], files[1]).equal
        found = tfmagic.diff(own[0], files[2]).table
        assert found["where"].tolist() == ["inner/ids, vocabulary", "tokens, vocabulary"], found.to_string()
        assert found[["a", "b"]].iloc[0].tolist() == ["[[UNK], a, b]", "[[UNK], b, a]"]
    # Texts that are equal as far as they are shown are told apart by numbers.
    tokens = models[3].get_layer("tokens")
    tokens.set_vocabulary([*tokens.get_vocabulary()[2:-1], "other"])
    (row,) = tfmagic.diff(models[3], files[3]).table[["a", "b"]].to_numpy().tolist()
    assert row == ["1,001 values", "1,001 values, 1 differs"]


def test_what_training_goes_on_with_leaves_two_files_equal(tf: Any, tmp_path: Path) -> None:
    del tf
    import keras  # noqa: PLC0415

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.save(tmp_path / "without.keras")
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / "with.keras")
    found = tfmagic.diff(tmp_path / "with.keras", tmp_path / "without.keras")
    assert found.equal
    assert set(found.table["what"]) == {"unused weight"}


@pytest.mark.corpus
@pytest.mark.parametrize(
    "item", ["cnn2d_44.h5", "cnn3d_18.h5", "issue_9349.hdf5", "../examples/gans/wgan_discriminator.h5"]
)
def test_a_file_of_keras_2_equals_what_keras_3_makes_of_it(tf: Any, corpus: Path, tmp_path: Path, item: str) -> None:
    del tf
    source = corpus / "KonduitAI__dl4j-test-resources/src/main/resources/modelimport/keras/tfkeras" / item
    tfmagic.export(source, tmp_path / "again.keras", verify=False)
    found = tfmagic.diff(source, tmp_path / "again.keras")
    assert found.equal, found.table
