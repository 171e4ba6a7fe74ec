"""What the files hold that a graph reads by the paths of assets: a frozen graph has it where it was read.

Not for: files that fill lookup tables (:mod:`tfmagic.functions.state.text_tables`), nor the files of a SavedModel
(:mod:`tfmagic.writers.saved_model.assets`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tfmagic import errors
from tfmagic.files.reading import read_bytes
from tfmagic.graphs.tensor_names import node_of
from tfmagic.transforms import captures

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from tfmagic.files import protos
    from tfmagic.transforms.frozen_graph import Value

#: Ops through which the path of an asset comes to what reads the file.
_HANDING_ON = frozenset({"Identity", "ReadVariableOp"})


def asset_contents(
    nodes: Collection[protos.Message], paths: Mapping[str, Path], outputs: Collection[str] = ()
) -> dict[str, Value]:
    """Return what is read from assets, by the names of the nodes that read.

    Parameters
    ----------
    nodes : collection of NodeDef
        What stays of the graph.
    paths : mapping of str to Path
        The files, by the nodes that have their paths.
    outputs : collection of str
        The nodes whose values the graph gives.

    Raises
    ------
    ConversionError
        If anything else takes a path: a graph cannot hold a file.
    """
    named = {node.name: paths[node.name] for node in nodes if node.name in paths}
    contents: dict[str, Value] = {}
    waiting = list(named)
    while waiting:
        name = waiting.pop()
        if name in outputs:
            raise _refusal(f"the output {name!r} is the path", named[name])
        for node in nodes:
            if not any(node_of(text) == name for text in node.input if not text.startswith("^")):
                continue
            if node.op == "ReadFile":
                contents[node.name] = text_value(read_bytes(named[name]))
            elif node.op in _HANDING_ON:
                named[node.name] = named[name]
                waiting.append(node.name)
            else:
                raise _refusal(f"op {node.name!r} ({node.op}) takes the path", named[name])
    return contents


def _refusal(what: str, file: Path) -> errors.ConversionError:
    return errors.ConversionError(
        f"{what} of the asset {file.name!r}, not its content, and a graph holds no files: export to a SavedModel, "
        "which does, or choose inputs or outputs that need no path"
    )


def text_value(content: bytes) -> Value:
    """Take a string for a constant."""
    return captures.of_array(np.array(content, dtype=object))
