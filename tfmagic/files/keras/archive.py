"""Open what Keras saved: a ``.keras`` archive or an HDF5 file, whole model or weights only, whoever wrote it.

An archive is opened in place: nothing is unpacked next to it, and a compressed member goes to an anonymous
temporary file, with a limit. Not for: reading the config (:mod:`tfmagic.files.keras.config`) or the weights
(:mod:`tfmagic.files.keras.weights`).
"""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import tempfile
import zipfile
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, NamedTuple, NoReturn

from tfmagic import errors
from tfmagic.files import archives, hdf5, places

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from tfmagic.files.hdf5 import Node

ZIP_MAGIC = b"PK\x03\x04"
CONFIG = "config.json"
METADATA = "metadata.json"
WEIGHTS = "model.weights.h5"
#: 60 times the config of the largest model of keras.applications.
MAX_JSON = 64 << 20
#: Deflate cannot pass 1032 to 1, and trained weights hardly shrink: beyond this a member is made to burst.
MAX_EXPANSION = 100
#: Below this the expansion does not matter.
HARMLESS = 64 << 20
#: Room left on the disk that a compressed member is unpacked to.
SPARE_DISK = 256 << 20
_CHUNK = 1 << 20
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_ENCRYPTED = 0x1
#: The attributes that Keras 1 and 2 put on the root, Keras 3 on a whole model's.
_MARKS = frozenset({"model_config", "layer_names", "layer_names0", "keras_version"})
#: How deep the groups lie that tell Keras 3's weights from other HDF5: model, sub-model, layer, part of a layer.
_SEARCH_DEPTH = 7
_SEARCH_GROUPS = 2000


class Contents(NamedTuple):
    """What a Keras file holds besides values.

    ``config`` is the parsed JSON of the model, None in a file of weights only; ``keras_version`` is empty where
    it is not recorded; ``has_weights`` says whether there is anything for :func:`weights` to open.
    """

    config: dict[str, Any] | None
    keras_version: str
    has_weights: bool


def is_keras(head: bytes, path: Path) -> bool:
    """Say whether a file is one of Keras's, by its content; HDF5 may stand behind other bytes.

    Parameters
    ----------
    head : bytes
        The file's first bytes, a local zip header's worth at least.
    path : Path
        The file.
    """
    if head.startswith(ZIP_MAGIC):
        return _is_archive(head, path)
    return _has_hdf5(head, path) and _has_marks(path)


def _has_hdf5(head: bytes, path: Path) -> bool:
    """Whether libhdf5 finds HDF5 in a file; at an address, where each look is a request, in its first bytes."""
    is_here = places.is_here(path)
    return head.startswith(hdf5.MAGIC) or (hdf5.place(path) if is_here else hdf5.place_in(io.BytesIO(head))) >= 0


def _is_archive(head: bytes, path: Path) -> bool:
    """Whether a zip file is a ``.keras`` archive: by the names of its members, else by the first of them.

    The first member decides for a truncated archive, whose list of names is lost.
    """
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            return {CONFIG, METADATA} <= set(archive.namelist())
    except archives.DAMAGE:
        return head[_LOCAL_HEADER.size :].startswith((CONFIG.encode(), METADATA.encode(), WEIGHTS.encode()))


def _has_marks(path: Path) -> bool:
    """Whether an HDF5 file is Keras's; a damaged one counts, as no other form would say what is wrong with it."""
    try:
        with hdf5.opened(path) as root:
            if not root.attributes.keys().isdisjoint(_MARKS):
                return True
            return root.group("model_weights") is not None or _has_variables(root)
    except errors.ReadError:
        return True


def _has_variables(root: Node) -> bool:
    """Whether there is a group ``vars`` with numbered datasets, or an empty one with Keras 3's name of its layer."""
    pending, visited = [(root, 0)], 0
    while pending and visited < _SEARCH_GROUPS:
        group, depth = pending.pop()
        visited += 1
        variables = group.group("vars")
        if variables is not None and _is_variables(variables):
            return True
        if depth < _SEARCH_DEPTH:
            pending.extend((child, depth + 1) for _, child in group.children() if child.is_group)
    return False


