"""The requests that a TensorFlow Serving takes for a signature, over REST and over gRPC, with an example body.

After https://www.tensorflow.org/tfx/serving/api_rest and tensorflow_serving/apis/prediction_service.proto. Not for:
calling the model in this process (:mod:`tfmagic.verbs.snippets.calls`).
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING
from urllib.parse import quote

from tfmagic.verbs.snippets import example_values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from tfmagic.graphs.signatures import Endpoint

#: Where a server listens unless told otherwise.
_REST, _GRPC = "http://localhost:8501", "localhost:8500"
_PREFIX = "tensorflow/serving/"
_EXAMPLE_METHODS = ("classify", "regress")
#: Values in a body that a person still reads.
_READABLE = 24
_FEATURES = {"feature": 0.0}


@dataclass(frozen=True)
class Served:
    """A signature as a server has it.

    Attributes
    ----------
    model : str
        The name under which the server has the model.
    key : str
        The signature's.
    method : str
        Its method name.
    inputs : sequence of Endpoint
        What it takes.
    """

    model: str
    key: str
    method: str
    inputs: Sequence[Endpoint]

    @property
    def verb(self) -> str:
        """What the server is asked to do."""
        short = self.method.removeprefix(_PREFIX)
        return short if short in _EXAMPLE_METHODS else "predict"


def served_name(path: Path | None) -> str:
    """Return the name that a server would have a model under: its folder's, of a numbered version the one around it."""
    names = [part for part in (path.absolute().parts if path else ()) if not part.isdigit()]
    name = re.sub(r"[^\w.-]+", "_", names[-1]) if names else ""
    return name or "model"


def rest(served: Served) -> str:
    """Return what asks over REST: a shell command; where the body would fill the screen, Python."""
    address = f"{_REST}/v1/models/{quote(served.model.encode('utf-8', 'replace'), safe='')}:{served.verb}"
    count = sum(prod(example_values.shape(end)) for end in served.inputs)
    if served.verb == "predict" and count > _READABLE:
        return _in_python(address, _body(served, example_values.nested))
    body = json.dumps(_body(served, example_values.values))
    return f"curl -X POST {address} -H 'Content-Type: application/json' -d {shlex.quote(body)}\n"


def _in_python(address: str, body: Mapping[str, object]) -> str:
    lines = [
        "import json",
        "from urllib.request import Request, urlopen",
        "",
        f"body = {body!r}",
        f'request = Request("{address}", json.dumps(body).encode(), {{"Content-Type": "application/json"}})',
        "with urlopen(request, timeout=10) as response:",
        f'    outputs = json.load(response)["{"predictions" if "instances" in body else "outputs"}"]',
    ]
    return "\n".join(lines) + "\n"


def _body(served: Served, value: Callable[[Endpoint, int], object]) -> dict[str, object]:
    """Return the body: rows where every input has a batch, else columns."""
    body: dict[str, object] = {"signature_name": served.key}
    if served.verb in _EXAMPLE_METHODS:
        return {**body, "examples": [_FEATURES]}
    if served.inputs and all(end.shape and end.shape[0] is None for end in served.inputs):
        return {**body, "instances": [{end.key: value(end, 1) for end in served.inputs}]}
    return {**body, "inputs": {end.key: value(end, 0) for end in served.inputs}}


def grpc(served: Served) -> str:
    """Return Python that asks over gRPC."""
    return "\n".join([*_head(served), *_filled(served), *_asked(served)]) + "\n"


_SERVICES = {"predict": "Predict", "classify": "Classification", "regress": "Regression"}


def _head(served: Served) -> list[str]:
    module = {"predict": "predict", "classify": "classification", "regress": "regression"}[served.verb]
    numpy = ["import numpy as np"] if served.verb == "predict" else []
    return [
        "# python -m pip install grpcio tensorflow-serving-api",
        "import grpc",
        *numpy,
        "import tensorflow as tf",
        f"from tensorflow_serving.apis import {module}_pb2, prediction_service_pb2_grpc",
        "",
        f"request = {module}_pb2.{_SERVICES[served.verb]}Request()",
        f"request.model_spec.name = {served.model!r}",
        f"request.model_spec.signature_name = {served.key!r}",
    ]


def _filled(served: Served) -> list[str]:
    if served.verb == "predict":
        return [
            f"request.inputs[{end.key!r}].CopyFrom(tf.make_tensor_proto({example_values.array(end)}))"
            for end in served.inputs
        ]
    return [
        "feature = tf.train.Feature(float_list=tf.train.FloatList(value=[0.0]))",
        'example = tf.train.Example(features=tf.train.Features(feature={"feature": feature}))',
        "request.input.example_list.examples.append(example)",
    ]


def _asked(served: Served) -> list[str]:
    call = {"predict": "Predict", "classify": "Classify", "regress": "Regress"}[served.verb]
    answer = "{key: tf.make_ndarray(value) for key, value in response.outputs.items()}"
    return [
        f'channel = grpc.insecure_channel("{_GRPC}")',
        f"response = prediction_service_pb2_grpc.PredictionServiceStub(channel).{call}(request, timeout=10)",
        f"outputs = {answer if served.verb == 'predict' else 'response.result'}",
    ]
