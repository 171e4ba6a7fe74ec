"""The files that a graph's tables are filled from, which a SavedModel takes along.

Not for: files that a running graph reads (:mod:`tfmagic.findings.hazards`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tfmagic import errors
from tfmagic.files import copies, places
from tfmagic.graphs.tensor_names import FreeNames, node_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from tfmagic.files import protos
    from tfmagic.functions.state.saved_models import Store

_TEXT_FILLER = "InitializeTableFromTextFile"
_PASSING = frozenset({"Identity", "PlaceholderWithDefault"})
#: The collection in which TensorFlow 1 notes the tensors that hold a file's name.
_COLLECTION = "asset_filepaths"
FOLDER = "assets"


class Asset(NamedTuple):
    """A file that comes along: where it lies, the tensor that holds its name, its name in the SavedModel."""

    file: Path
    tensor: str
    name: str


def assets_of(nodes: Mapping[str, protos.Message], store: Store) -> tuple[Asset, ...]:
    """Return the files that some nodes of a graph name.

    Parameters
    ----------
    nodes : mapping of str to NodeDef
        What stays of the graph.
    store : Store
        Where the graph's own assets lie.

    Raises
    ------
    ConversionError
        If a file is not there, or lies where a file has no business to point to.
    """
    names = FreeNames((), _name_anywhere)
    by_file: dict[Path, str] = {}
    assets = []
    for tensor in dict.fromkeys(_tensors(nodes, store)):
        file = _file(nodes, node_of(tensor), store)
        if file not in by_file:
            by_file[file] = names(file.name)
        assets.append(Asset(file, f"{node_of(tensor)}:0", by_file[file]))
    return tuple(assets)


def _name_anywhere(name: str) -> str:
    """Return what two names share if they are one file on another system, to which a SavedModel may be carried.

    For macOS and Windows `Words.txt` and `words.txt` are one; Windows takes away dots and blanks at the end.
    """
    return places.folded(name).rstrip(". ")


def _tensors(nodes: Mapping[str, protos.Message], store: Store) -> Iterator[str]:
    """Yield the tensors that hold the name of a file: stated as such, or taken by what fills a table from one."""
    yield from (name for name in store.asset_paths if name in nodes)
    header = store.meta_graph.header
    stated = header.collection_def[_COLLECTION].node_list.value if _COLLECTION in header.collection_def else ()
    behind = {node_of(tensor): _origin(nodes, node_of(tensor)) for tensor in stated if node_of(tensor) in nodes}
    yield from behind
    for node in nodes.values():
        if node.op.startswith(_TEXT_FILLER):
            origin = _origin(nodes, node_of(node.input[1]))
            if origin not in {*behind, *behind.values(), *store.asset_paths}:
                yield origin


def _origin(nodes: Mapping[str, protos.Message], name: str) -> str:
    """Follow the name of a file to the node that has it."""
    while nodes[name].op in _PASSING and node_of(nodes[name].input[0]) in nodes:
        name = node_of(nodes[name].input[0])
    return name


def _file(nodes: Mapping[str, protos.Message], name: str, store: Store) -> Path:
    if name in store.asset_paths:
        return store.asset_paths[name]
    origin = nodes[_origin(nodes, name)]
    texts = list(origin.attr["value"].tensor.string_val) if origin.op == "Const" else []
    if len(texts) != 1:
        raise errors.ConversionError(
            f"the graph computes the name of a file ({name!r}), which can therefore not come along; write it as a "
            "constant"
        )
    return store.asset_file(str(origin.name), texts[0].decode(errors="surrogateescape"))


def copy_assets(assets: Iterable[Asset], directory: Path) -> None:
    """Copy the files into a SavedModel's directory."""
    for file, name in {each.file: each.name for each in assets}.items():
        (directory / FOLDER).mkdir(exist_ok=True)
        copies.copy(file, directory / FOLDER / name)
