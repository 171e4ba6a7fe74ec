"""Every graph of the corpus edited, and held node by node to what it was.

As a program (``python -m tests.corpus_edits [--part 2/5] [WORD …]``) it goes over all items, or those with a word in
their name, each in a fork of its own with an end, and prints a line an item: ``same``, ``refused``, ``differs``,
``lost``, or ``none`` for what is no graph. ``tests/test_corpus_edits.py`` holds a sample in the suite. Not for: numbers
alone (``tests/test_corpus_conversions.py``).
"""

from __future__ import annotations

import csv
import os
import re
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tfmagic
from tests.conftest import CORPUS
from tfmagic import errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Seconds of the clock that one item may take.
LIMIT = 240
GRAPHS = ("graph_def", "saved_model", "meta_graph")
#: What becomes of a variable, of what reads it, and of what is fed: by the op before, the ops after.
FROZEN = {
    "VariableV2": {"Const"},
    "Variable": {"Const"},
    "VarHandleOp": {"Const"},
    "ReadVariableOp": {"Identity"},
    "ResourceGather": {"GatherV2"},
    "Identity": {"Placeholder"},
}
SAVED = {
    "VariableV2": {"VarHandleOp"},
    "Variable": {"VarHandleOp"},
    "Assign": {"AssignVariableOp", "ReadVariableOp"},
    # A function that makes a table is called where a signature runs, and what it makes is in no graph.
    "StatefulPartitionedCall": {"HashTableV2"},
    "AssignAdd": {"ReadVariableOp"},
    "AssignSub": {"ReadVariableOp"},
    "Identity": {"ReadVariableOp", "Placeholder"},
}
#: What comes besides: a saver under a free scope, a read of a variable that has none, what stands for a key, and what
#: fills the tables of a frozen graph, which have names that nobody else has.
_BESIDES = re.compile(
    r"save(_\d+)?/.*|.*/Read/ReadVariableOp|init\w*|.*/input_\d+|.*/(keys|values|fill|axis)|.*/Assign(Add|Sub)?VariableOp"
)
_TABLES = frozenset({"HashTableV2"})


def differences(source: Any, result: Any, becomes: Mapping[str, set[str]], keys: set[str]) -> Iterator[str]:
    """Yield what of a result's nodes is otherwise than in the source."""
    before = {node.name: node for node in source.node}
    for node in result.node:
        old = before.get(node.name)
        if old is None:
            if not _BESIDES.fullmatch(node.name) and (
                node.op != "Identity" or re.sub(r"_\d+$", "", node.name) not in keys
            ):
                yield f"{node.name} ({node.op}) is new"
        elif old.op != _named(node.op):
            if node.op not in becomes.get(old.op, ()):
                yield f"{node.name} was {old.op} and is {node.op}"
        elif _inputs(old) != _inputs(node) or (_attributes(old) != _attributes(node) and node.op not in _TABLES):
            yield f"{node.name} ({node.op}) takes or says something else"
        elif node.device not in (old.device, ""):
            yield f"{node.name} is on {node.device}"
    names = [node.name for node in result.node if node.name in before]
    if names != [node.name for node in source.node if node.name in set(names)]:
        yield "the order changed"


def _inputs(node: Any) -> list[str]:
    """Return what a node takes and waits for, but that a table is filled."""
    return [text for text in node.input if not (text.startswith("^") and text.endswith("/fill"))]


def _attributes(node: Any) -> dict[str, str]:
    """Return the attributes as text, functions without what their content adds to their names."""
    shown = {name: str(value) for name, value in node.attr.items() if name not in ("_output_shapes", "_class")}
    return {
        name: re.sub(r'name: "(.+?)"', lambda found: f'name: "{_named(found[1])}"', text)
        for name, text in shown.items()
    }


def _named(function: str) -> str:
    """Return the name of a function without what its content adds to it; an op has nothing of the kind."""
    return re.sub(r"__[0-9a-f]+\Z", "", function)


def signature_differences(source: Any, result: Any) -> Iterator[str]:
    """Yield what of the signatures' tensors is otherwise than in the source."""
    for key, signature in (source.signature_def if "signatures" in source.parts else {}).items():
        if key.startswith("__"):
            continue
        saved = result.signature_def.get(key)
        if saved is None:
            yield f"there is no signature {key!r}"
            continue
        for side in ("inputs", "outputs"):
            before, after = (
                {
                    each: (info.name.replace("/read:0", ":0"), info.dtype % 100)
                    for each, info in getattr(one, side).items()
                }
                for one in (signature, saved)
            )
            if before != after:
                yield f"the {side} of {key!r} were {before} and are {after}"


