"""What is offered for copying says the same when it is pasted, whatever a model calls its things."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tfmagic import errors
from tfmagic.commands import magic_lines
from tfmagic.verbs.conversion.request import Request

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

#: Any text, and often what ends a line, a word or a quote for somebody: Python, IPython, us.
SPECIAL = st.text(st.sampled_from("ab \t\n\r\v\f\x1c\x85\u2028\u2029\u202e\x1b\0'\"\\${}%!?#;=,[](-"), max_size=8)
TEXTS = st.one_of(SPECIAL, st.text(max_size=8)).filter(str.strip)
CALLS: list[tuple[tuple[object, ...], dict[str, Any]]] = []


def said(*arguments: object, **options: Any) -> None:
    CALLS.append((arguments, {name: value for name, value in options.items() if value not in (None, False)}))


@pytest.fixture
def pasting(shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch) -> InteractiveShell:
    """A notebook in which both verbs only note how they are called."""
    monkeypatch.setattr("tfmagic.verbs.export.export", said)
    monkeypatch.setattr("tfmagic.verbs.freeze.freeze", said)
    shell.user_ns |= {"model": "the model", "tfmagic": SimpleNamespace(export=said)}
    return shell


def spoken(request: Request) -> dict[str, Any]:
    """Return the options that a request says, as the verbs are to hear them."""
    options = request.options()
    return {name: value for name, value in options.items() if not (name == "verify" and value is True)}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(destination=TEXTS, tags=TEXTS, signature=TEXTS, key=TEXTS)
def test_a_line_that_is_pasted_calls_what_the_form_says(
    pasting: InteractiveShell, destination: str, tags: str, signature: str, key: str
) -> None:
    request = Request("saved_model", destination, tags=tags, signature=signature, inputs=f"{key}=y:0", verify=False)
    try:
        options, line = spoken(request), magic_lines.line(request, "model")
    except errors.ConversionError:
        return  # a form may hold what is no list of ends
    assert len(line.splitlines()) == 1
    CALLS.clear()
    pasting.run_cell(line).raise_error()  # type: ignore[no-untyped-call]
    ((arguments, heard),) = CALLS
    assert arguments == ("the model", destination)
    assert {name: value for name, value in heard.items() if name != "verify"} == {
        name: value for name, value in options.items() if name != "verify"
    }


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=TEXTS)
def test_a_path_stays_the_path(pasting: InteractiveShell, path: str) -> None:
    line = magic_lines.line(Request("saved_model", "out"), path)
    CALLS.clear()
    if not path.isidentifier():
        pasting.run_cell(line).raise_error()  # type: ignore[no-untyped-call]
        assert Path(str(CALLS[0][0][0])) == Path(path)
