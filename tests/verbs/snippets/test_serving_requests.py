"""The requests are sent, to servers of this test's own; that for gRPC has Serving's service and runs the model."""

from __future__ import annotations

import json
import subprocess
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import tfmagic
from tests.samples import SAMPLES
from tfmagic.graphs.signatures import Endpoint
from tfmagic.verbs.snippets import example_values, serving_requests
from tfmagic.verbs.snippets.serving_requests import Served

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.samples import Built

PREDICT = "tensorflow/serving/predict"
SMALL = Endpoint("x", "x:0", "float32", (None, 4))
IMAGE = Endpoint("image", "i:0", "float32", (None, 12, 12, 3))
#: Keys as models have them, and as an attacker would.
HOSTILE = 'it\'s "x"); $(touch /tmp/never) `id` #'


def served(*inputs: Endpoint, key: str = "serving_default", method: str = PREDICT) -> Served:
    return Served("net", key, method, inputs)


@pytest.fixture
def asked() -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """A server that takes any body; its address, and what it was asked."""
    seen: list[tuple[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.append((self.path, body))
            answer = json.dumps({"predictions": [1], "outputs": [2]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", seen
    server.shutdown()
    server.server_close()


def ask(text: str, address: str) -> None:
    """Do what the text says, against a server of our own."""
    there = text.replace("http://localhost:8501", address)
    if text.startswith("curl"):
        subprocess.run(["/bin/sh", "-c", there], check=True, capture_output=True)
    else:
        exec(compile(there, "<request>", "exec"), {})  # noqa: S102 - that is what it is for


def test_a_batch_is_asked_for_in_rows(asked: Any) -> None:
    ask(serving_requests.rest(served(SMALL)), asked[0])
    ((path, body),) = asked[1]
    assert path == "/v1/models/net:predict"
    assert body == {"signature_name": "serving_default", "instances": [{"x": [0.0] * 4}]}


def test_what_has_no_batch_is_asked_for_in_columns(asked: Any) -> None:
    ask(serving_requests.rest(served(SMALL, Endpoint("name", "n:0", "string", ()))), asked[0])
    ((_, body),) = asked[1]
    assert body["inputs"] == {"x": [[0.0] * 4], "name": "text"}


def test_a_large_body_is_made_where_it_is_sent(asked: Any) -> None:
    text = serving_requests.rest(served(IMAGE))
    assert len(text) < 500
    ask(text, asked[0])
    ((_, body),) = asked[1]
    (row,) = body["instances"]
    assert np.shape(row["image"]) == (12, 12, 3)


@pytest.mark.parametrize(("method", "verb"), [("classify", "classify"), ("regress", "regress")])
def test_methods_of_examples_are_asked_with_examples(asked: Any, method: str, verb: str) -> None:
    ask(
        serving_requests.rest(
            served(Endpoint("inputs", "i:0", "string", (None,)), method=f"tensorflow/serving/{method}")
        ),
        asked[0],
    )
    ((path, body),) = asked[1]
    assert path.endswith(f":{verb}")
    assert body["examples"] == [{"feature": 0.0}]


@pytest.mark.parametrize("shape", [(None, 4), (None, 400)])
def test_names_of_a_model_are_quoted(asked: Any, shape: tuple[int | None, ...]) -> None:
    ask(serving_requests.rest(served(Endpoint(HOSTILE, "x:0", "float32", shape), key=HOSTILE)), asked[0])
    ((_, body),) = asked[1]
    assert body["signature_name"] == HOSTILE
    assert list(body["instances"][0]) == [HOSTILE]
    assert not Path("/tmp/never").exists()  # noqa: S108 - what the name would make


@pytest.mark.parametrize(
    ("path", "name"),
    [("/models/mnist/3", "mnist"), ("served", "served"), ("/a/b c", "b_c"), (None, "model")],
)
def test_a_model_is_served_under_its_folders_name(path: str | None, name: str) -> None:
    assert serving_requests.served_name(None if path is None else Path(path)) == name


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (Endpoint("a", "a:0", "string", (None,)), ["text"]),
        (Endpoint("image_bytes", "a:0", "string", (None,)), [{"b64": "dGV4dA=="}]),
        (Endpoint("a", "a:0", "bool", (2,)), [False, False]),
        (Endpoint("a", "a:0", "int64", ()), 0),
        (Endpoint("a", "a:0", "bfloat16", (1, 2)), [[0.0, 0.0]]),
        (Endpoint("a", "a:0", "float32", None), 0.0),
    ],
)
def test_example_values_have_the_inputs_shape(end: Endpoint, expected: object) -> None:
    assert example_values.values(end) == expected
    assert eval(example_values.nested(end)) == expected  # noqa: S307 - our own code
    made: Any = eval(example_values.array(end), {"np": np})  # noqa: S307 - as above
    assert made.shape == np.asarray(expected).shape


@pytest.mark.tensorflow
def test_the_grpc_request_is_what_a_prediction_service_takes(samples: Built) -> None:
    """A real gRPC server with Serving's own service, which runs the SavedModel on what it is sent."""
    grpc = pytest.importorskip("grpc")
    apis = pytest.importorskip("tensorflow_serving.apis.prediction_service_pb2_grpc")
    import tensorflow as tf  # noqa: PLC0415 - seconds for this test only
    from tensorflow_serving.apis import predict_pb2  # noqa: PLC0415 - as above

    path = samples["saved_model_tf2"]
    loaded = tf.saved_model.load(str(path))

    class Service(apis.PredictionServiceServicer):  # type: ignore[misc, name-defined]
        def Predict(self, request: Any, context: Any) -> Any:  # noqa: ARG002, N802 - the service's signature
            assert request.model_spec.name == "net"
            given = {key: tf.constant(tf.make_ndarray(value)) for key, value in request.inputs.items()}
            found = loaded.signatures[request.model_spec.signature_name](**given)
            response = predict_pb2.PredictResponse()
            for key, value in found.items():
                response.outputs[key].CopyFrom(tf.make_tensor_proto(value))
            return response

    server = grpc.server(futures.ThreadPoolExecutor(1))
    apis.add_PredictionServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    inputs = example_values.ends(tfmagic.inspect(path).signatures, "serving_default", "input")
    text = serving_requests.grpc(served(*inputs)).replace("localhost:8500", f"127.0.0.1:{port}")
    space: dict[str, Any] = {}
    exec(compile(text, "<request>", "exec"), space)  # noqa: S102 - that is what it is for
    server.stop(None)
    expected = tfmagic.run(path, {"x": np.zeros((1, 4), np.float32)}).outputs
    np.testing.assert_allclose(space["outputs"]["y"], expected["y"], rtol=1e-6)


CALLED = [name for name, sample in SAMPLES.items() if "function" in sample.parts or sample.form == "graph_def"]
CALLED.remove("meta_graph_message")


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", CALLED)
def test_the_python_that_calls_a_model_gives_its_numbers(samples: Built, name: str) -> None:
    source = samples[name]
    shown = str(tfmagic.code("run", source, name="source"))
    assert "tfmagic" not in shown.replace(str(source), "")
    space: dict[str, Any] = {"source": source}
    exec(compile(shown, "<call>", "exec"), space)  # noqa: S102 - that is what it is for
    expected = tfmagic.run(samples["saved_model_tf2"], {"x": np.zeros((1, 4), np.float32)}).outputs["y"]
    found = space["outputs"]
    (value,) = found.values() if isinstance(found, dict) else [found]
    np.testing.assert_allclose(np.asarray(value), expected, rtol=1e-5)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", ["bare_graph", "meta_graph_message", "checkpoint_of_objects"])
def test_what_cannot_be_called_says_why(samples: Built, name: str) -> None:
    with pytest.raises(tfmagic.UnsupportedConversionError, match=r"no values|nothing that can be called"):
        tfmagic.code("run", samples[name])
