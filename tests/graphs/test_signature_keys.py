from __future__ import annotations

import importlib
import inspect
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.keys import KEYS, key_lists
from tfmagic import errors
from tfmagic.graphs import signature_keys


@pytest.fixture(scope="module")
def sanitize() -> Any:
    """TensorFlow's own rule."""
    pytest.importorskip("tensorflow")
    return importlib.import_module("tensorflow.core.function.polymorphism.function_type").sanitize_arg_name


@pytest.mark.tensorflow
@settings(database=None, derandomize=True)
@given(key=st.one_of(KEYS, st.text(min_size=1)))
def test_the_rule_is_tensorflows(sanitize: Any, key: str) -> None:
    assert signature_keys.argument_name(key) == sanitize(key)


def _is_loadable(sanitize: Any, keys: list[str]) -> bool:
    """Say whether Python lets TensorFlow make parameters of its names."""
    kind = inspect.Parameter.KEYWORD_ONLY
    try:
        inspect.Signature([inspect.Parameter(sanitize(key), kind) for key in keys])
    except ValueError:
        return False
    return True


@pytest.mark.tensorflow
@settings(database=None, derandomize=True)
@given(keys=key_lists())
def test_what_is_refused_is_what_tensorflow_cannot_load(sanitize: Any, keys: list[str]) -> None:
    if _is_loadable(sanitize, keys):
        signature_keys.require_arguments(keys)
    else:
        with pytest.raises(errors.ConversionError) as caught:
            signature_keys.require_arguments(keys, "sums")
        assert "signature 'sums'" in str(caught.value)
        assert any(repr(key) in str(caught.value) for key in keys)


def test_arguments_are_ordered_by_what_becomes_of_them() -> None:
    assert signature_keys.argument_order(["b", "_a", "Z x", "in-2", "in1"]) == ["Z x", "_a", "b", "in1", "in-2"]


def test_two_keys_that_become_one_are_both_named() -> None:
    with pytest.raises(errors.ConversionError, match="'a b', 'a_b' apart"):
        signature_keys.require_arguments(["a b", "c", "a_b"])


@pytest.mark.parametrize("key", ["class", "in", "²x"])
def test_what_is_no_argument_is_named(key: str) -> None:
    with pytest.raises(errors.ConversionError, match="no name of an argument in Python"):
        signature_keys.require_arguments(["x", key])