def _is_variables(group: Node) -> bool:
    members = list(group.children())
    if not members:
        return "name" in group.attributes
    return all(name.isdecimal() and node.is_dataset for name, node in members)


def contents(path: Path) -> Contents:
    """Read a Keras file's config and say what else it holds.

    Raises
    ------
    CorruptSourceError
        If the container or the config does not parse.
    """
    return _archive_contents(path) if is_zip(path) else _hdf5_contents(path)


def is_zip(path: Path) -> bool:
    """Say whether a Keras file is an archive, by its first bytes; the others are HDF5."""
    with path.open("rb") as file:
        return file.read(len(ZIP_MAGIC)) == ZIP_MAGIC


def _hdf5_contents(path: Path) -> Contents:
    with hdf5.opened(path) as root:
        text = root.text("model_config")
        version = root.text("keras_version") or ""
        whole = root.group("model_weights") is not None
    config = None if text is None else _parse(text, path, "attribute 'model_config'")
    return Contents(config, version, has_weights=whole or config is None)


def training_config(path: Path) -> dict[str, Any]:
    """Return what an HDF5 file says of the training, where Keras 1 and 2 keep it; an archive has it in its config."""
    if is_zip(path):
        return {}
    with hdf5.opened(path) as root:
        text = root.text("training_config")
    return {} if text is None else _parse(text, path, "attribute 'training_config'")


def _archive_contents(path: Path) -> Contents:
    with _opened(path) as archive:
        names = set(archive.namelist())
        if WEIGHTS in names and archive.getinfo(WEIGHTS).compress_type != zipfile.ZIP_STORED:
            places.fetch_whole(path, "its weights are compressed")
        config = _parse(_member_text(archive, CONFIG, path), path, repr(CONFIG))
        metadata = _parse(_member_text(archive, METADATA, path), path, repr(METADATA)) if METADATA in names else {}
    version = metadata.get("keras_version")
    return Contents(config, version if isinstance(version, str) else "", has_weights=WEIGHTS in names)


def _parse(text: str, path: Path, where: str) -> dict[str, Any]:
    """Parse a JSON object; JSON nested beyond Python's stack counts as damage."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        _corrupt(path, f"{where} is no JSON that can be read ({_first_line(error)})", error)
    if not isinstance(value, dict):
        _corrupt(path, f"{where} holds {type(value).__name__} {text[:40]!r} instead of an object")
    return value


def _first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type if it has none."""
    return str(error).partition("\n")[0] or type(error).__name__


@contextmanager
def weights(path: Path) -> Iterator[Node]:
    """Open the HDF5 root of a Keras file's weights, in the file itself or in the archive's member.

    Raises
    ------
    CorruptSourceError
        If the container is damaged, or its member would unpack to far more than it takes.
    """
    if not is_zip(path):
        with hdf5.opened(path) as root:
            yield root
        return
    with _opened(path) as archive, _member_file(archive, path) as file:
        yield file.root


def texts(path: Path, names: Collection[str]) -> dict[str, str]:
    """Return those of some members of an archive that are there, as text; raises as :func:`contents` does."""
    with _opened(path) as opened:
        return {name: _member_text(opened, name, path) for name in opened.namelist() if name in names}


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive whose list of members is sound."""
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            _check_names(archive, path)
            yield archive
    except (errors.TfMagicError, FileNotFoundError, PermissionError):
        raise
    except archives.DAMAGE as error:
        _corrupt(path, f"the zip archive cannot be read ({_first_line(error)})", error)


def _check_names(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse what no Keras writes: a name twice (which of them counts?), a name that leads out of the archive."""
    seen: set[str] = set()
    for name in archive.namelist():
        if name in seen:
            _corrupt(path, f"the zip archive holds {name!r} twice, and which of them counts is open")
        seen.add(name)
        if not places.stays_inside(name):
            _corrupt(path, f"the zip archive holds {name!r}, a name that leads out of it")


