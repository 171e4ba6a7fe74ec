"""What is done for one model, in whichever thread, process or machine: read it, and tell its row.

A task and its row are plain values, which any executor carries. Nothing is raised for a model: what is wrong with it
stands in its row. Not for: finding models (:mod:`tfmagic.verbs.cataloguing.walks`).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tfmagic import errors, readers
from tfmagic.display.graph import op_colours
from tfmagic.files import folders, places, protos
from tfmagic.findings import scan as scan_findings
from tfmagic.frames import CatalogRow
from tfmagic.graphs import fingerprints
from tfmagic.models.form import Part
from tfmagic.verbs import scan
from tfmagic.verbs.cataloguing import structures, weights
from tfmagic.verbs.conversion import plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tfmagic.models.model import Model
    from tfmagic.verbs.cataloguing.walks import Met

#: Part of every stamp: with another one, nothing of an earlier catalogue is taken over.
_EDITION = "1"
#: Letters of an error.
_LONGEST = 1000
#: Parameters are counted up to what a table's integers hold.
_MOST = (1 << 63) - 1


class Task(NamedTuple):
    """A model to be read.

    Attributes
    ----------
    address, stamp, created : str
        As in its row; without a stamp, nobody can tell whether it was written again.
    bytes : int
        What its files take.
    is_certain : bool
        Whether it has a row even if it cannot be read.
    problem : str
        Why it is not read at all; empty if it is.
    reads_weights : bool
        Whether values are read where no checksums are stored.
    source : Path or None
        What is read, an address with what it takes to be asked; None: what ``address`` names.
    """

    address: str
    stamp: str
    created: str | None
    bytes: int
    is_certain: bool
    problem: str = ""
    reads_weights: bool = False
    source: Path | None = None


def of_model(met: Met, *, reads_weights: bool = False) -> Task:
    """Return the task for a model that a walk came by."""
    files = [entry for _, entry in met.files]
    parts = (part for path, entry in met.files for part in (path, entry.version))
    stamp = fingerprints.of_parts((_EDITION, *parts)) if all(entry.version for entry in files) else ""
    modified = met.decisive.modified if met.decisive else 0.0
    problem = (
        f"{met.elsewhere}, which leads out of the place that is catalogued, so it was not read; name that place too"
        if met.elsewhere
        else ""
    )
    size = sum(entry.size for entry in files)
    source = None if places.is_here(met.address) else folders.named(met.address)
    return Task(str(met.address), stamp, _time(modified), size, met.is_certain, problem, reads_weights, source)


def _time(seconds: float) -> str | None:
    """Word a time in UTC, to the second; None where it is not known, or past any calendar."""
    try:
        return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if seconds else None
    except (OverflowError, ValueError, OSError):
        return None


def row(task: Task) -> CatalogRow | None:
    """Read a model and return its row; None for a file that is none, and was not meant to be by its name."""
    if task.problem:
        return unread(task, task.problem) if task.is_certain else None
    path = task.source or Path(task.address)
    try:
        model = readers.read(path)
    except Exception as error:  # noqa: BLE001 - a broken model is a row, never the end
        is_meant = task.is_certain or isinstance(error, errors.CorruptSourceError)
        return unread(task, _worded(error), severity=_severity_of_unreadable(path)) if is_meant else None
    return _row(model, task)


def unread(task: Task, problem: str, *, severity: str | None = None) -> CatalogRow:
    """Return the row of a model that was not read."""
    unknown = dict.fromkeys(CatalogRow._fields)
    known = {"address": task.address, "error": problem, "stamp": task.stamp or None, "bytes": task.bytes}
    return _clean({**unknown, **known, "created": task.created, "severity": severity})


def _row(model: Model, task: Task) -> CatalogRow:
    values: dict[str, object] = {"form": model.form}
    problems = []
    for name, tell in _COLUMNS.items():
        try:
            values[name] = tell(model)
        except errors.MissingPartError:
            values[name] = None
        except Exception as error:  # noqa: BLE001 - as above
            values[name] = None
            problems.append(_worded(error))
    try:
        values.update(weights=weights.fingerprint(model, reads_values=task.reads_weights))
    except Exception as error:  # noqa: BLE001 - as above
        problems.append(_worded(error))
    base = unread(task, "")._asdict()
    return _clean({**base, **values, "error": problems[0] if problems else None})


def _clean(values: Mapping[str, object]) -> CatalogRow:
    """Make a row whose texts every file of rows can hold: a name may have bytes that are no letters."""
    cleaned = {
        name: value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
        for name, value in values.items()
    }
    return CatalogRow(**cleaned)  # type: ignore[arg-type]


def _worded(error: Exception) -> str:
    """Word an error in one line: ours as they are, others with their kind."""
    kind = "" if isinstance(error, errors.TfMagicError | FileNotFoundError) else f"{type(error).__name__}: "
    line = next(filter(None, map(str.strip, str(error).splitlines())), type(error).__name__)
    return f"{kind}{line}"[:_LONGEST]


def _severity_of_unreadable(path: Path) -> str | None:
    """Return how grave it is what is to be said of a path that no reader takes."""
    try:
        findings = scan.of_unreadable(path)
    except Exception:  # noqa: BLE001 - as above
        return None
    return scan_findings.severity(findings) if findings else None


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))


def _tags(model: Model) -> str | None:
    if Part.GRAPH not in model.loaders or not model.is_at_hand(Part.GRAPH):
        return None
    tag_sets = [list(each.tags) for each in model.meta_graphs]
    return _json(tag_sets) if any(tag_sets) else None


def _signatures(model: Model) -> str | None:
    if model.is_at_hand(Part.GRAPH) and model.has_no_signature:
        return _signed(model.proposals.itertuples(index=False, name=None))
    if not model.is_at_hand(Part.SIGNATURES):
        return None
    known = model.rows("signatures")
    return None if known is None else _signed(known.rows)


def _signed(rows: Iterable[tuple[object, ...]]) -> str:
    """Put the rows of the table of signatures into an object for each signature."""
    signed: dict[tuple[object, ...], dict[str, dict[str, object]]] = {}
    for tags, key, method, side, name, _tensor, dtype, shape in rows:
        sides = signed.setdefault((tags, key, method), {"inputs": {}, "outputs": {}})
        sides[f"{side}s"][str(name)] = {"dtype": None if dtype == protos.NO_DTYPE else dtype, "shape": shape}
    return _json([dict(zip(("tags", "signature", "method"), each, strict=True)) | signed[each] for each in signed])


def _parameters(model: Model) -> int | None:
    if not model.is_at_hand(Part.VARIABLES):
        return None
    return min(sum(row.size or 0 for row in model.variable_rows()), _MOST)


def _families(model: Model) -> str | None:
    counts: dict[str, int] = {}
    for op, count in structures.op_counts(model).items():
        kind = op_colours.kind_of(op)
        counts[kind] = counts.get(kind, 0) + count
    return _json({kind: counts[kind] for kind in op_colours.KINDS if kind in counts}) if counts else None


def _tensorflow_version(model: Model) -> str | None:
    return (model.meta_graph.tensorflow_version or None) if model.is_at_hand(Part.GRAPH) else None


#: What tells each column of a model that was recognised.
_COLUMNS: Mapping[str, Callable[[Model], object]] = {
    "tensorflow_version": _tensorflow_version,
    "keras_version": lambda model: model.reader.keras_version(model) or None,
    "tags": _tags,
    "signatures": _signatures,
    "parameters": _parameters,
    "families": _families,
    "severity": lambda model: scan_findings.severity(model.findings),
    "structure": structures.fingerprint,
    "formats": lambda model: _json(plan.able_formats(model)),
}
