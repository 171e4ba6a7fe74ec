from __future__ import annotations

import sys
import textwrap
from typing import Any

import numpy as np
import pytest
from IPython.core.error import UsageError

from tfmagic import errors
from tfmagic.notebook import tf1_cells
from tfmagic.runtime import tensorflow as runtime

pytestmark = pytest.mark.tensorflow

NETWORK = """
x = tf.placeholder(tf.float32, [None, 2], name="x")
w = tf.get_variable("w", [2, 1], initializer=tf.ones_initializer())
y = tf.matmul(x, w, name="y")
"""


def run(source: str, namespace: dict[str, Any] | None = None) -> tf1_cells.Ran:
    return tf1_cells.run(textwrap.dedent(source), {} if namespace is None else namespace)


def result(session: Any) -> float:
    """The network on one input: the sum of its variable."""
    return float(session.run("y:0", {"x:0": np.ones((1, 2), np.float32)})[0, 0])


def assert_untouched() -> None:
    tf = runtime.tensorflow()
    assert tf.executing_eagerly()
    assert tf.compat.v1.get_default_session() is None
    assert tf.compat.v1.resource_variables_enabled()


def test_a_cell_has_a_graph_and_a_session_of_its_own() -> None:
    tf = runtime.tensorflow()
    namespace: dict[str, Any] = {"tf": tf, "np": np}
    with tf.Graph().as_default() as outside:
        ran = run(NETWORK, namespace)
        assert outside.get_operations() == []
    assert namespace["tf"] is tf
    assert namespace["y"].graph is ran.session.graph
    assert set(namespace) == {"tf", "np", "x", "w", "y"}
    assert result(ran.session) == 2
    assert_untouched()


def test_variables_and_tables_are_initialised_without_an_op() -> None:
    ran = run(
        NETWORK
        + """
        table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a"], [7]), -1)
        found = tf.identity(table.lookup(tf.constant(["a"])), name="found")
        local = tf.get_variable("local", initializer=5.0, collections=[tf.GraphKeys.LOCAL_VARIABLES])
        ops = len(tf.get_default_graph().get_operations())
        ops
        """.replace("\n        ", "\n")
    )
    assert len(ran.session.graph.get_operations()) == ran.value
    assert ran.session.run("found:0") == [7]
    assert result(ran.session) == 2


def test_a_value_that_the_cell_gave_a_variable_stays() -> None:
    ran = run(
        NETWORK
        + "u = tf.get_variable('u', initializer=1.0)\n"
        + "w.initializer.run()\n"
        + "tf.assign_add(w, [[5.], [5.]]).op.run()\n"
        + "w.eval().tolist()"
    )
    assert ran.value == [[6], [6]]
    assert result(ran.session) == 12
    assert ran.session.run("u/Read/ReadVariableOp:0") == 1


@pytest.mark.parametrize(
    "make",
    [
        "sess = tf.Session()\nsess.run(tf.global_variables_initializer())\nsess.run(w.assign([[2.], [3.]]))",
        "with tf.Session() as sess:\n    sess.run(tf.global_variables_initializer())\n    w.load([[2.], [3.]])",
        "sess = tf.InteractiveSession()\ntf.global_variables_initializer().run()\nw.assign([[2.], [3.]]).eval()",
        "sess = tf.InteractiveSession()\nw.initializer.run()\nw.load([[2.], [3.]])\nsess.close()",
        "sess = tf.compat.v1.Session()\nsess.run(w.initializer)\nsess.run(w.assign([[2.], [3.]]))\nsess.close()",
    ],
    ids=["session", "with", "interactive", "closed", "compat"],
)
def test_the_session_of_the_code_is_the_one_and_open(make: str) -> None:
    namespace: dict[str, Any] = {}
    ran = run(NETWORK + make, namespace)
    assert ran.session is namespace["sess"]
    assert result(ran.session) == 5
    assert_untouched()
    ran.session.close()
    with pytest.raises(RuntimeError, match="closed"):
        result(ran.session)


def test_of_several_sessions_the_last_counts_and_the_others_close() -> None:
    namespace: dict[str, Any] = {}
    ran = run(
        NETWORK + "with tf.Session() as one:\n    pass\nwith tf.Session() as two:\n    w.initializer.run()", namespace
    )
    assert ran.session is namespace["two"]
    with pytest.raises(RuntimeError, match="closed"):
        namespace["one"].run(namespace["w"])


def test_a_graph_that_the_code_makes_is_found_by_its_session() -> None:
    indented = textwrap.indent(NETWORK, "    ")
    ran = run(f"g = tf.Graph()\nwith g.as_default():{indented}    sess = tf.Session()\n    sess.run(w.initializer)")
    assert result(ran.session) == 2


@pytest.mark.parametrize(
    "line",
    [
        "import tensorflow as tf",
        "import tensorflow.compat.v1 as tf",
        "from tensorflow.compat import v1 as tf",
        "import tensorflow\ntf = tensorflow",
        "import tensorflow as tf\ntf.disable_v2_behavior()\ntf.disable_eager_execution()",
        "import tensorflow.compat.v1 as tf\ntf.disable_v2_behavior()",
        "import tensorflow as tf\ntf.compat.v1.disable_v2_behavior()\ntf.reset_default_graph()",
    ],
)
def test_an_import_in_the_cell_is_tensorflow_1(line: str) -> None:
    for before in ({}, {"tf": runtime.tensorflow(), "tensorflow": 3}):
        namespace: dict[str, Any] = dict(before)
        assert result(run(f"{line}\n{NETWORK}", namespace).session) == 2
        assert {name: namespace.get(name) for name in before} == before
        assert "__builtins__" not in namespace
        assert ("tf" in namespace, "tensorflow" in namespace) == (bool(before), bool(before))
    assert_untouched()


