"""What TensorFlow keeps for each thread, remembered and put back, whatever was interrupted in between.

A ``with`` block whose end is interrupted is not left: TensorFlow would stay in graph mode, on another device or in a
graph of ours. Not for: entering any of these.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_CONTEXT, _GRAPHS = "tensorflow.python.eager.context", "tensorflow.python.framework.ops"
_TAPES = "tensorflow.python.pywrap_tfe"
_SETTINGS = ("is_eager", "device_name", "device_spec", "scope_name")


def remembered() -> Callable[[], None]:
    """Return what gives this thread back the mode, device, scope and default graph that it has now.

    There is no public way to set them but by ``with``. The fallback, where TensorFlow keeps them elsewhere, is to leave
    them alone. If TensorFlow is not imported yet, what is put back is how it begins.
    """
    settings = _settings()
    before = {name: getattr(settings, name) for name in _SETTINGS} if settings is not None else {}
    stacks = [(stack, list(stack)) for stack in _stacks()]
    were_recording = _are_recording()

    def put_back() -> None:
        settings = _settings()
        for name, value in (before or _at_first(settings)).items():
            if getattr(settings, name) != value:
                setattr(settings, name, value)
        known = {id(stack): content for stack, content in stacks}
        for place, stack in enumerate(_stacks()):
            # The first entry of the switches is how the thread began; a stack of graphs begins empty.
            content = known.get(id(stack), stack[: 1 - place])
            if stack != content:
                stack[:] = content
        if were_recording and not _are_recording():
            sys.modules[_TAPES].TFE_Py_TapeSetRestartOnThread()

    return put_back


def _are_recording() -> bool:
    """Say whether gradient tapes of this thread record: ``tf.init_scope`` stops them while it is entered."""
    module = sys.modules.get(_TAPES)
    if not hasattr(module, "TFE_Py_TapeSetRestartOnThread"):
        return True
    return not getattr(module, "TFE_Py_TapeSetIsStopped", lambda: False)()


def _at_first(settings: Any) -> dict[str, Any]:  # noqa: ANN401 - an object of TensorFlow's
    """Return the mode in which a thread begins."""
    if settings is None:
        return {}
    with suppress(AttributeError):
        module = sys.modules[_CONTEXT]
        return {"is_eager": module.default_execution_mode == module.EAGER_MODE}
    return {}


def _settings() -> Any:  # noqa: ANN401 - an object of TensorFlow's
    """Return what TensorFlow keeps for this thread, None if it is not imported or keeps it elsewhere."""
    context = _context()
    settings = getattr(context, "_thread_local_data", None)
    return settings if all(hasattr(settings, name) for name in _SETTINGS) else None


def _context() -> Any:  # noqa: ANN401 - an object of TensorFlow's
    # Only looked up: a context that nobody made yet is in no state.
    return getattr(sys.modules.get(_CONTEXT), "_context", None)


def _stacks() -> list[list[Any]]:
    """Return the stack of this thread's switches of mode, and that of its default graphs."""
    switches = getattr(getattr(_context(), "context_switches", None), "stack", None)
    graphs = getattr(getattr(sys.modules.get(_GRAPHS), "_default_graph_stack", None), "stack", None)
    return [switches, graphs] if isinstance(switches, list) and isinstance(graphs, list) else []
