"""Values for inputs as a form has them, and the line and the plan that they lead to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import tfmagic
from tests.session_samples import SITUATIONS
from tfmagic import errors
from tfmagic.commands import magic_lines
from tfmagic.files import protos
from tfmagic.graphs.signatures import Endpoint
from tfmagic.verbs.conversion import plan_names
from tfmagic.verbs.conversion.plan import plan
from tfmagic.verbs.conversion.request import Request

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("keep_prob=1.0", {"keep_prob": 1.0}),
        ("net/keep:0=[1, 2], training=False", {"net/keep:0": [1, 2], "training": False}),
        ("word='a,b'", {"word": "a,b"}),
        ("", None),
    ],
)
def test_values_are_literals(text: str, found: object) -> None:
    assert plan_names.constants(text) == found


@pytest.mark.parametrize("text", ["keep_prob", "keep_prob=", "keep_prob=often"])
def test_what_binds_nothing_is_refused(text: str) -> None:
    with pytest.raises(errors.ConversionError, match="INPUT=VALUE"):
        plan_names.constants(text)


def test_a_line_says_it() -> None:
    request = Request("saved_model", "served", bind="keep=1.0")
    assert magic_lines.line(request, "session") == "%tf_export session served --bind keep=1.0"


@pytest.mark.tensorflow
def test_a_plan_tells_which_tensors_become_handles(tmp_path: Path) -> None:
    model = tfmagic.inspect(SITUATIONS["default_value"](tmp_path).session)
    told = plan(model, Request("saved_model", str(tmp_path / "m")), plan_names.Names(plan_names.signed(model)))
    assert [line for line in told.lost if "'w:0'" in line and "w/read:0" in line]


def test_a_plan_counts_no_bound_input(tmp_path: Path) -> None:
    ends = plan_names.Ends(
        (Endpoint("x", "x:0", "float32", (None, 2)), Endpoint("rate", "rate:0", "float32", ())),
        (Endpoint("y", "y:0", "float32", (None, 2)),),
    )
    text = 'node { name: "x" op: "Placeholder" } node { name: "rate" op: "Placeholder" } '
    model = tfmagic.inspect(protos.parse_text("GraphDef", text + 'node { name: "y" op: "Mul" input: ["x", "rate"] }'))
    for bind, problems in (("rate=2.0", []), ("x:0=[[1.0, 2.0]]", ["batch"])):
        told = plan(
            model, Request("saved_model", str(tmp_path / "m"), bind=bind, batch=4), plan_names.Names({"f": ends})
        )
        assert [problem.field for problem in told.problems] == problems
