"""The table of costs: by layers or scopes, at a depth, the same through Python, magic and shell."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import tfmagic
from tfmagic import errors, frames
from tfmagic.shell import command_line

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def nested(tf: Any) -> Any:
    """A model with a model in it, whose layers are called like those around it."""
    del tf
    import keras  # noqa: PLC0415

    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="dense")], name="inner")
    return keras.Sequential([keras.Input((5,)), keras.layers.Dense(4, name="dense"), inner], name="outer")


@pytest.mark.tensorflow
def test_a_nested_model_is_one_row_until_a_depth_opens_it(nested: Any) -> None:
    model = tfmagic.inspect(nested)
    whole = model.costs
    assert whole["scope"].tolist()[-2:] == ["dense", "inner"]
    assert whole["flops"].tolist()[-2:] == [2 * 5 * 4 + 4, 2 * 4 * 3 + 3]
    assert whole.attrs["total"] == "71 FLOPs for a batch of one"
    opened = model.table("costs", depth=2)
    assert [name for name in opened["scope"] if name.startswith("inner")][-1] == "inner/dense"
    assert opened["flops"].sum() == whole["flops"].sum()
    assert opened["activation_bytes"].sum() == whole["activation_bytes"].sum()


@pytest.mark.tensorflow
def test_a_served_model_costs_what_the_live_one_does_at_each_depth(nested: Any, tmp_path: Path) -> None:
    tfmagic.export(nested, tmp_path / "served")
    served = tfmagic.inspect(tmp_path / "served")
    assert served.costs["flops"].sum() == 71
    assert served.costs["parameters"].sum() == nested.count_params()
    deep = served.table("costs", depth=9)
    assert deep["flops"].sum() == 71
    assert deep["scope"].iloc[-1].endswith("/inner/dense")
    assert served.costs["scope"].iloc[-1].endswith("/inner")


@pytest.mark.tensorflow
def test_python_magic_and_shell_give_the_same(
    nested: Any, tmp_path: Path, shell: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    tfmagic.export(nested, tmp_path / "served")
    wanted = tfmagic.inspect(tmp_path / "served").table("costs", depth=3)
    shell.user_ns["place"] = str(tmp_path / "served")
    assert shell.run_line_magic("tf_inspect", "{place} --costs --depth 3").equals(wanted)
    words = ["inspect", str(tmp_path / "served"), "--costs", "--depth", "3", "--as", "json"]
    capsys.readouterr()
    assert command_line.run(words) == command_line.DONE
    assert json.loads(capsys.readouterr().out) == json.loads(wanted.to_json(orient="records"))


def test_a_form_without_layers_or_graph_says_what_is_missing(tmp_path: Path) -> None:
    text = 'node { name: "x" op: "Placeholder" }'
    (tmp_path / "x.pbtxt").write_text(text)
    assert list(tfmagic.inspect(tmp_path / "x.pbtxt").costs.columns) == frames.columns("costs")


def test_the_total_says_at_least_where_a_row_is_not_known() -> None:
    assert str(frames.TotalCost.of([1200, None])) == "at least 1,200 FLOPs for a batch of one"
    assert str(frames.TotalCost.of([1200, 0])) == "1,200 FLOPs for a batch of one"


@pytest.mark.tensorflow
def test_weights_alone_have_no_costs(nested: Any, tmp_path: Path) -> None:
    nested.save_weights(tmp_path / "m.weights.h5")
    with pytest.raises(errors.MissingPartError, match="'costs'"):
        _ = tfmagic.inspect(tmp_path / "m.weights.h5").costs
