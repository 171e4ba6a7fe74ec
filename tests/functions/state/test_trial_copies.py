from __future__ import annotations

import gc
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tfmagic import functions
from tfmagic.functions.state.resource_copies import UncopyableError
from tfmagic.functions.state.trial_copies import TrialCopies
from tfmagic.runtime import concrete_functions
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Callable

    from tfmagic.functions import NamedFunction

pytestmark = pytest.mark.tensorflow


def traced(function: Callable[..., Any], *specs: Any) -> NamedFunction:
    concrete = runtime.tensorflow().function(function, autograph=False).get_concrete_function(*specs)
    return functions.of_concrete(concrete, "serving_default")


def spec(*shape: int | None, dtype: str = "float32", name: str = "x") -> Any:
    return runtime.tensorflow().TensorSpec(shape, dtype, name=name)


def test_what_only_reads_is_not_copied() -> None:
    tf = runtime.tensorflow()
    weight = tf.Variable(2.0)
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a"], [1.0]), 0.0)
    source = traced(lambda x, s: {"y": x * weight + table.lookup(s)}, spec(2), spec(dtype="string", name="s"))
    copies = TrialCopies(source)
    assert copies.fresh() is source
    assert copies.changed == ()


def test_each_copy_begins_where_the_original_stands() -> None:
    tf = runtime.tensorflow()
    count, weight = tf.Variable(5.0, name="count"), tf.Variable(2.0, name="weight")
    source = traced(lambda x: {"y": weight * x + count.assign_add(1.0)}, spec(2))
    copies = TrialCopies(source)
    first = copies.fresh()
    assert first({"x": [0, 0]})["y"].tolist() == [6, 6]
    assert first({"x": [0, 0]})["y"].tolist() == [7, 7]
    assert copies.fresh()({"x": [0, 0]})["y"].tolist() == [6, 6]
    count.assign(0.0)
    assert copies.fresh()({"x": [1, 1]})["y"].tolist() == [3, 3]
    assert count.numpy() == 0
    assert copies.changed == ("count",)


def test_a_variable_that_is_captured_twice_is_copied_once() -> None:
    """Both placeholders of it are the same copy, so that what one writes the other reads."""
    tf = runtime.tensorflow()
    count = tf.Variable(1.0)
    inner = tf.function(lambda: count.assign_add(1.0), autograph=False)

    def call(x: Any) -> dict[str, Any]:
        with tf.control_dependencies([inner()]):
            return {"y": x + count.read_value()}

    assert TrialCopies(traced(call, spec())).fresh()({"x": 0})["y"] == 2
    assert count.numpy() == 1


@pytest.mark.parametrize("value", [7, [1.0, 2.0]])
def test_tables_are_copied(value: Any) -> None:
    tf = runtime.tensorflow()
    dtype = tf.int64 if isinstance(value, int) else tf.float32
    default = tf.zeros_like(tf.constant(value, dtype))
    table = tf.lookup.experimental.MutableHashTable(tf.string, dtype, default)
    table.insert(tf.constant(["old"]), tf.constant([value], dtype))

    def call(word: Any) -> dict[str, Any]:
        with tf.control_dependencies([table.insert(word, tf.constant(value, dtype))]):
            return {"old": table.lookup(tf.constant("old")), "size": table.size()}

    copies = TrialCopies(traced(call, spec(dtype="string", name="word")))
    for _ in range(2):
        result = copies.fresh()({"word": b"new"})
        assert result["size"] == 2
        assert result["old"].tolist() == value
    assert table.size().numpy() == 1


def test_an_empty_table_is_copied() -> None:
    tf = runtime.tensorflow()
    table = tf.lookup.experimental.MutableHashTable(tf.int64, tf.string, "?")

    def call(key: Any) -> dict[str, Any]:
        with tf.control_dependencies([table.insert(key, tf.constant("v"))]):
            return {"size": table.size()}

    assert TrialCopies(traced(call, spec(dtype="int64", name="key"))).fresh()({"key": 3})["size"] == 1
    assert table.size().numpy() == 0


