"""Results on standard output: text, CSV, JSON, Markdown, a page of HTML, and what a verb prints beside these.

Every string of a model is written so that the place it lands in takes it for text. Not for: which result a verb has
(``verbs/``), or what a display says of it (``display/``).
"""

from __future__ import annotations

import base64
import csv
import dataclasses
import html
import io
import json
import math
import re
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, Any, NamedTuple

from tfmagic import errors, frames
from tfmagic.display import render
from tfmagic.files import writing
from tfmagic.frames import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tfmagic.commands.arguments import Command

#: Tables of a model that its JSON has no room for: they have a row a node, and are printed when they are asked for.
_LONG_TABLES = frozenset({"ops", "functions", "costs"})
#: Between the columns of a table.
_GAP = "  "
#: Below this width a column says nothing.
_NARROWEST = 8
#: What Markdown takes for nothing but text, wherever it stands.
_PLAIN = re.compile(r"[A-Za-z0-9 ,()%]*|-?[\d.,]+")
#: A cell that begins so is a formula to a program for tables.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
#: What is written for characters that a terminal cannot show.
_ASCII = str.maketrans({"…": "...", "\N{EM DASH}": "-", "\N{MULTIPLICATION SIGN}": "x", "→": "->"})


class Table(NamedTuple):
    """A table, of pandas or not: its columns and its rows."""

    columns: list[str]
    rows: list[tuple[Any, ...]]


class Written(render.Sectioned):
    """A model that was written, shown by what is known without reading it again.

    Parameters
    ----------
    model : Model
        As the verb returned it.
    """

    def __init__(self, model: Any) -> None:  # noqa: ANN401 - a Model
        self._model = model

    def shown_sections(self) -> tuple[str, list[render.Section]]:
        """Return where it lies, its size, its signatures and its notes."""
        model = self._model
        size = writing.size_of(model.path)
        facts = [("size", render.size_text(size)), *(("note", note) for note in model.notes)]
        return f"{model.form}: {model.origin}", [render.Section("Written", facts)]

    @property
    def signatures(self) -> frames.Rows | None:
        """Its signatures, as rows."""
        rows: frames.Rows | None = self._model.rows("signatures")
        return rows


def formats(command: Command) -> tuple[str, ...]:
    """Return the formats that a verb's result can be printed in."""
    return (*_PRINTERS, *command.shell.printers)


def printed(result: object, format: str, command: Command) -> str:
    """Return a result as text in a format, the last line ended."""
    written = {**_PRINTERS, **command.shell.printers}[format](result)
    return written if written.endswith("\n") or not written else written + "\n"


def write(text: str) -> None:
    """Write text to standard output, in ASCII where it cannot encode more."""
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(_ASCII).encode(encoding, "backslashreplace").decode(encoding)
    sys.stdout.write(text)
    sys.stdout.flush()


def table_of(result: object) -> Table | None:
    """Return a result that is a table, or the one table that it is about; None if it has none or several."""
    if isinstance(result, frames.Rows):
        return Table(result.columns, list(map(tuple, result.rows)))
    if _is_frame(result):
        frame: Any = result
        if frame.index.name is not None:
            frame = frame.reset_index()
        return Table(list(map(str, frame.columns)), list(frame.itertuples(index=False, name=None)))
    fields = _fields(result)
    for name in ("table", "verification"):
        if _is_frame(fields.get(name)):
            return table_of(fields[name])
    return None


def _is_frame(value: object) -> bool:
    """Say whether a value is a DataFrame, without importing pandas for it."""
    return type(value).__module__ != "builtins" and hasattr(value, "itertuples")


def _fields(result: object) -> dict[str, Any]:
    """Return the public fields of a result that is a frozen dataclass."""
    if not dataclasses.is_dataclass(result):
        return {}
    return {
        each.name: getattr(result, each.name) for each in dataclasses.fields(result) if not each.name.startswith("_")
    }


# Text


def _text(result: object) -> str:
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    if isinstance(result, frames.Rows) or _is_frame(result):
        table = table_of(result)
        return "" if table is None else "\n".join(_laid_out(table, width))
    lines = repr(result).split("\n")
    table = table_of(result.signatures) if isinstance(result, Written) else None
    lines += (
        [] if table is None else ["", "Signatures", *(f"  {line}" for line in _laid_out(table, width and width - 2))]
    )
    return "\n".join(lines if width is None else _folded(lines, width))


def _laid_out(table: Table, width: int | None) -> list[str]:
    """Lay out a table in columns, narrower ones where the terminal is."""
    rows = [table.columns, *([_short(value) for value in row] for row in table.rows)]
    sizes = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if width is not None:
        sizes = _fitted(sizes, width)
    return [_GAP.join(_cut(cell, size) for cell, size in zip(row, sizes, strict=True)).rstrip() for row in rows]


def _fitted(sizes: list[int], width: int) -> list[int]:
    """Take from the widest columns what does not fit into a line."""
    sizes = list(sizes)
    while sizes and sum(sizes) + len(_GAP) * (len(sizes) - 1) > width and max(sizes) > _NARROWEST:
        sizes[sizes.index(max(sizes))] -= 1
    return sizes


def _cut(cell: str, size: int) -> str:
    return cell.ljust(size) if len(cell) <= size else cell[: size - 1] + "…"


def _folded(lines: Iterable[str], width: int) -> Iterator[str]:
    """Continue lines that are too long in the next one, further to the right."""
    for line in lines:
        indent = " " * (len(line) - len(line.lstrip()) + 4)
        folded = textwrap.wrap(
            line, width, subsequent_indent=indent, drop_whitespace=True, replace_whitespace=False, tabsize=1
        )
        yield from folded or [""]


