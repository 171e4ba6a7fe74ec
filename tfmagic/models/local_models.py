"""The same model on this machine, of one that lies at an address: for TensorFlow, which opens files by itself.

Not for: fetching (:mod:`tfmagic.files.addresses.local_copies`), or reading, which works at the address.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING

from tfmagic import errors
from tfmagic.files import places
from tfmagic.models.form import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tfmagic.files.addresses.address import Address
    from tfmagic.files.addresses.local_copies import LocalCopy
    from tfmagic.models.model import Model


def with_local(model: Model, read: Callable[[Path], Model]) -> Model:
    """Return a model whose parts that need files of this machine come from a copy, fetched when first asked for.

    Parameters
    ----------
    model : Model
        Its path is an address.
    read : callable
        Reads the same source from another path.
    """
    local = cache(partial(_local, model, read))
    loaders = {
        part: partial(_part, local, part) if part is Part.FUNCTION or part in model.computed else load
        for part, load in model.loaders.items()
    }
    averaging = None if model.averaging is None else partial(_averaging, local)
    return replace(model, loaders=loaders, local=local, averaging=averaging)


def _averaging(local: Callable[[], Model]) -> Model:
    model = local()
    return model if model.averaging is None else model.averaging()


def _part(local: Callable[[], Model], part: Part) -> object:
    result: object = local().part(part)
    return result


def _local(model: Model, read: Callable[[Path], Model]) -> Model:
    """Fetch a model's files, and read them."""
    # With it comes what copies.
    from tfmagic.files.addresses import local_copies  # noqa: PLC0415

    address = places.as_address(model.path)
    base = address if places.is_directory(address) else address.parent
    copy, size = local_copies.fetched(dict.fromkeys(_files(model, address, base)), base)
    path = copy.path if base == address else copy.path / address.name
    note = f"its files were fetched from the address, {size:,} bytes, for what TensorFlow reads by itself"
    result = replace(read(path), origin=model.origin, notes=(*model.notes, note))
    return _holding(copy, result)


def _holding(copy: LocalCopy, model: Model) -> Model:
    """Return a model that keeps its files: it, and what is made of it."""

    def held(make: Callable[..., Model] | None) -> Callable[..., Model] | None:
        return None if make is None else lambda *arguments: _holding(copy, _named(model, make(*arguments)))

    return replace(
        model,
        held=copy,
        trusting=held(model.trusting),
        averaging=held(model.averaging),
        narrowed=held(model.narrowed),
    )


def _named(model: Model, other: Model) -> Model:
    return replace(other, origin=model.origin, reader=model.reader, marks=model.marks)


def _files(model: Model, address: Address, base: Address) -> Iterator[Address]:
    """Yield the files of a model: what its directory lists, else what it names."""
    if base == address:
        if model.file is not None:
            yield from address.walked()
        # A server without pages of its directories lists nothing.
        yield from (path for path in address.seen() if path.is_relative_to(address))
        if Part.GRAPH in model.loaders:
            names = (address / "assets" / str(name) for name in model.table("assets")["filename"])
            yield from (path for path in names if places.is_file(path))
    elif places.is_file(address):
        yield address
    files = model.checkpoint_files()
    if files is None:
        return
    with_graph = [] if files.meta_graph is None else [files.meta_graph]
    try:
        shards = [*files.opened.shards] if files.tables else []
    except errors.ReadError:
        shards = []
    paths = map(places.as_address, (*files.tables, *shards, *with_graph))
    yield from (path for path in paths if path.is_relative_to(base) and places.is_file(path))