def _info(archive: zipfile.ZipFile, name: str, path: Path) -> zipfile.ZipInfo:
    """Find a member and make sure that it can be read without harm."""
    try:
        info = archive.getinfo(name)
    except KeyError:
        _corrupt(path, f"the zip archive holds no {name!r}, only {errors.listed(archive.namelist())}")
    if info.flag_bits & _ENCRYPTED:
        _corrupt(path, f"{name!r} is encrypted, which Keras does not do; unpack it with its password and zip it again")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        _corrupt(path, f"{name!r} is compressed by method {info.compress_type}; Keras stores or deflates its members")
    if info.file_size > max(HARMLESS, MAX_EXPANSION * info.compress_size):
        _corrupt(path, f"{name!r} claims {info.file_size:,} bytes unpacked from {info.compress_size:,}, a zip bomb")
    return info


def _member_text(archive: zipfile.ZipFile, name: str, path: Path) -> str:
    """Unpack a JSON member, never more than :data:`MAX_JSON` of it, whatever its size claims."""
    info = _info(archive, name, path)
    with archive.open(info) as stream:
        data = stream.read(MAX_JSON + 1)
    if len(data) > MAX_JSON:
        _corrupt(path, f"{name!r} takes more than {MAX_JSON >> 20} MiB, more than the config of any model")
    return data.decode("utf-8", "replace")


@contextmanager
def _member_file(archive: zipfile.ZipFile, path: Path) -> Iterator[hdf5.File]:
    """Open the weights for random access: in place if they are stored, else unpacked to a temporary file."""
    info, origin = _info(archive, WEIGHTS, path), f"{path}:{WEIGHTS}"
    if info.compress_type == zipfile.ZIP_STORED:
        with path.open("rb") as file:
            yield hdf5.File(file, origin, _data_offset(file, info, path), info.file_size)
        return
    _check_room(info, path)
    try:
        # It has no name where the system can do without, so that nothing is left of it when the process is killed.
        unpacked = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed below
    except OSError as error:
        raise _no_room(info, path, error.strerror) from error
    with unpacked:
        with archive.open(info) as stream:
            _copy(stream, unpacked, info, path)
        yield hdf5.File(unpacked, origin)


def _data_offset(file: IO[bytes], info: zipfile.ZipInfo, path: Path) -> int:
    """Return where a stored member's bytes begin: after the local header, whose lengths are its own."""
    file.seek(info.header_offset)
    header = file.read(_LOCAL_HEADER.size)
    if len(header) < _LOCAL_HEADER.size or not header.startswith(ZIP_MAGIC):
        _corrupt(path, f"the zip archive lists {info.filename!r} where it is not")
    _, name_length, extra_length = _LOCAL_HEADER.unpack(header)
    begin = info.header_offset + _LOCAL_HEADER.size + int(name_length) + int(extra_length)
    if begin + info.file_size > file.seek(0, os.SEEK_END):
        _corrupt(path, f"{info.filename!r} reaches beyond the end of the file")
    return begin


def _check_room(info: zipfile.ZipInfo, path: Path) -> None:
    try:
        free = shutil.disk_usage(tempfile.gettempdir()).free
    except OSError as error:
        raise _no_room(info, path, error.strerror) from error
    if info.file_size + SPARE_DISK > free:
        raise _no_room(info, path, f"{free:,} are free")


def _no_room(info: zipfile.ZipInfo, path: Path, why: str | None) -> errors.ReadError:
    return errors.ReadError(
        f"the compressed {info.filename!r} of {str(path)!r} needs {info.file_size:,} bytes in the temporary directory, "
        f"and cannot have them: {why}; make room, or point TMPDIR to another disk"
    )


def _copy(stream: IO[bytes], target: IO[bytes], info: zipfile.ZipInfo, path: Path) -> None:
    """Unpack at most so much as a member claims; zipfile checks that it was all, by the member's checksum."""
    left = info.file_size
    while left > 0 and (chunk := stream.read(min(_CHUNK, left))):
        left -= len(chunk)
        try:
            while chunk:
                chunk = chunk[target.write(chunk) :]
        except OSError as error:
            raise _no_room(info, path, error.strerror) from error


def _corrupt(path: Path, problem: str, cause: BaseException | None = None) -> NoReturn:
    raise errors.CorruptSourceError(
        f"{str(path)!r} is a Keras file that does not parse: {problem}; copy or download it again, or save the model "
        "once more"
    ) from cause
