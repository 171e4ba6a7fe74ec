from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import tfmagic

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.tensorflow


def table(words: str, *, is_mutable: bool = False) -> Any:
    """Make a module that looks up words in a table."""
    import tensorflow as tf  # noqa: PLC0415 - seconds that only who needs it should take

    keys, values = tf.constant(list(words)), tf.range(len(words), dtype=tf.int64)
    if is_mutable:
        held = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -1)
        held.insert(keys, values)
    else:
        held = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), -1)

    class Words(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.held = held

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "x")])  # type: ignore[untyped-decorator]
        def look(self, x: Any) -> Any:
            return {"y": self.held.lookup(x)}

    return Words()


def as_it_is(module: Any, _path: Path) -> Any:
    return module


def saved(module: Any, path: Path) -> Path:
    import tensorflow as tf  # noqa: PLC0415 - as above

    tf.saved_model.save(module, path, signatures={"look": module.look})
    return path


def frozen(module: Any, path: Path) -> Path:
    tfmagic.freeze(module, output=path.with_suffix(".pb"), verify=False)
    return path.with_suffix(".pb")


@pytest.mark.parametrize("second", [as_it_is, saved, frozen])
@pytest.mark.parametrize("first", [as_it_is, saved, frozen])
@pytest.mark.parametrize("is_mutable", [False, True])
def test_tables_are_compared_by_what_they_hold(
    tmp_path: Path, first: Callable[[Any, Path], Any], second: Callable[[Any, Path], Any], *, is_mutable: bool
) -> None:
    a = first(table("ab", is_mutable=is_mutable), tmp_path / "a")
    for words, count in (("ab", 0), ("ba", 2), ("abc", 1)):
        found = tfmagic.diff(a, second(table(words, is_mutable=is_mutable), tmp_path / words))
        rows = found.table[found.table["what"] == "table"]
        # The shape of what a table of this process gives is not known to a live function.
        assert found.equal == (not count) or set(found.table["what"]) == {"signature", "unused weight"}
        assert len(rows) == bool(count), found.table.to_string()
        assert "op" not in set(found.table["what"]), found.table.to_string()
        if count:
            assert rows["a"].tolist() == ["string to int64, 2 entries"]
            told = "2 entries, 2 differ" if count > 1 else "3 entries, 1 differs"
            assert rows["b"].tolist() == [f"string to int64, {told}"]


def test_a_vocabulary_file_is_compared_by_its_lines(tmp_path: Path) -> None:
    import tensorflow as tf  # noqa: PLC0415 - as above

    def exported(name: str, words: str) -> Path:
        # The graphs are the same bytes: the lines of the file alone differ.
        (tmp_path / name).mkdir()
        file = tmp_path / name / "words.txt"
        file.write_text("\n".join(words) + "\n")
        with tf.Graph().as_default() as graph:
            x = tf.compat.v1.placeholder(tf.string, [None], name="x")
            filled = tf.lookup.TextFileInitializer(
                str(file), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
            )
            words_table = tf.lookup.StaticVocabularyTable(filled, 1)
            y = tf.identity(words_table.lookup(x), name="y")
            session = tf.compat.v1.Session(graph=graph)
            session.run(tf.compat.v1.tables_initializer())
        tfmagic.export(session, tmp_path / name / "served", inputs={"x": x}, outputs={"y": y}, verify=False)
        return tmp_path / name / "served"

    a, b, c = exported("a", "vw"), exported("b", "vw"), exported("c", "vu")
    assert tfmagic.diff(a, b).equal
    found = tfmagic.diff(a, c)
    assert not found.equal
    assert found.table["what"].tolist() == ["table"]


@pytest.mark.parametrize("adapted", [False, True])
def test_a_vocabulary_of_a_live_layer_is_compared(*, adapted: bool) -> None:
    import keras  # noqa: PLC0415 - as above

    def model(*words: str) -> Any:
        given = keras.Input((1,), name="words", dtype="string")
        layer = keras.layers.StringLookup(name="ids", vocabulary=None if adapted else list(words))
        if adapted:
            layer.adapt([*words, words[0]])
        return keras.Model(given, layer(given))

    assert tfmagic.diff(model("a", "b"), model("a", "b")).equal
    found = tfmagic.diff(model("a", "b"), model("b", "a"))
    assert found.table["what"].tolist() == ["table"]
