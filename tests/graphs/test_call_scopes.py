from __future__ import annotations

import subprocess
from typing import Any

import pytest

from tfmagic.files import protos
from tfmagic.graphs import call_scopes

pytestmark = pytest.mark.tensorflow

#: Calls `f`, and in it `g`, where nodes have names that come out of these functions.
_GRAPH = """
versions { producer: 1882 }
node { name: "x" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } }
  attr { key: "shape" value { shape { } } } }
node { name: "f" op: "PartitionedCall" input: "x" attr { key: "f" value { func { name: "F" } } }
  attr { key: "Tin" value { list { type: DT_FLOAT } } }
  attr { key: "Tout" value { list { type: DT_FLOAT type: DT_FLOAT } } } }
node { name: "f/y" op: "Neg" input: "f:1" attr { key: "T" value { type: DT_FLOAT } } }
node { name: "z" op: "AddV2" input: "f/y" input: "f" input: "^f" attr { key: "T" value { type: DT_FLOAT } } }
library {
  function {
    signature { name: "F" input_arg { name: "a" type: DT_FLOAT } output_arg { name: "r" type: DT_FLOAT }
      output_arg { name: "s" type: DT_FLOAT } }
    node_def { name: "y" op: "Square" input: "a" attr { key: "T" value { type: DT_FLOAT } } }
    node_def { name: "g" op: "PartitionedCall" input: "y:y:0" attr { key: "f" value { func { name: "G" } } }
      attr { key: "Tin" value { list { type: DT_FLOAT } } } attr { key: "Tout" value { list { type: DT_FLOAT } } } }
    node_def { name: "g/w" op: "Neg" input: "g:output:0" attr { key: "T" value { type: DT_FLOAT } } }
    ret { key: "r" value: "g/w:y:0" } ret { key: "s" value: "y:y:0" }
  }
  function {
    signature { name: "G" input_arg { name: "b" type: DT_FLOAT } output_arg { name: "q" type: DT_FLOAT } }
    node_def { name: "w" op: "Square" input: "b" attr { key: "T" value { type: DT_FLOAT } } }
    ret { key: "q" value: "w:y:0" }
  }
}
"""


def _graph_def() -> Any:
    return protos.parse_text("GraphDef", _GRAPH)


def test_calls_whose_names_are_scopes_run(tf: Any) -> None:
    graph_def = _graph_def()
    call_scopes.stand_apart(graph_def)
    assert {"x", "f", "f/y", "z"} < {node.name for node in graph_def.node}
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        tf.graph_util.import_graph_def(protos.native(graph_def), name="")
        # -(x²)² - x²
        assert session.run("z:0", {"x:0": 2.0}) == -20.0


def test_other_calls_stay() -> None:
    graph_def = _graph_def()
    del graph_def.node[2:]
    del graph_def.library.function[0].node_def[2:]
    before = graph_def.SerializeToString(deterministic=True)
    call_scopes.stand_apart(graph_def)
    assert graph_def.SerializeToString(deterministic=True) == before


def test_a_graph_that_ends_tensorflows_optimizer_is_flattened(ready_tensorflow: list[str]) -> None:
    """In a process of its own, which would end."""
    code = (
        "import sys, tensorflow\n"
        "from tfmagic.files import protos\n"
        "from tfmagic.transforms import inlining\n"
        "flat = inlining.inlined(protos.parse_text('GraphDef', sys.argv[1]), ['x', 'z'])\n"
        "assert 'PartitionedCall' not in {node.op for node in flat.node}\n"
    )
    done = subprocess.run([*ready_tensorflow, "-c", code, _GRAPH], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
