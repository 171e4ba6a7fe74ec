"""The verb forms: which forms can be read, and in which formats each can be written.

Not for: what a form or a format is able to do, which stands on its class (``readers/``, ``writers/``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic import readers
from tfmagic.models import writer as writer_base
from tfmagic.writers import WRITERS

if TYPE_CHECKING:
    import pandas as pd


def forms() -> pd.DataFrame:
    """Return which forms can be read, how they look, and in which formats each can be written.

    The table is computed from what readers have and writers need. A single source may have less than its form: a
    Keras file with weights alone has no function.

    Returns
    -------
    DataFrame
        A row a form, by name: ``looks_like``, ``parts``, and a column a format that says whether it is possible.
    """
    import pandas as pd  # noqa: PLC0415 - loaded with the first table

    table = writer_base.conversion_table(readers.READERS, WRITERS)
    rows = [
        {"looks_like": reader.looks_like, "parts": " ".join(sorted(reader.parts)), **row.formats}
        for reader, row in zip(readers.READERS, table, strict=True)
    ]
    return pd.DataFrame(rows, index=pd.Index([row.form for row in table], name="form"))


def format_names() -> list[str]:
    """Return the formats that can be written."""
    return [writer.format for writer in WRITERS]
