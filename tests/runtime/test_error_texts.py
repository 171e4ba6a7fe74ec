"""What TensorFlow says of an op that fails, without the stacks around it: of sessions, functions, several at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tfmagic.runtime import error_texts
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.tensorflow
_SAYS = "Matrix size-incompatible: In[0]: [2,5], In[1]: [4,3]"


def raised(call: Callable[[], Any]) -> Exception:
    """Return what a call raises."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever TensorFlow raises
        call()
    return caught.value


def of_session() -> Exception:
    tf = runtime.tensorflow()
    v1 = tf.compat.v1
    with tf.Graph().as_default():
        x = v1.placeholder(tf.float32, [None, None])
        y = tf.matmul(x, np.ones((4, 3), np.float32), name="product")
        with v1.Session() as session:
            return raised(lambda: session.run(y, {x: np.ones((2, 5))}))


def of_imported_graph() -> Exception:
    tf = runtime.tensorflow()
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph:
        tf.matmul(v1.placeholder(tf.float32, [None, None], name="x"), np.ones((4, 3), np.float32), name="y")
    with tf.Graph().as_default():
        tf.graph_util.import_graph_def(graph.as_graph_def(), name="")
        with v1.Session() as session:
            return raised(lambda: session.run("y:0", {"x:0": np.ones((2, 5))}))


def of_function() -> Exception:
    tf = runtime.tensorflow()
    function = tf.function(lambda x: tf.matmul(x, tf.ones((4, 3)))).get_concrete_function(tf.TensorSpec([None, None]))
    return raised(lambda: function(tf.ones((2, 5))))


@pytest.mark.parametrize("make", [of_session, of_imported_graph, of_function])
def test_the_words_of_the_op_are_the_gist(make: Callable[[], Exception]) -> None:
    error = make()
    assert _SAYS in str(error)
    assert error_texts.first_line(error) == f"InvalidArgumentError: {_SAYS}"
    assert error_texts.gist(error) == _SAYS


def test_of_several_errors_each_reason_is_said_once() -> None:
    error = ValueError(
        "2 root error(s) found.\n  (0) INVALID_ARGUMENT: no such key\n\t [[{{node a}}]]\n\t [[b/_3]]\n"
        "  (1) INVALID_ARGUMENT: no such key\n\t [[{{node a}}]]\n0 successful operations.\n0 derived errors ignored."
    )
    assert error_texts.gist(error) == "no such key"


def test_what_is_no_failure_of_an_op_stays_as_it_is() -> None:
    assert error_texts.gist(ValueError("first\n    second")) == "first\n    second"
    assert error_texts.gist(ValueError()) == "ValueError"
    assert error_texts.first_line(KeyError("k")) == "KeyError: 'k'"
    only_places = RuntimeError("Graph execution error:\n\nNode: 'a'")
    assert error_texts.gist(only_places) == "Graph execution error: Node: 'a'"


def test_of_what_is_raised_while_tracing_the_words_count() -> None:
    """AutoGraph puts the whole stack before them, and Keras its arguments behind them, in colours."""
    place = '    File "/home/user/model.py", line 3, in call  *\n        return x + 1\n'
    words = (
        "    ValueError: Exception encountered when calling Dense.call().\n    \n    \x1b[1m'g h' is no name.\x1b[0m"
    )
    behind = "\n    \n    Arguments received by Dense.call():\n      • inputs=tf.Tensor(shape=(None, 3))\n"
    message = f"in user code:\n\n{place}{place}\n{words}{behind}"
    assert error_texts.gist(ValueError(message)) == (
        "ValueError: Exception encountered when calling Dense.call(). 'g h' is no name"
    )
