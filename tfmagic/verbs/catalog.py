"""The verb catalog: a row for each model that lies below some places.

Not for: what lies in one of them (:mod:`tfmagic.verbs.inspect`).
"""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from tfmagic import errors, frames, progress
from tfmagic.verbs.cataloguing import engines, outputs, row_files, tasks
from tfmagic.verbs.cataloguing.walks import Walk
from tfmagic.verbs.undisturbed import undisturbed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor

    import pandas as pd

    from tfmagic.frames import CatalogRow
    from tfmagic.verbs.cataloguing.outputs import Output
    from tfmagic.verbs.cataloguing.tasks import Task


@undisturbed
def catalog(
    *places: str | os.PathLike[str],
    executor: Executor | str | None = None,
    previous: pd.DataFrame | str | os.PathLike[str] | None = None,
    output: str | os.PathLike[str] | None = None,
    read_weights: bool = False,
    overwrite: bool = False,
) -> pd.DataFrame:
    """Return a row for each model below some places, whatever its form; one that is broken says why in its row.

    Nothing is loaded or run, and TensorFlow is not imported. A model of several files is one row. Directories of
    TensorFlow Serving, Triton and MLflow lead to the models in them. Links that lead out of a place are not followed,
    hidden folders and those of environments not looked into.

    Parameters
    ----------
    *places : str or path
        Folders, models, or patterns (``*`` for letters of a name, ``**`` for any folders), here or at addresses that
        ``fsspec`` knows, such as ``s3://bucket/team/**``.
    executor : concurrent.futures.Executor or str, optional
        Where models are read: by default ``"threads"`` of this process; ``"processes"``, which are started for it; or
        any executor of the user's, such as ipyparallel's and Dask's. At most four models a worker are on their way.
    previous : DataFrame, str or path, optional
        An earlier catalogue, or the file of one, unfinished or not: a model whose files are as they were is not read
        again.
    output : str or path, optional
        Where the rows are written as well, one after the other: ``.csv``, ``.jsonl`` (JSON lines) or ``.parquet``.
        Until it is whole, its name has ``.unfinished`` before the suffix.
    read_weights : bool
        Whether values are read for the fingerprint of the weights where no checksums are stored: frozen graphs, Keras
        files, checkpoints of the first format.
    overwrite : bool
        Whether a file at ``output`` is replaced.

    Returns
    -------
    DataFrame
        The columns are those of :class:`tfmagic.frames.CatalogRow`, the order is that of the places and of names.
        ``attrs["notes"]`` says what was not looked into.

    Raises
    ------
    FileNotFoundError
        If a place leads nowhere.
    ReadError
        If a place may not be looked into, or the executor is broken; ``table`` has what was finished.
    WriteError
        If ``output`` may not be written.
    """
    if not places:
        raise errors.TfMagicError(
            "catalog needs a place to look at: a folder, a model or a pattern, such as './models'"
        )
    known = _known(previous)
    target = None if output is None else outputs.Output(output, overwrite=overwrite)
    walk = Walk(tuple(place if isinstance(place, str | Path) else os.fsdecode(place) for place in places))
    rows: list[CatalogRow] = []
    todo = _tasks(walk, known, reads_weights=read_weights)
    try:
        with target or nullcontext(), engines.opened(executor, waits=walk.waits) as engine:
            try:
                for row in engines.rows(engine, tasks.row, todo, _lost):
                    progress.check()
                    rows.append(row)
                    known.pop(row.address, None)
                    if target is not None:
                        target.write(row)
            except BaseException as error:
                if target is not None and rows:
                    # What was known of the rest is not lost with what was gone on from.
                    for row in known.values():
                        target.write(row)
                if isinstance(error, engines.BrokenOffError):
                    raise _broken_off(error, rows, target) from error.__cause__
                raise
    finally:
        # An interrupt that came as the block began to end kept it from that.
        if target is not None:
            target.release()
    frame = frames.of_catalog(rows)
    frame.attrs["notes"] = walk.said
    return frame


def _tasks(
    walk: Walk, known: dict[str, CatalogRow], *, reads_weights: bool
) -> Iterator[tuple[Task, CatalogRow | None]]:
    """Yield what is to be done, and the row of an earlier catalogue that still holds."""
    for met in walk.models():
        task = tasks.of_model(met, reads_weights=reads_weights)
        earlier = known.get(task.address)
        holds = earlier is not None and bool(task.stamp) and earlier.stamp == task.stamp and earlier.error is None
        # Without weights an earlier row may be of a catalogue that did not read them.
        is_whole = earlier is not None and (earlier.weights is not None or not reads_weights)
        yield task, earlier if holds and is_whole else None


def _known(previous: pd.DataFrame | str | os.PathLike[str] | None) -> dict[str, CatalogRow]:
    """Return the rows of an earlier catalogue by address."""
    if previous is None:
        return {}
    if isinstance(previous, str | os.PathLike):
        return {row.address: row for row in outputs.rows_of(previous)}
    try:
        return {row.address: row for row in _rows_of(previous)}
    except (AttributeError, KeyError, ValueError, TypeError) as error:
        message = f"previous= is to be a catalogue, and it has not its columns: {type(error).__name__}: {error}"
        raise errors.ReadError(f"{message}; give what catalog() returned or wrote") from error


def _rows_of(frame: pd.DataFrame) -> list[CatalogRow]:
    """Return the rows of a catalogue's DataFrame."""
    values = frame.astype(object).itertuples(index=False, name=None)
    return [row_files.row_of(dict(zip(frame.columns, row, strict=True))) for row in values]


def _lost(task: Task, problem: str) -> CatalogRow:
    return tasks.unread(task, problem)


def _broken_off(error: engines.BrokenOffError, rows: list[CatalogRow], target: Output | None) -> errors.ReadError:
    """Say that an executor is broken, and where what was finished is."""
    kept = target.stands() if target is not None and rows else "previous=error.table goes on from there"
    problem = errors.ReadError(
        f"the executor broke after {len(rows):,} models ({error}); give another one, or leave executor= out. {kept}"
    )
    problem.table = frames.of_catalog(rows)
    return problem