def test_generators_are_copied() -> None:
    tf = runtime.tensorflow()
    generator = tf.random.Generator.from_seed(3)
    source = traced(lambda x: {"y": x + generator.normal([2])}, spec(2))
    one, other = (TrialCopies(source).fresh()({"x": [0, 0]})["y"] for _ in range(2))
    assert one.tolist() == other.tolist()
    before = generator.state.numpy()
    assert one.tolist() == generator.normal([2]).numpy().tolist()
    assert before.tolist() != generator.state.numpy().tolist()


def test_the_kernels_that_seeded_ops_draw_from_are_not_moved() -> None:
    """Their state cannot be read: that the original's first draw comes first shows that nobody drew before."""
    tf = runtime.tensorflow()
    inner = tf.function(lambda: tf.random.normal([3], seed=4), autograph=False, experimental_attributes=None)
    source = traced(lambda x: {"y": x + inner()}, spec(3))
    tried = [TrialCopies(source).fresh()({"x": [0, 0, 0]})["y"].tolist() for _ in range(3)]
    assert source({"x": [0, 0, 0]})["y"].tolist() == tried[0] == tried[1] == tried[2]


def test_copies_that_are_repeatable_draw_alike() -> None:
    tf = runtime.tensorflow()
    one, other = (traced(lambda x: {"y": x + tf.random.uniform([2])}, spec(2)) for _ in range(2))
    drawn = [TrialCopies(each, repeatable=True).fresh()({"x": [0, 0]})["y"].tolist() for each in (one, other, one)]
    assert drawn[0] == drawn[1] == drawn[2]
    free = [TrialCopies(one).fresh()({"x": [0, 0]})["y"].tolist() for _ in range(2)]
    assert free[0] != free[1]


def test_printing_is_cut_out(capfd: pytest.CaptureFixture[str]) -> None:
    tf = runtime.tensorflow()

    def call(x: Any) -> dict[str, Any]:
        with tf.control_dependencies([tf.print("loud", x)]):
            return {"y": tf.compat.v1.Print(x, [x], "louder") * 2.0}

    source = traced(call, spec(2))
    assert TrialCopies(source).fresh()({"x": [1, 2]})["y"].tolist() == [2, 4]
    assert "loud" not in capfd.readouterr().err
    assert TrialCopies(source, silent=False).fresh()({"x": [1, 2]})["y"].tolist() == [2, 4]
    assert "louder" in capfd.readouterr().err


def test_what_nobody_can_copy_is_named() -> None:
    tf = runtime.tensorflow()
    queue = tf.queue.FIFOQueue(3, [tf.float32], shapes=[[]])
    queue.enqueue(1.0)
    copies = TrialCopies(traced(lambda x: {"y": x + queue.dequeue()}, spec()))
    with pytest.raises(UncopyableError, match="neither a variable nor a table"):
        copies.fresh()
    assert queue.size().numpy() == 1


def test_a_dense_table_does_not_tell_how_it_is_made() -> None:
    tf = runtime.tensorflow()
    dense = tf.lookup.experimental.DenseHashTable(tf.int64, tf.int64, -1, empty_key=-1, deleted_key=-2)

    def call(key: Any) -> dict[str, Any]:
        with tf.control_dependencies([dense.insert(key, key)]):
            return {"size": dense.size()}

    with pytest.raises(UncopyableError, match="dense table"):
        TrialCopies(traced(call, spec(dtype="int64", name="key"))).fresh()
    assert dense.size().numpy() == 0


def test_nothing_is_lost_while_another_thread_trains() -> None:
    tf = runtime.tensorflow()
    count = tf.Variable(0.0)
    source = traced(lambda x: {"y": x + count.assign_add(1.0)}, spec())
    ended = threading.Event()
    steps = 0

    def train() -> None:
        nonlocal steps
        while not ended.is_set():
            count.assign_add(1.0)
            steps += 1

    thread = threading.Thread(target=train)
    thread.start()
    copies = TrialCopies(source)
    for _ in range(20):
        copies.fresh()({"x": 0})
    ended.set()
    thread.join()
    assert count.numpy() == steps