def edited(item: Path, place: Path) -> Iterator[str]:
    """Freeze and export an item, and yield what differs; what is refused of it begins with ``refused``."""
    tag_sets = dict.fromkeys(tfmagic.inspect(item).metagraphs["tags"])
    for number, tags in enumerate(tag_sets):
        options: dict[str, Any] = {"tags": tags} if len(tag_sets) > 1 else {}
        model = tfmagic.inspect(item, **options)
        for name in ("frozen", "saved", "checkpoint"):
            try:
                yield from _held(name, model, item, place / str(number), options)
            except errors.TfMagicError as error:
                yield f"refused {name}: {type(error).__name__}: {error}"


def _held(name: str, model: Any, item: Path, place: Path, options: dict[str, Any]) -> Iterator[str]:
    source = model.graph_def
    if name == "frozen":
        yield from _held_frozen(model, item, options)
    elif name == "saved":
        done = tfmagic.export(item, place / "m", **options)
        if False in set(done.verification["equal"]):
            yield "saved: other numbers"
        saved = tfmagic.inspect(place / "m", **options)
        yield from (f"saved: {each}" for each in differences(source, saved.graph_def, SAVED, set()))
        yield from (f"saved: {each}" for each in signature_differences(model, saved))
        yield from (f"note: {each}" for each in done.notes if "not verified" in each)
    elif model.form != "graph_def":
        tfmagic.export(item, place / "m.ckpt", **options)
        if (place / "m.ckpt.meta").exists():
            kept = tfmagic.inspect(place / "m.ckpt.meta")
            yield from (f"checkpoint: {each}" for each in differences(source, kept.graph_def, {}, set()))


def _held_frozen(model: Any, item: Path, options: dict[str, Any]) -> Iterator[str]:
    """Freeze each signature, for a graph can hold one."""
    signed = model.signature_def if "signatures" in model.parts else {}
    for key in [key for key in signed if not key.startswith("__")] or [None]:
        frozen = tfmagic.freeze(item, signature=key, **options)
        keys = {each.replace(":", "_") for each in frozen.signatures["key"]}
        yield from (f"frozen: {each}" for each in differences(model.graph_def, frozen.graph_def, FROZEN, keys))
        yield from (f"note: {each}" for each in frozen.notes if "not verified" in each)


def _report(item: str) -> Iterator[str]:
    """Yield what a fork says of an item."""
    with tempfile.TemporaryDirectory() as place:
        try:
            model = tfmagic.inspect(CORPUS / item)
            if model.form in GRAPHS and not model.has_objects:
                yield from edited(CORPUS / item, Path(place))
            else:
                yield "no graph"
        except errors.TfMagicError as error:
            yield f"refused: {error}"


def _forked(item: str) -> tuple[str, list[str]]:
    """Edit an item in a fork; return how that went, and what it says."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        process = os.fork()
        if not process:
            signal.alarm(LIMIT)
            try:
                for line in _report(item):
                    said.write(line.replace("\n", " ") + "\n")
                    said.flush()
            except BaseException:  # noqa: BLE001 - all of it is to be read
                said.write("lost: " + traceback.format_exc().replace("\n", " | ")[-600:] + "\n")
            said.flush()
            os._exit(0)
        _, status = os.waitpid(process, 0)
        said.seek(0)
        lines = said.read().splitlines()
    if status:
        lines.append(f"lost: ended by signal {os.WTERMSIG(status)}")
    kinds = {line.partition(" ")[0].partition(":")[0] for line in lines}
    rest = kinds - {"note", "refused", "no"}
    result = "lost" if "lost" in rest else "differs" if rest else "refused" if "refused" in kinds else "same"
    return "none" if kinds == {"no"} else result, lines


def main(words: list[str]) -> None:
    """Edit all items, or a part of them, and print a line for each."""
    import tensorflow as tf  # noqa: F401, PLC0415 - once for all forks

    with (CORPUS / "MANIFEST.tsv").open(encoding="utf-8") as file:
        items = [row["path"] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]
    if words[:1] == ["--part"]:
        number, _, count = words[1].partition("/")
        items, words = items[int(number) - 1 :: int(count)], words[2:]
    for item in items:
        if not words or any(word in item for word in words):
            begun = time.perf_counter()
            result, lines = _forked(item)
            sys.stdout.write(f"{result}\t{time.perf_counter() - begun:.1f}\t{item}\t{' || '.join(lines)}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
