"""What a Keras file could do to who loads it, for a scan: its config through every nesting, its archive, its HDF5.

Nothing is loaded, and Keras is not imported. Where Keras itself would refuse, in its safe mode, a row still says what
is there: other versions, and other libraries, do not refuse. Not for: whether tfmagic loads the file, which
:mod:`tfmagic.files.keras.python_code` says.
"""

from __future__ import annotations

import json
import stat
import sys
import zipfile
from collections import Counter
from typing import TYPE_CHECKING, Any

from tfmagic import errors
from tfmagic.files import archives, hdf5, places, protos, reading, wire
from tfmagic.files.keras import archive as keras_archive
from tfmagic.files.keras import python_code
from tfmagic.findings import file_scan, hazards, scan
from tfmagic.findings.claimed_sizes import ALL_MEMORY
from tfmagic.findings.execution import Walk
from tfmagic.findings.scan import CALLED, LOAD, Finding, finding
from tfmagic.findings.walked_graphs import Graph
from tfmagic.graphs.ops import Effect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tfmagic.files.keras.archive import Contents

#: What is not Python's own and still no model's: names in these run code that is installed.
_LIBRARIES = frozenset({
    "builtins", "tensorflow", "tf", "numpy", "torch", "jax", "h5py", "pandas", "scipy", "cloudpickle", "dill", "joblib",
    "IPython", "pip", "setuptools", "keras", "tf_keras", "keras_hub", "keras_nlp", "keras_cv",
})  # fmt: skip


def of_config(config: dict[str, Any], place: str, fires: str = LOAD) -> Iterator[Finding]:
    """Yield the rows of a config, of the model or of its training, at any depth.

    Parameters
    ----------
    config : dict
        The JSON object.
    place : str
        Where the config stands, for the rows.
    fires : str
        When Keras would follow it.
    """
    carried = python_code.anywhere(config)
    for code in carried.code:
        where = f"{place}: layer {code.layer!r}" if code.layer else place
        if code.node is not None:
            yield from _of_node(code.node, where, fires)
        elif code.what.startswith("reads the file"):
            yield finding(Effect.READS_FILES, code.what, where, fires)
        else:
            yield finding(Effect.HOST_CODE, f"host code: {code.what}", where, fires)
    for name in carried.foreign:
        known = name.partition(".")[0] in sys.stdlib_module_names | _LIBRARIES
        why = "" if known else "a loader imports the module, and calls what is so called there"
        effect = Effect.HOST_CODE if known else Effect.UNKNOWN
        yield finding(effect, f"{effect.value}: names {name!r}, which is no part of Keras's models", place, fires, why)


def _of_node(node: str, where: str, fires: str) -> Iterator[Finding]:
    """Yield the rows of a NodeDef that Keras 2 runs as a layer."""
    try:
        graph_def = protos.message("GraphDef")(node=[protos.parse_json("NodeDef", node)])
    except ValueError:
        yield finding(Effect.UNKNOWN, "unknown: a NodeDef that does not parse", where, fires)
        return
    walk = Walk(Graph(graph_def))
    walk.whole_graph()
    for executed in walk.seen:
        subject = f" {executed.subject!r}" if executed.subject else ""
        yield finding(executed.effect, f"{executed.effect.value}: {executed.op}{subject}", where, fires)


def of_contents(path: Path, contents: Contents) -> Iterator[Finding]:
    """Yield the rows of a file whose container is sound, and what it holds besides values was read."""
    if contents.config:
        yield from of_config(contents.config, "config")
        for hazard in hazards.of_layers(contents.config, places.size(path)):
            yield Finding(scan.MEDIUM, f"a bomb: {hazard.what}", f"config: {hazard.where}", LOAD, ALL_MEMORY)
    yield from of_config(keras_archive.training_config(path), "training config")
    if contents.has_weights:
        yield from _of_weights(path)


def _of_weights(path: Path) -> Iterator[Finding]:
    with keras_archive.weights(path) as root:
        for place in root.outside():
            yield finding(
                Effect.READS_FILES, "reads files: the values lie in another file", f"HDF5 object {place!r}", LOAD
            )
        for place, node in root.datasets():
            if problem := _bomb(node, place):
                why = "it may take all of the memory"
                yield Finding(scan.MEDIUM, f"a bomb: {problem}", f"HDF5 object {place!r}", LOAD, why)


def _bomb(node: hdf5.Node, place: str) -> str:
    """Say what a dataset claims that its file cannot hold, nothing if it can."""
    try:
        claimed = node.array(place).bytes
    except errors.CorruptSourceError:
        return "a dataset larger than any file"
    most = max(keras_archive.HARMLESS, keras_archive.MAX_EXPANSION * node.file.size)
    return f"a dataset of {claimed:,} bytes in a file of {node.file.size:,}" if claimed > most else ""


def of_repeated(path: Path) -> Iterator[Finding]:
    """Yield the rows of an HDF5 file that cannot be read, where that is for names that are there twice."""
    try:
        with hdf5.opened(path) as root:
            for name in root.repeated:
                what = f"the attribute or member {name!r} is there twice"
                yield Finding(scan.MEDIUM, what, f"file {path.name!r}", LOAD, scan.TWO_READERS)
    except (errors.ReadError, OSError):
        return


