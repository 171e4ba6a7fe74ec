"""A layer's configuration in one line: what tells it from others."""

from __future__ import annotations

import pytest

from tests.notebook.panel.test_graph_details import SETTINGS
from tfmagic.notebook.panel import layer_settings

TIMES = "\N{MULTIPLICATION SIGN}"


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (SETTINGS, f"units 4, no bias, kernel 3{TIMES}3, rate 0.25, axis (-1)"),
        ({"strides": [1, 1], "groups": 1, "dilation_rate": (1, 1), "filters": 8}, "filters 8"),
        ({"strides": [2, 2], "padding": "same"}, f"strides 2{TIMES}2, padding same"),
        ({"use_bias": True, "return_sequences": True, "stateful": False}, "return sequences"),
        ({"momentum": 0.999, "epsilon": 0.001, "center": True}, "momentum 0.999, epsilon 0.001, center"),
        ({"layer": {"class_name": "Dense"}, "gamma_initializer": "ones", "name": "x", "rate": None}, ""),
        ({"cell": {"class_name": "LSTMCell", "config": {}}}, ""),
        ({}, ""),
    ],
)
def test_one_line_says_what_differs(settings: dict[str, object], line: str) -> None:
    assert layer_settings.line(settings) == line


@pytest.mark.parametrize(
    ("value", "text"),
    [("relu", "relu"), ("linear", ""), (None, ""), ({"class_name": "LeakyReLU", "config": {}}, "LeakyReLU")],
)
def test_an_activation_is_named(value: object, text: str) -> None:
    assert layer_settings.activation({"activation": value}) == text


def test_what_a_stranger_wrote_there_is_text_and_short() -> None:
    line = layer_settings.line({"note": "\u202e" + "x" * 5000})
    assert line.isprintable()
    assert len(line) <= 120
