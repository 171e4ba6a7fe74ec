"""What the notebooks of the browser tests show: a SavedModel and a graph as text, and a file that is no model.

Not for: models that need TensorFlow (``tests/samples.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LOAD = "%load_ext tfmagic"
GRAPH = """
node { name: "image" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } }
  attr { key: "shape" value { shape { dim { size: -1 } dim { size: 4 } } } } }
node { name: "probability" op: "Sigmoid" input: "image" attr { key: "T" value { type: DT_FLOAT } } }
"""

ENDS = """
    inputs { key: "picture" value { name: "image:0" dtype: DT_FLOAT
      tensor_shape { dim { size: -1 } dim { size: 4 } } } }
    outputs { key: "score" value { name: "probability:0" dtype: DT_FLOAT
      tensor_shape { dim { size: -1 } dim { size: 4 } } } }
    method_name: "tensorflow/serving/predict"
"""

#: Markup that would ask another host, which fails the test, if it did not stay text wherever it is shown.
HOSTILE = "<img src='https://elsewhere.example/pixel.png'>"

#: In the text form, which says here what it holds.
SAVED_MODEL = f"""
saved_model_schema_version: 1
meta_graphs {{
  meta_info_def {{ tags: "serve" tensorflow_version: "2.21.0" }}
  graph_def {{ {GRAPH} node {{ name: "{HOSTILE}" op: "NoOp" }} }}
  signature_def {{ key: "classify_pictures" value {{ {ENDS} }} }}
  signature_def {{ key: "classify_again" value {{ {ENDS} }} }}
  signature_def {{ key: "{HOSTILE}" value {{ {ENDS} }} }}
}}
"""


def lay_out(root: Path) -> None:
    """Lay it all out beside the notebooks."""
    model = root / "served_model"
    model.mkdir(exist_ok=True)
    (model / "saved_model.pbtxt").write_text(SAVED_MODEL, encoding="utf-8")
    (root / "served_graph.pbtxt").write_text(GRAPH, encoding="utf-8")
    (root / "notes.pb").write_text("this is no model\n", encoding="utf-8")
