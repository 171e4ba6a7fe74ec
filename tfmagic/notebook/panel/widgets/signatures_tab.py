"""The tab Signatures: what each takes and gives, and the texts that call it here or on a server.

Not for: making those texts (:mod:`tfmagic.verbs.snippets.calls`, :mod:`tfmagic.verbs.snippets.serving_requests`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.display.render import cell_text
from tfmagic.graphs import signatures
from tfmagic.notebook.panel.widgets.sections import Cell, Copy, Link, SectionData, Sections
from tfmagic.verbs import snippets
from tfmagic.verbs.conversion import plan as conversion_plan
from tfmagic.verbs.snippets import example_values, serving_requests
from tfmagic.verbs.snippets.serving_requests import Served

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from tfmagic.models.model import Model
    from tfmagic.notebook.panel.widgets.protocols import Place

_PROPOSED_NOTE = "Proposed: this form has no signatures. These are where the graph seems to begin and end."
_METHOD_NOTE = "Servers take signatures whose method is predict, classify or regress; this one's is {}."
_COLUMNS = ("side", "key", "tensor", "dtype", "shape")


def build(model: Model, panel: Place) -> Sections:
    """Build the tab; a model whose signatures have to be traced is traced now."""
    return Sections(sections(model, panel.source), panel.go_to)


def sections(model: Model, source: str) -> list[SectionData]:
    """Return a section for each signature of each MetaGraphDef.

    Parameters
    ----------
    model : Model
        Whose signatures.
    source : str
        What the model is called in code.
    """
    frame = model.signatures
    keys = frame[["tags", "signature"]].drop_duplicates().itertuples(index=False, name=None)
    sections = [_section(model, source, frame, tags, key) for tags, key in keys]
    return sections or [SectionData(title="Signatures", note="There are none, and nothing is proposed.")]


def _section(model: Model, source: str, frame: pd.DataFrame, tags: str, key: str) -> SectionData:
    rows = frame[(frame["tags"] == tags) & (frame["signature"] == key)]
    method = str(rows["method"].iloc[0])
    section = SectionData(title=f"{key} ({tags})" if tags else key, columns=list(_COLUMNS))
    section["rows"] = [[Cell(text=cell_text(value)) for value in row] for row in _values(rows)]
    if method == signatures.PROPOSED:
        section["note"] = _PROPOSED_NOTE
    else:
        section["facts"] = [("method", Cell(text=method or "(none)"))]
        if _is_foreign(method):
            section["note"] = _METHOD_NOTE.format(method or "empty")
    section["copies"] = list(_copies(model, source, rows, tags, key))
    if "function" in model.parts:
        section["link"] = Link(tab="Run", what={"signature": key})
    return section


def _values(rows: pd.DataFrame) -> Iterator[Sequence[object]]:
    yield from rows[list(_COLUMNS)].itertuples(index=False, name=None)


def _is_foreign(method: str) -> bool:
    return method not in {signatures.method_uri(each) for each in signatures.METHODS}


def _copies(model: Model, source: str, rows: pd.DataFrame, tags: str, key: str) -> Iterator[Copy]:
    is_proposed = rows["method"].iloc[0] == signatures.PROPOSED
    options = {} if is_proposed else {"signature": key, "tags": tags}
    try:
        yield Copy(label="Python", text=str(snippets.code("run", model, name=source, **options)))
    except (errors.TfMagicError, OSError) as error:
        yield Copy(label="Python", text=f"# {error}".replace("\n", " "))
    served = Served(
        serving_requests.served_name(model.path),
        signatures.DEFAULT_KEY if is_proposed else key,
        str(rows["method"].iloc[0]),
        example_values.ends(rows, key, "input"),
    )
    # What is no SavedModel is served once it is exported as one, if it can be.
    is_served = model.reader.message == "SavedModel"
    if not is_served and not conversion_plan.can_be_served(model):
        return
    suffix = "" if is_served else ", once exported as a SavedModel"
    yield Copy(label=f"REST request{suffix}", text=serving_requests.rest(served))
    yield Copy(label=f"gRPC request{suffix}", text=serving_requests.grpc(served))