def test_an_alias_is_the_real_module_afterwards() -> None:
    namespace: dict[str, Any] = {}
    run(
        "import tensorflow as flow\nfrom tensorflow import placeholder\nfrom tensorflow.python.ops import math_ops",
        namespace,
    )
    assert namespace["flow"] is runtime.tensorflow().compat.v1
    assert namespace["placeholder"] is runtime.tensorflow().compat.v1.placeholder
    assert "math_ops" in namespace


def test_resetting_the_graph_begins_anew() -> None:
    ran = run(
        "a = tf.constant(1)\ntf.reset_default_graph()\nsess = tf.Session()\n" + NETWORK + "sess.run(w.initializer)"
    )
    assert next(op.name for op in ran.session.graph.get_operations()) == "x"
    assert result(ran.session) == 2


def test_a_cell_that_raises_leaves_the_notebook_as_it_was() -> None:
    tf = runtime.tensorflow()
    namespace: dict[str, Any] = {"tf": tf, "tensorflow": 1}
    with pytest.raises(ZeroDivisionError):
        run("import tensorflow\nsess = tf.InteractiveSession()\na = tf.constant(1)\n1 / 0", namespace)
    assert namespace["tf"] is tf
    assert namespace["tensorflow"] == 1
    assert set(namespace) == {"tf", "tensorflow", "sess", "a"}
    assert_untouched()


def test_dimensions_have_values() -> None:
    namespace: dict[str, Any] = {}
    run(
        """
        x = tf.placeholder(tf.float32, [None, 5])
        width, batch = x.get_shape()[1].value, x.shape[0].value
        w = tf.Variable(3.0)
        read = w.value()
        def later(t): return t.shape[1].value
        """,
        namespace,
    )
    assert (namespace["width"], namespace["batch"]) == (5, None)
    assert namespace["read"].dtype == "float32"
    assert namespace["later"](namespace["x"]) == 5


@pytest.mark.parametrize(
    ("code", "error", "match"),
    [
        ("tf.contrib.layers.flatten(1)", AttributeError, "tf_slim"),
        ("import tensorflow.contrib.slim as slim", ImportError, "tf_slim"),
        ("from tensorflow import contrib", ImportError, "tf_slim"),
        ("from tensorflow.examples.tutorials.mnist import input_data", ImportError, "keras.datasets.mnist"),
        ("tf.estimator.Estimator", AttributeError, "2.16"),
        ("tf.mul(1, 2)", AttributeError, "'multiply'"),
        ("tf.placeholdr", AttributeError, "'placeholder'"),
        ("tf.enable_eager_execution()", RuntimeError, "plain cell"),
    ],
)
def test_what_is_gone_is_said(code: str, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        run(code)


def test_layers_are_those_of_keras_2() -> None:
    code = "x = tf.placeholder(tf.float32, [None, 3], 'x')\ny = tf.layers.dense(x, 2, name='d')"
    if runtime.loaded("tf_keras") is None:
        pytest.importorskip("tf_keras")
    namespace: dict[str, Any] = {}
    ran = run(code, namespace)
    assert ran.session.run(namespace["y"], {"x:0": np.ones((4, 3))}).shape == (4, 2)


def test_layers_without_keras_2_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tf_keras", None)
    with pytest.raises(errors.MissingDependencyError, match="keras2"):
        run("tf.layers.dense")


def test_an_initializer_that_fails_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="without values"):
        ran = run("p = tf.placeholder(tf.float32, [2], 'p')\nv = tf.Variable(p, name='v')")
    ran.session.run("v/Assign", {"p:0": [1, 2]})


# The magic


def test_the_magic_binds_its_name(shell: Any) -> None:
    ran = shell.run_cell(f"%%tf_graph net\nimport tensorflow as tf\n{NETWORK}\ny.shape.as_list()")
    ran.raise_error()
    assert ran.result == [None, 1]
    assert result(shell.user_ns["net"]) == 2
    assert "tf" not in shell.user_ns
    frame = shell.run_cell("%tf_inspect net --ops").result
    assert "MatMul" in set(frame["op"])


def test_the_magic_wants_a_name(shell: Any) -> None:
    for line in ("", "1x", "a b", "class"):
        with pytest.raises(UsageError, match=r"%%tf_graph NAME"):
            shell.run_cell_magic("tf_graph", line, "a = 1")
    assert "a" not in shell.user_ns


def test_an_error_in_the_cell_is_the_users_own(shell: Any) -> None:
    ran = shell.run_cell("%%tf_graph net\na = tf.constant(1)\n1 / 0")
    assert isinstance(ran.error_in_exec, ZeroDivisionError)
    assert "net" not in shell.user_ns


def test_what_is_not_installed_is_told_in_one_line(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tf_keras", None)
    with pytest.raises(UsageError, match="keras2"):
        shell.run_cell_magic("tf_graph", "net", "tf.layers.dense")