def test_the_process_keeps_no_functions_of_copies() -> None:
    tf = runtime.tensorflow()
    count = tf.Variable(0.0)

    def call(x: Any) -> dict[str, Any]:
        return {"y": tf.while_loop(lambda y: y < 3.0, lambda y: (y + count.assign_add(1.0),), (x,))[0]}

    copies = TrialCopies(traced(call, spec()))
    copies.fresh()({"x": 0})
    gc.collect()
    before = concrete_functions.function_names()
    for _ in range(3):
        copies.fresh()({"x": 0})
    gc.collect()
    assert concrete_functions.function_names() <= before


def test_large_values_stay_where_they_are() -> None:
    """Only what is assigned is copied."""
    tf = runtime.tensorflow()
    weight, count = tf.Variable(tf.zeros([1000])), tf.Variable(0.0)
    source = traced(lambda x: {"y": x + weight + count.assign_add(1.0)}, spec(1000))
    fresh = TrialCopies(source).fresh()
    assert any(handle is weight.handle for handle in fresh.concrete.captured_inputs)
    assert not any(handle is count.handle for handle in fresh.concrete.captured_inputs)
    assert np.all(fresh({"x": np.zeros(1000)})["y"] == 1)


def wrapped(body: Callable[[], Any]) -> NamedFunction:
    """Wrap code of TensorFlow 1, whose variables and tables stay inside the graph."""
    tf = runtime.tensorflow()
    graph = tf.Graph()
    with graph.as_default():
        body()
    graph_def = graph.as_graph_def()

    def call(x: Any) -> dict[str, Any]:
        (y,) = tf.graph_util.import_graph_def(graph_def, {"x": x}, ["y:0"], name="")
        return {"y": y}

    return functions.of_concrete(tf.compat.v1.wrap_function(call, [spec(dtype="string")]), "serving_default")


def test_a_queue_inside_a_graph_is_the_copys_own() -> None:
    tf = runtime.tensorflow()

    def body() -> None:
        x = tf.compat.v1.placeholder(tf.string, [], "x")
        queue = tf.queue.FIFOQueue(2, [tf.string], [[]], shared_name="live")
        with tf.control_dependencies([queue.enqueue(x)]):
            tf.identity(queue.size(), "y")

    source = wrapped(body)
    assert [TrialCopies(source).fresh()({"x": b"a"})["y"] for _ in range(3)] == [1, 1, 1]
    assert source({"x": b"a"})["y"] == 1


def test_a_table_inside_a_graph_is_not_written_into() -> None:
    tf = runtime.tensorflow()

    def body() -> None:
        x = tf.compat.v1.placeholder(tf.string, [], "x")
        table = tf.raw_ops.MutableHashTableV2(key_dtype=tf.string, value_dtype=tf.int64, shared_name="live words")
        insert = tf.raw_ops.LookupTableInsertV2(table_handle=table, keys=x, values=tf.constant(1, tf.int64))
        with tf.control_dependencies([insert]):
            tf.raw_ops.LookupTableSizeV2(table_handle=table, name="y")

    source = wrapped(body)
    assert source({"x": b"first"})["y"] == 1
    with pytest.raises(UncopyableError, match="inside the graph"):
        TrialCopies(source).fresh()
    assert TrialCopies(source, sharing=True).fresh()({"x": b"second"})["y"] == 2


def test_a_table_that_the_graph_fills_is_the_copys_own() -> None:
    tf = runtime.tensorflow()

    def body() -> None:
        x = tf.compat.v1.placeholder(tf.string, [], "x")
        table = tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64, shared_name="filled")
        fill = tf.raw_ops.InitializeTableV2(table_handle=table, keys=["a"], values=tf.constant([5], tf.int64))
        with tf.control_dependencies([fill]):
            tf.raw_ops.LookupTableFindV2(table_handle=table, keys=x, default_value=tf.constant(0, tf.int64), name="y")

    assert TrialCopies(wrapped(body)).fresh()({"x": b"a"})["y"] == 5
    other = tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64, shared_name="filled")
    assert tf.raw_ops.LookupTableSizeV2(table_handle=other).numpy() == 0
