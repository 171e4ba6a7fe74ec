"""What a parsed line does: the call of a verb that each command stands for, its words turned into values.

Not for: the commands themselves (:mod:`tfmagic.commands.declarations`), or what words and quotes mean
(:mod:`tfmagic.commands.words`).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tfmagic import errors, frames
from tfmagic.commands import words as command_words
from tfmagic.commands.arguments import BODY, NAMES, PANEL, ROWS
from tfmagic.findings.scan import SEVERITIES

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable


def _verb(name: str, home: str = "") -> Callable[..., Any]:
    """Import a verb with the first command that needs it: loading the extension must stay light."""
    verb: Callable[..., Any] = getattr(importlib.import_module(f"tfmagic.verbs.{home or name}"), name)
    return verb


def inspect(values: argparse.Namespace) -> object:
    """Run %tf_inspect: the model, or the one table that was asked for."""
    from tfmagic.models import selection  # noqa: PLC0415 - with the first command: loading the extension must stay light

    model = _verb("inspect")(
        values.SOURCE, form=command_words.text(values.form), tags=command_words.text(values.tags), trust=values.trust
    )
    wanted = [table for table in frames.ROW_TYPES if getattr(values, table)]
    if len(wanted) > 1:
        problem = f"one table at a time, not {errors.listed(f'--{table}' for table in wanted)}"
        raise command_words.CommandError(problem)
    if values.depth is not None and wanted != ["costs"]:
        raise command_words.CommandError("--depth belongs to --costs: it says how many parts of a name make a scope")
    if values.depth is not None and not command_words.count(values.depth, "--depth"):
        raise command_words.CommandError("--depth wants 1 or more: so many parts of a name make a scope")
    filters: dict[str, Any] = {
        "depth": None if values.depth is None else command_words.count(values.depth, "--depth"),
        "op": command_words.text(values.op),
        "name": command_words.text(values.name),
        "signature": command_words.text(values.signature),
    }
    if not wanted and not any(filters.values()):
        return model
    table = wanted[0] if wanted else ("signatures" if values.signature and not (values.op or values.name) else "ops")
    rows = selection.select_rows(model, table, all=values.all, **filters) if getattr(values, ROWS, False) else None
    return selection.select(model, table, all=values.all, **filters) if rows is None else rows


def _call(values: argparse.Namespace, verb: str, *arguments: object, **options: Any) -> object:  # noqa: ANN401
    """Call a verb, or show the plain code that does the same."""
    if not values.code:
        return _verb(verb)(*arguments, **options)
    names = [name for name in getattr(values, NAMES, ()) if name.isidentifier()]
    second = {"second_name": names[1]} if verb == "merge" and len(names) > 1 else {}
    return _verb("code", "snippets.code")(
        verb, arguments[0], *arguments[1:], name=next(iter(names), "model"), **second, **options
    )


def freeze(values: argparse.Namespace) -> object:
    """Run %tf_freeze, or show its plain code."""
    return _call(
        values,
        "freeze",
        values.SOURCE,
        signature=command_words.text(values.signature),
        inputs=command_words.many(values.inputs),
        outputs=command_words.many(values.outputs),
        tags=command_words.text(values.tags),
        output=command_words.text(values.output),
        bind=values.bind or None,
        keep_variables=command_words.many(values.keep_variables),
        ema=values.ema,
        optimize=values.optimize,
        overwrite=values.overwrite,
        verify=_must_verify(values),
        trust=values.trust,
    )


def _must_verify(values: argparse.Namespace) -> bool | None:
    """Return what was said of verification: it must be, it must not be, or nothing."""
    if values.verify and values.no_verify:
        raise errors.ConversionError("--verify and --no-verify contradict each other: leave one of them out")
    return True if values.verify else False if values.no_verify else None


def export(values: argparse.Namespace) -> object:
    """Run %tf_export, or show its plain code."""
    return _call(
        values,
        "export",
        values.SOURCE,
        command_words.unquote(values.DEST),
        format=command_words.text(values.format),
        tags=command_words.text(values.tags),
        signatures=getattr(values, BODY, None),
        signature=command_words.text(values.signature),
        method=command_words.text(values.method),
        inputs=command_words.pairs(values.input, "--input"),
        outputs=command_words.pairs(values.output, "--output"),
        bind=values.bind or None,
        ema=values.ema,
        optimize=values.optimize,
        quantize=command_words.text(values.quantize),
        samples=values.samples,
        select_tf_ops=values.select_tf_ops,
        text=values.text,
        keep=None if values.keep is None else command_words.count(values.keep, "--keep"),
        batch=None if values.batch is None else command_words.count(values.batch, "--batch"),
        overwrite=values.overwrite,
        verify=_must_verify(values),
        trust=values.trust,
    )


def run(values: argparse.Namespace) -> object:
    """Run %tf_run; in the shell, where nobody can go on with them, the outputs may be kept in a file."""
    output = command_words.text(getattr(values, "output", None))
    if output is not None:
        _verb("destination", "kept_outputs")(output, overwrite=values.overwrite)
    result = _verb("run")(
        values.SOURCE,
        vars(values)[command_words.FEEDS] or None,
        signature=command_words.text(values.signature),
        outputs=command_words.many(values.outputs),
        repeat=command_words.count(values.repeat, "--repeat"),
        timeout=command_words.seconds(values.timeout, "--timeout"),
        labels=command_words.unquote(values.labels) if isinstance(values.labels, str) else values.labels,
        pixels=command_words.text(values.pixels) or "0 to 1",
        trust=values.trust,
    )
    if output is not None:
        _verb("keep", "kept_outputs")(result, output, overwrite=values.overwrite)
    return result


def verify(values: argparse.Namespace) -> object:
    """Run %tf_verify."""
    signature = command_words.text(values.signature)
    return _verb("verify")(
        values.A, values.B, vars(values)[command_words.FEEDS] or None, signature=signature, trust=values.trust
    )


def merge(values: argparse.Namespace) -> object:
    """Run %tf_merge, or show its plain code."""
    return _call(
        values,
        "merge",
        values.FIRST,
        values.SECOND,
        connect=command_words.connections(values.connect),
        signature=command_words.text(values.signature),
        output=command_words.text(values.output),
        bind=values.bind or None,
        freeze=values.freeze,
        map=values.map,
        overwrite=values.overwrite,
        verify=_must_verify(values),
        trust=values.trust,
    )


def forms(_values: argparse.Namespace) -> object:
    """Run %tf_forms."""
    return _verb("forms")()


def scan(values: argparse.Namespace) -> object:
    """Run %tf_scan."""
    grave = command_words.text(getattr(values, "fail_on", None))
    if grave not in (None, *SEVERITIES[1:]):
        problem = f"--fail-on takes {errors.listed(SEVERITIES[1:])}, not {grave!r}"
        raise command_words.CommandError(problem)
    return _verb("scan")(values.SOURCE, all=values.all)


def diff(values: argparse.Namespace) -> object:
    """Run %tf_diff."""
    return _verb("diff")(
        values.A,
        values.B,
        signature=command_words.text(values.signature),
        tags=command_words.text(values.tags),
        trust=values.trust,
    )


def catalog(values: argparse.Namespace) -> object:
    """Run %tf_catalog."""
    return _verb("catalog")(
        *map(command_words.unquote, values.PLACE),
        executor=values.executor,
        previous=command_words.text(values.previous),
        output=command_words.text(values.output),
        read_weights=values.read_weights,
        overwrite=values.overwrite,
    )


def sign(values: argparse.Namespace) -> object:
    """Run %tf_sign, or show its plain code."""
    return _call(
        values,
        "sign",
        values.DIR,
        command_words.text(values.DEST),
        signatures=getattr(values, BODY, None),
        rename=command_words.pairs(values.rename, "--rename", "OLD=NEW"),
        remove=command_words.many(values.remove),
        rename_tags=command_words.pairs(values.rename_tags, "--rename-tags", "OLD=NEW"),
        overwrite=values.overwrite,
        verify=_must_verify(values),
        trust=values.trust,
    )


def slim(values: argparse.Namespace) -> object:
    """Run %tf_slim."""
    return _verb("slim")(
        values.SOURCE,
        command_words.text(values.DEST),
        retain=command_words.many(values.retain) or (),
        overwrite=values.overwrite,
        verify=_must_verify(values),
        trust=values.trust,
    )


def restore(values: argparse.Namespace) -> object:
    """Run %tf_restore, or show its plain code."""
    return _call(
        values,
        "restore",
        values.SOURCE,
        command_words.unquote(values.CHECKPOINT),
        partial=values.partial,
        rename=command_words.pairs(values.rename, "--rename", "OLD=NEW"),
        trust=values.trust,
    )


def panel(values: argparse.Namespace) -> object:
    """Run %tf_panel: widgets are the notebook's, which puts in what is called."""
    color = command_words.unquote(values.color) if isinstance(values.color, str) else values.color
    return getattr(values, PANEL)(values.SOURCE, color=color, compare=values.compare, trust=values.trust)
