"""Work in a thread of its own, one piece at a time, with the controls that begin it, show it and stop it.

Handlers return at once, with ipykernel's subshells and without, so that the button that stops is always answered. Not
for: what the work is, nor short reading (:mod:`tfmagic.notebook.panel.widgets.threads`).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import ipywidgets

from tfmagic import errors, progress
from tfmagic.notebook.panel.widgets import forms, threads
from tfmagic.notebook.panel.widgets.panel import problem_line, said
from tfmagic.runtime import keras as keras_runtime

if TYPE_CHECKING:
    from collections.abc import Callable

    from tfmagic.notebook.panel.widgets.protocols import Place
    from tfmagic.progress import Stage

#: What the styles of a bar are called in the style sheet.
_TONES = {"success": ("tfm-says", "tfm-good"), "danger": ("tfm-says", "tfm-bad"), "warning": ("tfm-says",)}
_ALL_TONES = ("tfm-says", "tfm-good", "tfm-bad")


class Work:
    """One piece of work at a time.

    Parameters
    ----------
    verb : str
        What the button that begins it says.
    panel : Place
        The panel around the tab.
    failed : callable, optional
        Called with the error of work that failed, once that is said.

    Attributes
    ----------
    start, stop, vouch : Act
        The handlers of ``start`` and ``vouch`` are the tab's own; the latter is beside an error that asks for trust.
    bar : ipywidgets.FloatProgress
        From 0 to 1.
    status : ipywidgets.HTML
        What is being done, or what became of it, in one line that a screen reader says.
    """

    def __init__(self, verb: str, panel: Place, failed: Callable[[BaseException | None], None] | None = None) -> None:
        self._failed = failed
        self.start = forms.Act(verb, is_primary=True)
        self.stop = forms.Act("Cancel", is_off=True)
        self.vouch = forms.Act("Trust the model, and go on")
        forms.show(self.vouch, shown=False)
        self.bar = ipywidgets.FloatProgress(
            description="Progress",
            min=0.0,
            max=1.0,
            style=forms.STYLE,
            layout=ipywidgets.Layout(width=forms.WIDTH),
        )
        forms.show(self.bar, shown=False)
        self.status = said("")
        self._verb = verb
        self._panel = panel
        self._lock = threading.Lock()
        self._watch: progress.Watch | None = None
        self._thread: threading.Thread | None = None
        self._is_allowed = True
        self.stop.on_click(lambda _: self.cancel())

    @property
    def controls(self) -> tuple[ipywidgets.Widget, ...]:
        """The widgets, one below the other."""
        return (forms.row(self.start, self.stop, self.vouch), self.bar, self.status)

    @property
    def is_running(self) -> bool:
        """Whether something is being done."""
        return self._watch is not None

    def begin(self, call: Callable[[], Any], done: Callable[[Any], str], cancelled: str = "Cancelled.") -> bool:
        """Do something, unless something is being done already.

        Parameters
        ----------
        call : callable
            The work.
        done : callable
            Shows its result, and returns what is said of it.
        cancelled : str
            What is said where it was stopped.

        Returns
        -------
        bool
            Whether it was begun.
        """
        with self._lock:
            if self._watch is not None:
                return False
            self._watch = watch = progress.Watch(self._show)
        settings = _settings(self._panel)
        self._set_running()
        self._say(f"{self._verb} …")

        def run() -> None:
            settings()
            self._run(watch, call, done, cancelled)

        self._thread = threads.begin(run, self._verb)
        return True

    def cancel(self) -> None:
        """Ask what is being done to stop."""
        with self._lock:
            watch = self._watch
            if watch is None:
                return
            # Said before it is asked: the work may be over at once, and its own word is the last.
            self.stop.is_off = True
            self._say("Cancelling …")
        watch.cancel()

    def allow(self, *, allowed: bool) -> None:
        """Say whether the work can be begun; while something is being done it cannot."""
        with self._lock:
            self._is_allowed = allowed
            self.start.is_off = self._watch is not None or not allowed

    def wait(self, seconds: float | None = None) -> None:
        """Wait until nothing is being done."""
        if self._thread is not None:
            self._thread.join(seconds)

    def tell(self, text: str, style: str = "") -> None:
        """Say something, unless work is being done that has its own to say."""
        if not self.is_running:
            self.bar.bar_style = style
            self._say(text, style)

    def refused(self, error: BaseException | None) -> None:
        """Offer to vouch for the model where it is that which is asked for."""
        forms.show(self.vouch, shown=isinstance(error, errors.UntrustedCodeError))

    def _say(self, text: str, style: str = "") -> None:
        """Say something, at its end in a tone of its own; a screen reader says it either way."""
        self.status.value = said(text).value
        wanted = _TONES.get(style, ()) if text else ()
        for name in _ALL_TONES:
            (self.status.add_class if name in wanted else self.status.remove_class)(name)

    def _set_running(self) -> None:
        self.refused(None)
        self.start.is_off, self.stop.is_off = True, False
        self.bar.value, self.bar.bar_style = 0.0, ""
        forms.show(self.bar, shown=True)

    def _show(self, stage: Stage) -> None:
        """Show where the call is; only a new stage is said aloud."""
        self.bar.value = stage.total
        with self._lock:
            if not stage.share and not self.stop.is_off:
                self._say(f"{stage.name.capitalize()} … (step {stage.place + 1} of {stage.count})")

    def _run(self, watch: progress.Watch, call: Callable[[], Any], done: Callable[[Any], str], cancelled: str) -> None:
        style, text = "danger", ""
        refusal: BaseException | None = None
        try:
            with progress.watched(watch):
                result = call()
            style, text = "success", done(result)
        except progress.CancelledError:
            style, text = "warning", cancelled
        except BaseException as error:  # noqa: BLE001 - a model, or a user's expression, raises anything
            text, refusal = problem_line(error), error
        finally:
            self.refused(refusal)
            self.bar.value, self.bar.bar_style = 1.0 if style == "success" else self.bar.value, style
            # What became of it is said below: a bar that goes nowhere any more says nothing.
            forms.show(self.bar, shown=False)
            with self._lock:
                self._say(text, style)
                self._watch = None
                self.start.is_off, self.stop.is_off = not self._is_allowed, True
            if refusal is not None and self._failed is not None:
                self._failed(refusal)


def _settings(panel: Place) -> Callable[[], None]:
    """Return what gives a thread the settings that the user made for threads one by one.

    A subshell's handlers run in threads that the user's code never ran in: there, those count that the panel was made
    with.
    """
    if threading.current_thread() is threading.main_thread():
        return keras_runtime.thread_settings()
    made_with: Callable[[], None] | None = getattr(panel, "settings", None)
    return made_with or keras_runtime.thread_settings()
