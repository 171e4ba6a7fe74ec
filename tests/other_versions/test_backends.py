"""Keras on JAX, PyTorch and numpy, with TensorFlow and without: what there is is right, what there is not is said."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.other_versions import environments, networks

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = os.environ.get("TFMAGIC_VERSIONS", "")
if not FOLDER:
    pytest.skip("`make test-versions` makes the versions and names them in TFMAGIC_VERSIONS", allow_module_level=True)
pytestmark = [
    pytest.mark.slow,
]
CONVERTED = ("run", "ops", "saved_model", "graph_def", "keras", "file", "restore", "restore weights")


def shown(environment: str, backend: str, name: str, folder: Path) -> Mapping[str, Any]:
    """Return what tfmagic makes of a network there; what is so everywhere is asserted."""
    arguments = (str(folder), name)
    done = environments.run(Path(FOLDER), environment, "show_backend", *arguments, backend=backend)
    assert done.returncode == 0, done.stderr[-3000:]
    outcome: Mapping[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert outcome["backend"] == backend
    assert outcome["layers"]
    assert outcome["wrong values"] == outcome["without a row"] == []
    # An optimizer's state is in the file, too.
    assert not Counter(outcome["sizes"]) - Counter(outcome["in file"])
    assert "not known" not in outcome["repr"]
    assert "A graph alone" not in outcome["repr"]
    return outcome


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_a_model_on_jax_becomes_a_graph(name: str, tmp_path: Path) -> None:
    outcomes = shown("jax", "jax", name, tmp_path)["outcomes"]
    assert {what: outcomes[what] for what in CONVERTED if not isinstance(outcomes[what], float)} == {}
    assert max(outcomes[what] for what in CONVERTED) < 1e-5
    assert ".weights.h5" in outcomes["checkpoint"]


@pytest.mark.parametrize(
    ("environment", "backend", "way_out"),
    [
        ("jax", "numpy", "KERAS_BACKEND=tensorflow"),
        ("jax-alone", "jax", 'pip install "tfmagic[cpu]"'),
        ("jax-alone", "numpy", "KERAS_BACKEND=tensorflow"),
        ("torch", "torch", "KERAS_BACKEND=tensorflow"),
        ("torch-alone", "torch", "KERAS_BACKEND=tensorflow"),
    ],
)
def test_what_is_not_to_be_had_is_said_with_the_way_out(
    environment: str, backend: str, way_out: str, tmp_path: Path
) -> None:
    outcome = shown(environment, backend, "branching", tmp_path)
    assert outcome["parts"] == ["variables", "keras"]
    live = {
        what: outcome["outcomes"][what] for what in ("run", "ops", "saved_model", "graph_def", "keras", "checkpoint")
    }
    assert {what: words for what, words in live.items() if way_out not in words} == {}
    files = [outcome["outcomes"][what] for what in ("file", "restore", "restore weights")]
    assert all("KERAS_BACKEND=tensorflow" in words or "pip install" in words for words in files)
