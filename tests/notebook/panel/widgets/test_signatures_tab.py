from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import tfmagic
from tfmagic.notebook.panel.widgets import signatures_tab

if TYPE_CHECKING:
    from tests.samples import Built


def test_of_a_keras_file_nothing_is_traced_for_what_the_file_says(samples: Built) -> None:
    script = (
        "import sys, tfmagic\n"
        "from tfmagic.notebook.panel.widgets import signatures_tab\n"
        "model = tfmagic.inspect(sys.argv[1])\n"
        "(section,) = signatures_tab.sections(model, 'model')\n"
        "print(section['copies'][0]['text'])\n"
        "sys.exit(str({'tensorflow', 'keras'} & set(sys.modules)) if {'tensorflow', 'keras'} & set(sys.modules) else 0)"
    )
    command = [sys.executable, "-c", script, str(samples["keras_archive"])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "keras.saving.load_model" in done.stdout
    assert "outputs = model(np.zeros((1, 4), 'float32'), training=False)" in done.stdout


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("saved_model_tf2", ["Python", "REST request", "gRPC request"]),
        (
            "keras_archive",
            [
                "Python",
                "REST request, once exported as a SavedModel",
                "gRPC request, once exported as a SavedModel",
            ],
        ),
        ("tflite", ["Python"]),
    ],
)
def test_a_request_is_offered_of_what_a_server_can_have(samples: Built, name: str, labels: list[str]) -> None:
    sections = signatures_tab.sections(tfmagic.inspect(samples[name]), "model")
    assert [copy["label"] for copy in sections[0]["copies"]] == labels
