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
import sys
from typing import TYPE_CHECKING, Any

from tfmagic import errors, frames
from tfmagic.display import render
from tfmagic.escaping import html_text
from tfmagic.frames import is_missing
from tfmagic.shell.result_tables import Table, fields_of, is_frame, table_of
from tfmagic.shell.terminal_text import as_text, word_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tfmagic.commands.arguments import Command

#: Tables of a model that its JSON has no room for: they have a row a node, and are printed when they are asked for.
_LONG_TABLES = frozenset({"ops", "functions", "costs"})
#: What Markdown takes for nothing but text, wherever it stands.
_PLAIN = re.compile(r"[A-Za-z0-9 ,()%]*|-?[\d.,]+")
#: A cell that begins so is a formula to a program for tables.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
#: What is written for characters that a terminal cannot show.
_ASCII = str.maketrans(
    {"…": "...", "\N{EM DASH}": "-", "\N{MULTIPLICATION SIGN}": "x", "→": "->", "\N{CHECK MARK}": "[ok]"}
)


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
    text = word_of(value)
    return f"'{text}" if isinstance(value, (str, tuple)) and text.startswith(_FORMULA) else text


# JSON


def _json(result: object) -> str:
    # Escaped to ASCII, so that no control character reaches a terminal.
    return json.dumps(_plain(_keys(result)), indent=1, allow_nan=False)


def _keys(result: object) -> object:
    """Return what the JSON of a result says: a table's rows, a model's facts and tables, a dataclass's fields."""
    if hasattr(result, "loaders"):
        return _model(result)
    return fields_of(result) or result


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
    table = table_of(value) if isinstance(value, frames.Rows) or is_frame(value) else None
    if table is not None:
        return [dict(zip(table.columns, map(_plain, row), strict=True)) for row in table.rows]
    if is_missing(value):
        return None
    if dataclasses.is_dataclass(value):
        return _plain(_keys(value))
    return _plain(value.tolist()) if hasattr(value, "tolist") else str(value)


# Markdown


def _markdown(result: object) -> str:
    if isinstance(result, frames.Rows) or is_frame(result):
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
    text = word_of(value)
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
    if isinstance(result, frames.Rows) or is_frame(result):
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
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; media-src data:; '
        "style-src 'unsafe-inline'\">\n"
        f"<title>{html_text(title)}</title>\n</head>\n<body>\n{body}\n</body>\n</html>"
    )


def _html_table(table: Table) -> str:
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in table.columns)
    rows = "\n".join(
        f"<tr>{''.join(f'<td>{html.escape(word_of(value))}</td>' for value in row)}</tr>" for row in table.rows
    )
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>"


_PRINTERS: Mapping[str, Callable[[object], str]] = {
    "text": as_text,
    "csv": _csv,
    "json": _json,
    "markdown": _markdown,
    "html": _page,
}
