"""What could a model do to who uses it: the rows of a scan, how grave each is, and the verdict.

A row is graver the more its effect reaches outside the model, and the less is needed for it to happen. Not for: finding
the rows, which :mod:`tfmagic.findings.graph_scan` does in graphs, :mod:`tfmagic.findings.keras_scan` in Keras files and
:mod:`tfmagic.findings.file_scan` in what lies around them, or running anything.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from tfmagic.graphs.ops import Effect

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

INFO, CLEAN, LOW, MEDIUM, HIGH = "info", "clean", "low", "medium", "high"
#: What a scan as a whole may be, the harmless first.
SEVERITIES = (CLEAN, LOW, MEDIUM, HIGH)
#: What a row may be.
_ROW_SEVERITIES = (INFO, LOW, MEDIUM, HIGH)
#: When something happens: as the model is loaded, as it is run, or only if somebody calls for it by name.
LOAD, RUN, CALLED = "load", "run", "called"
#: Why it matters that a file is two things at once.
TWO_READERS = "two readers take different contents for its own: what was looked at need not be what is loaded"
#: Letters of a row that a line shows.
_SHOWN = 500
#: Rows that a verdict names.
_NAMED = 1


class Finding(NamedTuple):
    """One row of a scan.

    Attributes
    ----------
    severity : str
        ``"info"``, ``"low"``, ``"medium"`` or ``"high"``.
    what : str
        What would happen and by which op, class or file; a file's name or an address where it is constant.
    where : str
        The MetaGraphDef, the signature or initialiser, the functions and the node; the layer; the file.
    fires : str
        ``"load"``, ``"run"`` or ``"called"``.
    why : str
        Why that matters.
    """

    severity: str
    what: str
    where: str
    fires: str
    why: str


_OF_EFFECT = {
    Effect.PURE: INFO,
    Effect.CALL: INFO,
    Effect.RANDOM: INFO,
    Effect.STATE: INFO,
    Effect.PRINTS: LOW,
    Effect.READS_FILES: MEDIUM,
    Effect.UNKNOWN: MEDIUM,
    Effect.NETWORK: HIGH,
    Effect.WRITES_FILES: HIGH,
    Effect.STOPS_THE_PROCESS: HIGH,
    Effect.HOST_CODE: HIGH,
}
#: Why an effect matters to who uses the model.
WHY = {
    Effect.PURE: "computes",
    Effect.CALL: "runs functions of the model",
    Effect.RANDOM: "draws random numbers: two runs may differ",
    Effect.STATE: "keeps something from one run to the next",
    Effect.PRINTS: "writes to the terminal or the log of whoever runs it",
    Effect.READS_FILES: "reads what is not the model's own; it may leave with the outputs",
    Effect.UNKNOWN: "nobody can tell from outside what it does",
    Effect.NETWORK: "talks to other machines: it can send what it sees and take orders",
    Effect.WRITES_FILES: "writes to any place where its user may write, start-up files and other models among them",
    Effect.STOPS_THE_PROCESS: "ends or blocks the process that uses it",
    Effect.HOST_CODE: "runs code of the process that uses it, with all its rights",
}


def severity_of(effect: Effect, fires: str) -> str:
    """Return how grave an effect is: one step less where somebody has to call for it, never below medium from high."""
    severity = _OF_EFFECT[effect]
    if fires != CALLED or severity == INFO:
        return severity
    return _ROW_SEVERITIES[_ROW_SEVERITIES.index(severity) - 1]


def finding(effect: Effect, what: str, where: str, fires: str, why: str = "") -> Finding:
    """Return the row for an effect."""
    return Finding(severity_of(effect, fires), what, where, fires, why or WHY[effect])


def arranged(findings: Iterable[Finding], *, everything: bool) -> tuple[Finding, ...]:
    """Return the rows that are to be shown, the gravest first and none twice."""
    kept = (row for row in dict.fromkeys(findings) if everything or row.severity != INFO)
    return tuple(sorted(kept, key=lambda row: -_ROW_SEVERITIES.index(row.severity)))


def severity(findings: Iterable[Finding]) -> str:
    """Return how grave the worst of some rows is; those of ``info`` do not count."""
    ranks = [SEVERITIES.index(row.severity) for row in findings if row.severity != INFO]
    return SEVERITIES[max(ranks, default=0)]


def verdict(findings: Sequence[Finding]) -> str:
    """Say in one line what is to be known."""
    rows = arranged(findings, everything=False)
    if not rows:
        return "clean: nothing in it acts outside the model"
    when = {LOAD: "when it is loaded", RUN: "when it is run", CALLED: "only if somebody calls for it"}
    named = "; ".join(f"{_short(row.what)}, {when[row.fires]} ({_short(row.where)})" for row in rows[:_NAMED])
    rest = len(rows) - _NAMED
    return f"{severity(rows)}: {named}{f'; {rest:,} more' if rest > 0 else ''}"


def _short(text: str) -> str:
    """Cut a text that a name of a model makes long; the table has it whole."""
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


#: SARIF's words for how grave a result is, and GitHub's number for it.
_LEVELS = {INFO: ("note", "0.0"), LOW: ("note", "2.0"), MEDIUM: ("warning", "5.0"), HIGH: ("error", "8.0")}
_SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(findings: Iterable[Finding], origin: str) -> str:
    """Return rows as a log in the Static Analysis Results Interchange Format 2.1.0, which code hosts display.

    Parameters
    ----------
    findings : iterable of Finding
        The rows.
    origin : str
        What was scanned: a path.
    """
    # Every display of a model imports this module, and few ask for a log.
    import json  # noqa: PLC0415
    from urllib.parse import quote  # noqa: PLC0415

    rows = list(findings)
    rules = {_rule(row): row.why for row in reversed(rows)}
    driver = {
        "name": "tfmagic",
        "rules": [{"id": name, "shortDescription": {"text": why}} for name, why in sorted(rules.items())],
    }
    results = [
        {
            "ruleId": _rule(row),
            "level": _LEVELS[row.severity][0],
            "message": {"text": _unlinked(f"{_short(row.what)} ({_short(row.where)}; fires: {row.fires}): {row.why}")},
            "locations": [
                {
                    "physicalLocation": {"artifactLocation": {"uri": quote(origin.encode("utf-8", "replace"))}},
                    "logicalLocations": [{"fullyQualifiedName": _short(row.where)}],
                }
            ],
            "properties": {"fires": row.fires, "severity": row.severity, "security-severity": _LEVELS[row.severity][1]},
        }
        for row in rows
    ]
    log = {"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}
    return json.dumps(log, indent=2)


def _unlinked(text: str) -> str:
    """Keep a name from being a link: brackets before an address in parentheses are one in SARIF (3.11.6)."""
    return text.replace("](", "\\](")


def _rule(row: Finding) -> str:
    """Name what a row is an instance of: the words before what it names."""
    return "-".join(re.findall(r"[a-z]+", row.what.partition(":")[0].partition("'")[0]))
