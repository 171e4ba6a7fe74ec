"""The inputs and outputs of a conversion as rows: ticked, with the key that each is to have.

An input that is not ticked may be fixed at a value; tensors that are no ends yet are added by name. Not for: what is
said of them as text (:mod:`tfmagic.verbs.conversion.plan_names`).
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import ipywidgets

from tfmagic import errors
from tfmagic.display.card_ends import shape_words
from tfmagic.escaping import html_text
from tfmagic.graphs import signatures
from tfmagic.graphs.signatures import own_key
from tfmagic.notebook.panel import cell_text
from tfmagic.notebook.panel.widgets import forms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tfmagic.graphs.signatures import Endpoint

#: Rows of one side: what is more is named as text.
MOST_ROWS = 24
#: Names that are proposed while one is typed.
_MOST_PROPOSED = 400


class EndRow(ipywidgets.Box):  # type: ignore[misc] # ipywidgets has no types
    """One input or output.

    Parameters
    ----------
    name : str
        The key that the source has, or the tensor's name.
    key : str
        The key that it is to have unless another is typed.
    detail : str
        Markup that says its shape and dtype.
    can_fix : bool
        Whether it can be made a constant in place of an input.
    changed : callable
        Called after each change.
    """

    def __init__(self, name: str, key: str, detail: str, changed: Callable[[], None], *, can_fix: bool) -> None:
        self.name, self.default_key = name, key
        shown = cell_text.cell_text(name)
        self.tick = ipywidgets.Checkbox(value=True, description=shown, indent=False, tooltip=shown)
        # Without a description of its own, a field goes by its tooltip; "as" before it is the style sheet's.
        self.key = ipywidgets.Text(value=key, tooltip=f"Key of {shown}")
        self.value = ipywidgets.Text(placeholder="left out; or a value", tooltip=f"Value that {shown} is fixed at")
        self._can_fix = can_fix
        super().__init__(children=(self.tick, self.key, self.value, ipywidgets.HTML(detail)))
        self.add_class("tfm-end-row")
        self.show()
        for control in (self.tick, self.key, self.value):
            control.observe(lambda _: self._changed(changed), "value")

    def _changed(self, changed: Callable[[], None]) -> None:
        self.show()
        changed()

    def show(self) -> None:
        """Ask for the key of what is taken, for the value of what is not."""
        forms.show(self.key, shown=self.tick.value)
        forms.show(self.value, shown=not self.tick.value and self._can_fix)

    @property
    def wanted_key(self) -> str:
        """The key that it is to have."""
        return self.key.value.strip() or self.default_key

    @property
    def is_fixed(self) -> bool:
        """Whether it becomes a constant."""
        return self._can_fix and not self.tick.value and bool(self.value.value.strip())

    def constant(self) -> object:
        """Return the value that it is fixed at.

        Raises
        ------
        ConversionError
            If that is none that Python writes.
        """
        text = self.value.value.strip()
        try:
            return ast.literal_eval(text)
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            raise errors.ConversionError(
                f"{text!r}, at which {self.name!r} is fixed, is no value; write it as Python does: 1.0 or [2, 3]"
            ) from None


class Ends(ipywidgets.VBox):  # type: ignore[misc] # ipywidgets has no types
    """The rows of one side, and the field that adds one.

    Parameters
    ----------
    side : str
        ``"inputs"`` or ``"outputs"``.
    changed : callable
        Called after each change.
    """

    def __init__(self, side: str, changed: Callable[[], None]) -> None:
        self.side = side
        self._changed = changed
        self._known: tuple[Endpoint, ...] = ()
        self._added: list[EndRow] = []
        self._is_quiet = False
        noun = side.removesuffix("s")
        self._title = ipywidgets.HTML()
        self.rows = ipywidgets.VBox()
        self.rows.add_class("tfm-end-rows")
        self.add = forms.field(
            ipywidgets.Combobox,
            f"Add an {noun}",
            placeholder="a tensor or a layer, by its name",
            continuous_update=False,
        )
        self.add.observe(self._add, "value")
        # More outputs are often wanted, more inputs seldom: the form has that field among its options.
        super().__init__(children=(self._title, self.rows, *((self.add,) if side == "outputs" else ())))

    # What may be chosen

    def offer(self, ends: Sequence[Endpoint], names: Iterable[str] = (), *, can_fix: bool = False) -> None:
        """Show the ends that the source has, all ticked, unless these are the ones that are shown.

        Parameters
        ----------
        ends : sequence of Endpoint
            Those of the signature.
        names : iterable of str
            What else may be added, to be proposed.
        can_fix : bool
            Whether an input can be made a constant.
        """
        proposed = list(names)[:_MOST_PROPOSED]
        if proposed and not self.add.options:
            self.add.options = proposed
        if tuple(ends) == self._known and self.rows.children:
            return
        self._known = tuple(ends)
        self._added = []
        self.rows.children = [
            EndRow(end.key, end.key, _detail(end), self._told, can_fix=can_fix and self.side == "inputs")
            for end in ends[:MOST_ROWS]
        ]
        self._count()

    def _count(self) -> None:
        count = len(self.rows.children)
        left = len(self._known) - MOST_ROWS
        title = (self.side if count != 1 else self.side.removesuffix("s")).capitalize()
        more = f" <span class='tfm-quiet'>and {left:,} more, to be named as text</span>" if left > 0 else ""
        self._title.value = f"<span class='tfm-quiet'>{title}</span>{more}"

    def _told(self) -> None:
        if not self._is_quiet:
            self._changed()

    def _add(self, _change: object) -> None:
        """Add a row for what was typed, and take the text away."""
        name = self.add.value.strip()
        if not name:
            return
        self.add.value = ""
        if name not in [row.name for row in self.rows.children]:
            self._append(name)
            self._told()

    def _append(self, name: str) -> EndRow:
        row = EndRow(name, own_key(name), "", self._told, can_fix=False)
        self._added.append(row)
        self.rows.children = (*self.rows.children, row)
        self._count()
        return row

    # What is chosen

    @property
    def said(self) -> Mapping[str, str] | str:
        """The tensors by the keys that they are to have; ``""`` where the source's own are meant.

        Raises
        ------
        ConversionError
            If two have one key, or no output is ticked.
        """
        rows: list[EndRow] = list(self.rows.children)
        taken = [row for row in rows if row.tick.value]
        left_out = [row for row in rows if not row.tick.value and not row.is_fixed and row not in self._added]
        is_own = not left_out and all(row.wanted_key == row.default_key for row in taken)
        if is_own and not any(row in self._added for row in taken):
            return ""
        if not taken and self.side == "outputs":
            raise errors.ConversionError("no output is ticked; tick at least one")
        keys = [row.wanted_key for row in taken]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise errors.ConversionError(f"the key {twice!r} is given twice; give one of both another")
        hidden = {end.key: end.key for end in self._known[MOST_ROWS:]}
        return {**dict(zip(keys, (row.name for row in taken), strict=True)), **hidden}

    @property
    def constants(self) -> dict[str, object]:
        """The values of the inputs that are fixed."""
        return {row.name: row.constant() for row in self.rows.children if row.is_fixed}

    def choose(self, tensors: Mapping[str, str]) -> None:
        """Tick these tensors alone, under these keys; those that are no ends get rows."""
        self._is_quiet = True
        try:
            rows: list[EndRow] = [row for row in self.rows.children if row not in self._added]
            self._added = []
            self.rows.children = rows
            for row in rows:
                row.tick.value = False
            for key, name in tensors.items():
                end = signatures.find(self._known[:MOST_ROWS], name)
                known = [each for each in rows if end is not None and each.name == end.key]
                row = known[0] if known else self._append(name)
                row.tick.value, row.key.value = True, key
            self._count()
        finally:
            self._is_quiet = False
        self._changed()

    def fix(self, name: str, value: object) -> bool:
        """Fix an input at a value, and say whether there is such a row."""
        row = next((row for row in self.rows.children if row.name == name and row not in self._added), None)
        if row is None:
            return False
        row.tick.value, row.value.value = False, repr(value)
        return True


def _detail(end: Endpoint) -> str:
    size, rest = shape_words(end.shape, end.dtype)
    return f"{html_text(size)} <span class='tfm-quiet'>{html_text(rest)}</span>"