def _word(value: object) -> str:
    """Word a cell as a display does, without cutting it."""
    if isinstance(value, tuple):
        text = ", ".join(map(str, value)) if value and isinstance(value[0], str) else str(value)
    else:
        text = "" if _is_missing(value) else str(value)
    return visible(text)


def _short(value: object) -> str:
    """Word a cell for people: no number has more digits than say something."""
    return f"{value:.6g}" if isinstance(value, float) else _word(value)


def _is_missing(value: object) -> bool:
    return value is None or type(value).__name__ in ("NAType", "NaTType")


# CSV


def _csv(result: object) -> str:
    table = table_of(result)
    if table is None:
        raise errors.TfMagicError(
            "CSV is for one table, and this result is none: ask for one of its tables, or for --as json"
        )
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows([_inert(value) for value in row] for row in table.rows)
    return written.getvalue()


def _inert(value: object) -> str:
    """Word a cell so that a program for tables takes no name for a formula."""
    text = _word(value)
    return f"'{text}" if isinstance(value, (str, tuple)) and text.startswith(_FORMULA) else text


# JSON


def _json(result: object) -> str:
    # Escaped to ASCII, so that no control character reaches a terminal.
    return json.dumps(_plain(_keys(result)), indent=1, allow_nan=False)


def _keys(result: object) -> object:
    """Return what the JSON of a result says: a table's rows, a model's facts and tables, a dataclass's fields."""
    if hasattr(result, "loaders"):
        return _model(result)
    return _fields(result) or result


def _model(model: Any) -> dict[str, object]:  # noqa: ANN401 - a Model
    content: dict[str, object] = {
        "form": model.form,
        "origin": model.origin,
        "path": model.path,
        "parts": model.parts,
        "notes": model.notes,
        "cautions": model.cautions,
    }
    for name in frames.ROW_TYPES:
        if name in _LONG_TABLES:
            continue
        try:
            rows = model.rows(name)
            content[name] = model.table(name) if rows is None else rows
        except errors.MissingPartError:
            continue
    return content


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever a result holds
    """Turn a value into what JSON has."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, (float, bytes)):
        return _plain_scalar(value)
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)) and not isinstance(value, frames.Rows):
        return [_plain(each) for each in value]
    return _plain_object(value)


def _plain_scalar(value: float | bytes) -> object:
    """Turn a number into one that JSON has, NaN into null; bytes that are no text as TensorFlow Serving has them."""
    if isinstance(value, float):
        return value if math.isfinite(value) else (None if math.isnan(value) else str(value))
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode()}


def _plain_object(value: Any) -> Any:  # noqa: ANN401 - as above
    """Turn a table into its rows, a dataclass into its fields, an array into lists."""
    table = table_of(value) if isinstance(value, frames.Rows) or _is_frame(value) else None
    if table is not None:
        return [dict(zip(table.columns, map(_plain, row), strict=True)) for row in table.rows]
    if _is_missing(value):
        return None
    if dataclasses.is_dataclass(value):
        return _plain(_keys(value))
    return _plain(value.tolist()) if hasattr(value, "tolist") else str(value)


# Markdown


def _markdown(result: object) -> str:
    if isinstance(result, frames.Rows) or _is_frame(result):
        table = table_of(result)
        return "" if table is None else _markdown_table(table, len(table.rows))
    if not hasattr(result, "shown_sections"):
        return _fenced(repr(result))
    heading, sections = result.shown_sections()
    blocks = [f"### {_marked(heading)}"]
    for section in sections:
        blocks.append(f"**{_marked(section.title)}**")
        if section.facts:
            blocks.append("\n".join(f"- {_marked(name)}: {_marked(value)}" for name, value in section.facts))
        if section.table is not None:
            table = table_of(section.table)
            blocks += [] if table is None else [_markdown_table(table, render.MAX_ROWS, section.total)]
    return "\n\n".join(blocks)


def _markdown_table(table: Table, most: int, total: int | None = None) -> str:
    lines = [table.columns, ["---"] * len(table.columns)]
    lines += [[_marked(value) for value in row] for row in table.rows[:most]]
    rest = (len(table.rows) if total is None else total) - min(len(table.rows), most)
    more = f"\n\n… and {rest:,} more" if rest > 0 else ""
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + more


def _marked(value: object) -> str:
    """Word a value for Markdown: in a code span, in which nobody is mentioned and nothing is linked, if need be."""
    text = _word(value)
    if _PLAIN.fullmatch(text):
        return text
    if not set("`|\\").intersection(text):
        return f"`{text}`"
    # In a code span of a table no escape is sure.
    return "<code>" + "".join(char if char.isalnum() or char == " " else f"&#{ord(char)};" for char in text) + "</code>"


def _fenced(text: str) -> str:
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}\n{text.rstrip()}\n{fence}"


# HTML


def _page(result: object) -> str:
    if isinstance(result, frames.Rows) or _is_frame(result):
        table = table_of(result)
        title, body = "tfmagic", "" if table is None else _html_table(table)
    else:
        shown: Any = result
        title, body = type(result).__name__, shown._repr_html_()
        title = getattr(result, "origin", title)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        # Nothing is fetched, and no script runs, whatever a name holds.
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">\n"
        f"<title>{html.escape(visible(str(title)))}</title>\n</head>\n<body>\n{body}\n</body>\n</html>"
    )


def _html_table(table: Table) -> str:
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in table.columns)
    rows = "\n".join(
        f"<tr>{''.join(f'<td>{html.escape(_word(value))}</td>' for value in row)}</tr>" for row in table.rows
    )
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>"


_PRINTERS: Mapping[str, Callable[[object], str]] = {
    "text": _text,
    "csv": _csv,
    "json": _json,
    "markdown": _markdown,
    "html": _page,
}
