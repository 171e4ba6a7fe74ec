"""The verb scan: what could this model do to me? And what it gives back.

Nothing is loaded, and TensorFlow is not imported. Not for: finding the rows (``findings/``), or refusing to run a
model, which every verb does by the same effects (:mod:`tfmagic.findings.hazards`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from tfmagic import errors, frames, readers
from tfmagic.display import render
from tfmagic.files import places
from tfmagic.files.addresses.address import path_of
from tfmagic.findings import file_scan, keras_scan
from tfmagic.findings import scan as scan_findings
from tfmagic.findings.scan import SEVERITIES, Finding
from tfmagic.verbs.undisturbed import undisturbed

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False, eq=False)
class Scan(render.Sectioned):
    """What a model could do to who uses it.

    Attributes
    ----------
    verdict : str
        One line.
    severity : str
        ``"clean"``, ``"low"``, ``"medium"`` or ``"high"``: that of the gravest row above ``info``.
    origin : str
        What was scanned.
    """

    verdict: str
    severity: str
    origin: str
    _findings: tuple[Finding, ...] = field(default=(), repr=False)

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row for each thing that the model could do, the gravest first; empty where it stays within itself.

        The columns are severity, what, where, fires (``load``, ``run``, or ``called``: only if somebody calls for it)
        and why. Who wants no more than the verdict waits for no pandas.
        """
        return frames.of_findings(Finding, self._findings)

    def reaches(self, severity: str) -> bool:
        """Say whether the model is at least as grave as this.

        Raises
        ------
        UnknownNameError
            If there is no such severity.
        """
        if severity not in SEVERITIES[1:]:
            raise errors.UnknownNameError(severity, "severity", SEVERITIES[1:])
        return SEVERITIES.index(self.severity) >= SEVERITIES.index(severity)

    def sarif(self) -> str:
        """Return the rows as a SARIF 2.1.0 log, which code hosts display."""
        return scan_findings.sarif(self._findings, self.origin)

    def shown_sections(self) -> tuple[str, list[render.Section]]:
        """Return the verdict, and the rows if there are any."""
        sections = [render.Section("Verdict", (("severity", self.severity), ("verdict", self.verdict)))]
        if self._findings:
            sections.append(render.Section("Findings", table=self.table))
        return f"scan: {self.origin}", sections


@undisturbed
def scan(source: object, *, all: bool = False) -> Scan:  # noqa: A002 - the contract's name
    """Say what a model could do to whoever loads or runs it, without doing either.

    Every graph in it is looked through, with all functions, branches, loops, initialisers and graphs in strings; Keras
    configs through every nesting; HDF5 links, zip archives and what else lies beside it. What an op does comes from the
    list that decides what runs without trust; what that does not know is not called safe.

    Parameters
    ----------
    source : object
        A path, or what else :func:`tfmagic.inspect` takes; of a live object the graph that exists.
    all : bool
        Whether rows of severity ``info`` are included: state of the model's own, and random numbers.

    Returns
    -------
    Scan
        ``table``, ``verdict`` and ``severity``.

    Raises
    ------
    FileNotFoundError
        If the path leads nowhere.
    ReadError
        If nothing recognises the source, or it is damaged, and nothing else is to be said of it.
    """
    try:
        model = readers.read(source)
        findings, origin = model.findings, model.origin
    except errors.ReadError:
        # What cannot be read may be made so that one reader cannot, and another does.
        findings, origin = of_unreadable(source), str(source)
        if not findings:
            raise
    rows = scan_findings.arranged(findings, everything=all)
    return Scan(
        scan_findings.verdict(findings),
        scan_findings.severity(findings),
        origin,
        rows,
    )


def of_unreadable(source: object) -> tuple[Finding, ...]:
    """Return what is to be said of a path that no reader takes."""
    if not isinstance(source, (str, os.PathLike)):
        return ()
    path = path_of(source)
    if places.is_directory(path):
        return tuple(file_scan.of_state_file(path))
    return (*keras_scan.of_container(path), *keras_scan.of_repeated(path)) if places.is_file(path) else ()