def of_container(path: Path) -> tuple[Finding, ...]:
    """Return the rows of a zip archive as such: what no Keras writes, and what two readers take differently.

    An archive may be damaged, or stand behind other bytes, such as those of HDF5; none for what is no archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return tuple(_of_members(archive, path))
    except archives.DAMAGE:
        return ()


def _of_members(archive: zipfile.ZipFile, path: Path) -> Iterator[Finding]:
    names = archive.namelist()
    with path.open("rb") as file:
        begins = file.read(len(keras_archive.ZIP_MAGIC)) == keras_archive.ZIP_MAGIC
    if not begins:
        yield Finding(scan.MEDIUM, "a zip archive behind other bytes", path.name, LOAD, scan.TWO_READERS)
    if file_scan.is_hdf5_behind(path, _stored(archive)):
        yield Finding(scan.MEDIUM, "an HDF5 file behind other bytes", path.name, LOAD, scan.TWO_READERS)
    if b"PK\x05\x06" in archive.comment:
        yield Finding(scan.MEDIUM, "a zip archive with two directories", path.name, LOAD, scan.TWO_READERS)
    # Some file systems, and who unpacks to them, take two names for one that differ in the case of their letters alone,
    # or in how letters with marks are put together.
    counts = Counter(map(places.folded, names))
    for name in (name for name in names if counts[places.folded(name)] > 1):
        yield Finding(scan.MEDIUM, f"the member {name!r} is there twice", path.name, LOAD, scan.TWO_READERS)
    for info in archive.infolist():
        if not places.stays_inside(info.filename.rstrip("/") or "/"):
            why = "whoever unpacks the archive writes outside of it"
            yield finding(
                Effect.WRITES_FILES, f"writes files: the member {info.filename!r} leads out", path.name, LOAD, why
            )
        if stat.S_ISLNK(info.external_attr >> 16):
            why = "whoever unpacks the archive follows it to a file that is not the model's own"
            yield finding(
                Effect.READS_FILES, f"reads files: the member {info.filename!r} is a link", path.name, LOAD, why
            )
        if info.file_size > max(keras_archive.HARMLESS, keras_archive.MAX_EXPANSION * info.compress_size):
            what = f"a bomb: {info.filename!r} claims {info.file_size:,} bytes from {info.compress_size:,}"
            yield Finding(scan.MEDIUM, what, path.name, LOAD, "it may take all of the memory, or of the disk")
        if _local_name(archive, info) not in (None, info.orig_filename) or "\0" in info.orig_filename:
            what = f"the member {info.filename!r} is called otherwise where it lies"
            yield Finding(scan.MEDIUM, what, path.name, LOAD, scan.TWO_READERS)


def _stored(archive: zipfile.ZipFile) -> set[int]:
    """Return where the weights of a Keras archive begin, which are HDF5 wherever they lie."""
    file = archive.fp
    begins: set[int] = set()
    for info in archive.infolist():
        if info.filename != keras_archive.WEIGHTS or file is None:
            continue
        file.seek(info.header_offset)
        header = file.read(30)
        begins.add(info.header_offset + 30 + sum(int.from_bytes(header[a : a + 2], "little") for a in (26, 28)))
    return begins


def _local_name(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> str | None:
    """Return how a member is called in its own header, None where that cannot be read."""
    file = archive.fp
    if file is None:
        return None
    file.seek(info.header_offset)
    header = file.read(30)
    if len(header) < 30 or not header.startswith(keras_archive.ZIP_MAGIC):  # noqa: PLR2004 - zip's local header
        return None
    flags, length = int.from_bytes(header[6:8], "little"), int.from_bytes(header[26:28], "little")
    return file.read(length).decode("utf-8" if flags & 0x800 else "cp437", "replace")


def of_saved_model(objects: protos.Message | None, metadata: Path | None = None) -> Iterator[Finding]:
    """Yield the rows of what Keras 2 wrote into a SavedModel for itself; it follows that, and TensorFlow does not.

    Parameters
    ----------
    objects : SavedObjectGraph or None
        Keras before TensorFlow 2.5 keeps its configs there.
    metadata : Path, optional
        The file of later ones.
    """
    texts = [node.user_object.metadata for node in objects.nodes] if objects is not None else []
    for text in (*texts, *(() if metadata is None else _metadata(reading.read_buffer(metadata)))):
        config = _json(text)
        if config is not None:
            yield from of_config(config, "metadata for Keras 2, which builds its layers from it", CALLED)


def _metadata(buffer: wire.Buffer) -> Iterator[str]:
    """Yield the JSON of each object in a SavedMetadata message (keras/protobuf/saved_metadata.proto)."""
    try:
        for number, kind, start, end in wire.fields(buffer, 0, buffer.size):
            if number == 1 and kind == wire.BYTES:
                inner = [(a, b) for field, kind, a, b in wire.fields(buffer, start, end) if (field, kind) == (5, 2)]
                yield from (str(buffer.piece(a, b), "utf-8", "replace") for a, b in inner)
    except wire.WireError:
        return


def _json(text: str) -> dict[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
