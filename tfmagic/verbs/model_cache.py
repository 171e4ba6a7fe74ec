"""Keep models loaded between runs.

At most :data:`KEPT` are kept, those used last. What came from a path is loaded again once any of its files has
changed. A Keras model is kept by its identity, for as long as it lives, and traced again once its layers or variables
are others. A session's values change with each step of training, so nothing of it is kept; nor of what needs no
loading. Not for: obtaining functions (:mod:`tfmagic.verbs.conversion.options`).
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tfmagic import errors
from tfmagic.files import file_marks, places
from tfmagic.files.addresses.address import path_of
from tfmagic.models.model import Model, Part
from tfmagic.readers import keras_model
from tfmagic.transforms.cut_function import by_key
from tfmagic.verbs.conversion import options as conversion_options
from tfmagic.verbs.conversion import sources as conversion_sources

if TYPE_CHECKING:
    from collections.abc import Hashable

    from tfmagic.functions import NamedFunction
    from tfmagic.graphs.signatures import TaggedSignatures
    from tfmagic.verbs.conversion.options import Wish

#: Models that are kept.
KEPT = 4
#: Files looked at to see whether a model on disk has changed.
_FILES = 1000

_lock = threading.RLock()
_kept: dict[Hashable, _Kept] = {}


class Loaded(NamedTuple):
    """A function that can be called.

    Attributes
    ----------
    function : NamedFunction
        Its ends are those that were asked for.
    model : Model
        What it came from.
    seconds : float
        What loading took, next to nothing if it was loaded already.
    again : bool
        Whether it was loaded already.
    """

    function: NamedFunction
    model: Model
    seconds: float
    again: bool

    @property
    def signed(self) -> TaggedSignatures:
        """What the model's own SignatureDefs call the tensors; nothing where it has none."""
        signed: TaggedSignatures = self.model.part(Part.SIGNATURES) if Part.SIGNATURES in self.model.loaders else ()
        return signed


@dataclass
class _Kept:
    """A model, how it looked when it was loaded, and its functions by what was asked for."""

    mark: object
    #: None for a live object, which is read anew: that takes no time.
    model: Model | None = None
    functions: dict[tuple[object, ...], NamedFunction] = field(default_factory=dict)
    #: The reference to a live object, by which its end is noticed.
    alive: object = None


def load(source: object, wish: Wish, *, trust: bool = False) -> Loaded:
    """Return the one function that is meant, loaded now or before.

    Parameters
    ----------
    source : object
        What the user gave.
    wish : Wish
        The signature, the inputs and the outputs that are meant.
    trust : bool
        Whether code in the source may run.

    Raises
    ------
    MissingPartError
        If the source cannot run.
    UnknownNameError
        If there is no such signature or tensor.
    """
    begun = time.perf_counter()
    with _lock:
        key, mark = _identity(source, trust=trust)
        kept = _kept.pop(key, None) if key is not None else None
        if kept is None or kept.mark != mark:
            kept = _Kept(mark)
        model = kept.model or _read(source, trust=trust)
        asked = (wish.signature, _hashable(wish.inputs), _hashable(wish.outputs))
        function = kept.functions.get(asked)
        again = function is not None
        if function is None:
            (function,) = conversion_options.functions(model, wish, every=False).values()
        if key is not None:
            kept.functions[asked] = _released(source, function)
            _keep(source, model, key, kept)
    return Loaded(function, model, time.perf_counter() - begun, again)


def forget() -> None:
    """Let go of all models that are kept."""
    with _lock:
        _kept.clear()


def _keep(source: object, model: Model, key: Hashable, kept: _Kept) -> None:
    """Enter a model as the one used last; a live object is not kept alive by that, nor by what reads it."""
    if _is_live(source):
        kept.alive = kept.alive or weakref.ref(source, lambda _: _kept.pop(key, None))
    else:
        kept.model = model
    _kept[key] = kept
    while len(_kept) > KEPT:
        del _kept[next(iter(_kept))]


def _released(source: object, function: NamedFunction) -> NamedFunction:
    """Return a function without the live Keras model that it was made of: that holds the tables while it lives."""
    return replace(function, owner=None, model=None) if keras_model.is_keras(source) else function


def _read(source: object, *, trust: bool) -> Model:
    model = conversion_sources.read_source(source, None, must_exist=False, trust=trust)
    if Part.FUNCTION not in model.loaders:
        advice = model.advice or "Only what can run has one: give the model that it came from"
        raise errors.MissingPartError("function", model.form, model.parts, advice)
    return model


def _hashable(ends: conversion_options.Ends) -> Hashable:
    return None if ends is None else tuple((key, str(each)) for key, each in by_key(ends).items())


def _is_live(source: object) -> bool:
    return not isinstance(source, str | os.PathLike)


def _identity(source: object, *, trust: bool) -> tuple[Hashable | None, object]:
    """Return what a source is known by and what changes when it changes; no key for what is not kept."""
    if isinstance(source, str | os.PathLike):
        # As a source is read: a name that begins with ~ may be just that.
        path = path_of(source)
        if not places.is_here(path):
            return ("address", hash(path), trust), _files_mark(path)
        path = Path(os.path.realpath(path))
        return ("path", str(path), trust), _files_mark(path)
    if isinstance(source, Model):
        if source.path is None:
            return None, None
        return ("model", id(source), trust), _files_mark(source.path)
    if keras_model.is_keras(source):
        return ("object", id(source), trust), _keras_mark(source)
    return None, None


def _files_mark(path: Path) -> tuple[object, ...]:
    """Return names, times and sizes of a model's files: those in its directory, those that begin as it does.

    An address is asked once for each directory.
    """
    inside = path.rglob("*") if places.is_directory(path) else _beside(path)
    files = sorted(each for each, _ in zip(inside, range(_FILES), strict=False) if places.is_file(each))
    return tuple((str(each), file_marks.of(each)) for each in files)


def _beside(path: Path) -> list[Path]:
    """Return what begins as a path does, itself where there is no list of names."""
    stem = path.name.partition(".")[0]
    with suppress(OSError):
        names = sorted(name for name in places.names(path.parent) if name.startswith(stem))
        return [path.parent / name for name in names] or [path]
    return [path]


def _keras_mark(model: Any) -> tuple[object, ...]:  # noqa: ANN401 - Keras' own
    """Return the identities of what a trace of a model rests on."""
    layers = getattr(model, "layers", ())
    return (*(id(each) for each in layers), *(id(each) for each in model.variables), getattr(model, "built", None))
