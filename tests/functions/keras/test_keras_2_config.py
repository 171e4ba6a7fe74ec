"""Arguments that Keras 3 lacks: left out where they ask for nothing, else the model is left to Keras 2."""

from __future__ import annotations

from typing import Any

import pytest

from tfmagic.functions.keras import keras_2_config
from tfmagic.functions.keras.keras_2_config import Dialect, NoCounterpart

DIALECT = Dialect({"Dense": ("units", "name", "dtype")}.get, is_old=True)


def dense(**arguments: Any) -> dict[str, Any]:
    return {"class_name": "Dense", "config": {"name": "dense", "units": 2, **arguments}}


@pytest.mark.parametrize("value", [[1, 2], {"a": 1}, [[]], 2, "x", True, 0.5])
def test_an_argument_of_any_kind_that_keras_3_lacks_is_named(value: Any) -> None:
    with pytest.raises(NoCounterpart, match="the argument odd="):
        keras_2_config.modern(dense(odd=value), DIALECT)


@pytest.mark.parametrize("value", [[], {}, None, False, ""])
def test_an_argument_that_asks_for_nothing_is_left_out(value: Any) -> None:
    assert keras_2_config.modern(dense(odd=value, groups=1), DIALECT)["config"].keys() == {"units", "name", "dtype"}


@pytest.mark.parametrize("kind", [["Policy"], {"Policy": 1}, None, 3])
def test_an_odd_policy_stays_as_it_is(kind: Any) -> None:
    policy = {"class_name": kind, "config": {"name": "float16"}}
    assert keras_2_config.modern(dense(dtype=policy), DIALECT)["config"]["dtype"] == policy


def test_what_holds_weights_back_goes_on_where_keras_3_has_it() -> None:
    dialect = Dialect({"Dense": ("units", "name", "dtype", "kernel_regularizer", "kernel_constraint")}.get, is_old=True)
    own = {
        "kernel_regularizer": {"class_name": "L1L2", "config": {"l1": 0.0, "l2": 0.01}},
        "kernel_constraint": {"class_name": "MyOwn", "config": {}},
    }
    config = keras_2_config.modern(dense(**own), dialect)["config"]
    assert config["kernel_regularizer"]["class_name"] == "L1L2"
    assert config["kernel_regularizer"]["config"] == {"l1": 0.0, "l2": 0.01}
    assert "kernel_constraint" not in config
