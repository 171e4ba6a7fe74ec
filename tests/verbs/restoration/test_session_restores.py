"""Sessions take values under the names that their own Savers give them, tables too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tfmagic import errors
from tfmagic.verbs.restoration import assignment
from tfmagic.verbs.restore import restore

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.tensorflow
tf = pytest.importorskip("tensorflow")


def session(fill: int, names: tuple[str, ...] = ("a", "b"), keys: dict[str, str] | None = None) -> tuple[Any, Any, Any]:
    """A session with variables and a table, its Saver, and what reads the table."""
    v1 = tf.compat.v1
    with tf.Graph().as_default():
        variables = {name: v1.get_variable(name, initializer=[float(fill), 2.0]) for name in names}
        table = tf.lookup.experimental.MutableHashTable(
            tf.string, tf.int64, -1, name="table", experimental_is_anonymous=False
        )
        inserted = table.insert(tf.constant([f"key {fill}"]), tf.constant([fill], tf.int64))
        saved = {(keys or {}).get(name, name): variable for name, variable in variables.items()}
        saver = v1.train.Saver({**saved, "table": v1.get_collection("saveable_objects")[0]})
        opened = v1.Session()
        opened.run(v1.global_variables_initializer())
        opened.run(inserted)
        content = table.export()
    return opened, saver, content


def stored(fill: int, directory: Path, **options: Any) -> str:
    opened, saver, _ = session(fill, **options)
    with opened.graph.as_default():
        return str(saver.save(opened, str(directory / "m"), write_meta_graph=False))


def held(opened: Any, content: Any) -> tuple[list[list[float]], dict[bytes, int]]:
    keys, values = opened.run(content)
    variables = opened.run(opened.graph.get_collection("variables"))
    return [each.tolist() for each in variables], dict(zip(keys.tolist(), values.tolist(), strict=True))


def test_a_table_that_a_saver_fills_comes_back(tmp_path: Path) -> None:
    path = stored(3, tmp_path)
    target, _, content = session(8)
    ops = len(target.graph.get_operations())
    table = restore(target, path)
    assert table["variable"].tolist() == ["a", "b", "table"]
    assert set(table["status"]) == {"matched"}
    assert held(target, content) == ([[3, 2], [3, 2]], {b"key 3": 3})
    assert len(target.graph.get_operations()) == ops


def test_a_saver_knows_a_variable_by_another_name(tmp_path: Path) -> None:
    path = stored(3, tmp_path, keys={"b": "elsewhere/b"})
    target, _, content = session(8, keys={"b": "elsewhere/b"})
    assert restore(target, path)["checkpoint_key"].tolist() == ["a", "elsewhere/b", "table"]
    assert held(target, content)[0] == [[3, 2], [3, 2]]
    other, _, content = session(8)
    with pytest.raises(errors.ConversionError, match="no value for 'b'"):
        restore(other, path)
    restore(other, path, rename={"elsewhere/*": "*"})
    assert held(other, content)[0] == [[3, 2], [3, 2]]


def test_a_table_that_fails_gives_all_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = stored(3, tmp_path)
    target, _, content = session(8)
    fill, calls = assignment.fill_in_session, []

    def failing(*given: Any) -> None:
        calls.append(given)
        fill(*given)
        if len(calls) == 1:
            raise MemoryError

    monkeypatch.setattr(assignment, "fill_in_session", failing)
    with pytest.raises(MemoryError):
        restore(target, path)
    assert held(target, content) == ([[8, 2], [8, 2]], {b"key 8": 8})


def test_a_checkpoint_of_objects_goes_in_by_the_names_of_variables(tmp_path: Path) -> None:
    module = tf.Module()
    module.first, module.second = tf.Variable([4.0, 4.0], name="a"), tf.Variable([5.0, 5.0], name="b")
    path = tf.train.Checkpoint(module).write(str(tmp_path / "m"))
    target, _, content = session(8)
    with target.graph.as_default():
        tf.compat.v1.train.Saver(tf.compat.v1.global_variables()).restore(target, path)
    expected = held(target, content)
    target, _, content = session(9)
    restore(target, path)
    assert held(target, content)[0] == expected[0] == [[4, 4], [5, 5]]
