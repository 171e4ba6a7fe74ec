"""Load a Keras file into a live model, whichever Keras wrote it.

A file of Keras 3 is loaded by Keras itself. One of Keras 1 or 2, and one that Keras refuses, is built from its config
in Keras 3's words, and its weights are loaded by Keras; what that cannot do is left to ``tf_keras``. Not for: reading
a file without running it (:mod:`tfmagic.readers.keras_file`), or checkpoints.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import random
import re
import shutil
import zipfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from tfmagic import errors
from tfmagic.files import places
from tfmagic.files.keras import archive as keras_archive
from tfmagic.files.keras import config as keras_config
from tfmagic.files.keras import python_code
from tfmagic.files.keras import specs as keras_specs
from tfmagic.files.temporary_files import Scratch
from tfmagic.findings import hazards
from tfmagic.functions.keras import keras_2_config, keras_2_layers, weight_order
from tfmagic.runtime import keras as keras_runtime
from tfmagic.runtime import tensorflow as runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tfmagic.files.keras.archive import Contents
    from tfmagic.files.keras.specs import Spec

#: What is left to do with a file that does not load, of whoever has no live model.
WHERE_ELSE: Final = "; load it where it was saved and give the live model, or export it from there"
_KERAS_2 = '"tfmagic[keras2]"'
#: Layers whose vocabulary lies beside the weights, in a place that HDF5 files do not have.
LOOKUPS = frozenset({"StringLookup", "IntegerLookup", "TextVectorization"})
#: Keras 2's group of a model's layers; Keras 3 calls it ``layers``.
_KERAS_2_LAYERS = "_layer_checkpoint_dependencies"
_COUNT = re.compile(r"_\d+$")
#: Keras prints some reasons in bold, on a line of their own after one that says where.
_COLOUR = re.compile(r"\x1b\[\d*m")
_WHERE = re.compile(r"Exception encountered when calling [^\n]*\n+")
_MAX_CAUSE = 300


class LoadedModel(NamedTuple):
    """A live model, of Keras 3 or of ``tf_keras``, and how it came to be."""

    model: runtime.Live
    notes: tuple[str, ...]


class _Source(NamedTuple):
    """A file whose code has been checked."""

    path: Path
    contents: Contents
    trust: bool

    @property
    def config(self) -> Spec:
        """The model's config."""
        return self.contents.config or {}

    @property
    def is_archive(self) -> bool:
        """Whether it is a ``.keras`` archive, else HDF5; suffixes do not always tell."""
        with self.path.open("rb") as file:
            return file.read(len(keras_archive.ZIP_MAGIC)) == keras_archive.ZIP_MAGIC

    @property
    def is_old(self) -> bool:
        """Whether Keras 1 or 2 wrote it."""
        version = self.contents.keras_version
        return version[:1] in "12" if version else not keras_specs.is_keras_3(self.config)

    @property
    def writer(self) -> str:
        """Name what wrote it."""
        return f"Keras {self.contents.keras_version or ('1 or 2' if self.is_old else '3')}"


def load(path: Path, *, trust: bool = False) -> LoadedModel:
    """Load a file that holds a whole model; nothing is compiled.

    Parameters
    ----------
    path : Path
        An archive or an HDF5 file.
    trust : bool
        Whether code in the file may run.

    Raises
    ------
    UntrustedCodeError
        If there is code, and no trust.
    ReadError
        If the file does not say enough to build the model, or no Keras here can.
    MissingDependencyError
        If ``tf_keras`` might load it and is not installed.
    """
    contents = keras_archive.contents(path)
    if contents.config is None:
        raise errors.ReadError(f"{str(path)!r} holds weights only: give the model that they belong to")
    source = _Source(path, contents, trust)
    # Refuses weights that are damaged, or that would unpack to far more than they take.
    with keras_archive.weights(path) as root:
        outside = [] if trust else list(root.outside())
    hazards.require_none([hazards.of_outer_file(place) for place in outside], str(path))
    if not trust:
        hazards.require_none(list(hazards.of_layers(source.config, places.size(path))), str(path))
    _check_class(source)
    _check_vocabularies(source)
    python_code.check(
        source.config, path, trust=trust, is_registered=_is_registered, node_hazard=hazards.of_node_in_json
    )
    with runtime.eager(), same_random_numbers():
        return _first_of(source, _ways(source))


def _is_registered(name: str) -> bool:
    """Whether the user has told Keras of a class or function of this name."""
    return keras_runtime.keras().saving.get_registered_object(name) is not None


def _check_class(source: _Source) -> None:
    """Refuse a subclassed model whose class is nowhere: its layers are in its code."""
    config, kind = source.config, keras_specs.class_name(source.config)
    names = {str(config.get("registered_name") or kind), kind}
    if keras_specs.members(config) or any(map(_is_registered, names)):
        return
    if not python_code.is_modelling(str(config.get("module")), kind):
        raise errors.ReadError(
            f"{str(source.path)!r} holds the subclassed model {kind!r}, whose code is not in the file; give the live "
            "model, or import and register its class (@keras.saving.register_keras_serializable) first"
        )


def _ways(source: _Source) -> dict[str, Callable[[_Source], LoadedModel]]:
    """Return the ways to load a file, in order, by what is said of one that fails."""
    cleaned = {"with its config in Keras 3's words": _rewritten}
    if source.is_old:
        # Keras 3 takes some old configs for what they are not, without a word.
        return {**cleaned, "by tf_keras": _by_keras_2}
    # A lambda that Keras itself loads knows nothing of the names that it uses, such as tf.
    carries = bool(python_code.in_config(source.config))
    return {**(cleaned if carries else {}), "by Keras": _by_keras, **cleaned}


def _first_of(source: _Source, ways: dict[str, Callable[[_Source], LoadedModel]]) -> LoadedModel:
    failed: dict[str, Exception] = {}
    for name, way in ways.items():
        try:
            return way(source)
        except errors.WriteError:
            raise  # for want of a temporary directory, which no other way would have
        except Exception as error:  # noqa: BLE001 - Keras, and the code in a file, may raise anything
            failed[name] = error
    raise _unloadable(source, failed) from next(iter(failed.values()))


def _unloadable(source: _Source, failed: dict[str, Exception]) -> errors.TfMagicError:
    """Say that no way led to a model, why each did not, and what would."""
    keras = keras_runtime.keras()
    missing = next((each for each in failed.values() if isinstance(each, errors.MissingDependencyError)), None)
    causes = "; ".join(f"{name}: {_cause(each)}" for name, each in failed.items() if each is not missing)
    said = f"{str(source.path)!r} of {source.writer} does not load in Keras {keras.__version__} ({causes})"
    if missing is not None:
        return errors.MissingDependencyError(f"{said}. tf_keras, which is Keras 2, may load it, and", _KERAS_2)
    return errors.ReadError(said + WHERE_ELSE)


def _cause(error: Exception) -> str:
    """Return the line of an error that tells most: Keras puts the reason after pages of config."""
    text = str(error).strip()
    reason = _WHERE.sub("", text.rpartition("Exception encountered:")[2]).strip() or text
    line = _COLOUR.sub("", reason.splitlines()[0]) if reason else ""
    shown = line if len(line) <= _MAX_CAUSE else f"{line[:_MAX_CAUSE]} ..."
    return f"{type(error).__name__}: {shown}"


@contextlib.contextmanager
def same_random_numbers() -> Iterator[None]:
    """Leave the user's random numbers as they were: Keras draws a seed for each layer that has one."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)


def _check_vocabularies(source: _Source) -> None:
    """Refuse lookup layers whose words are not in the file: Keras loads them, and they know none."""
    if source.is_archive:
        return
    layers = keras_config.layers(source.config)
    without = [each.path for each in layers if each.class_name in LOOKUPS and not _vocabulary(each.spec)]
    if without:
        raise errors.ReadError(
            f"the vocabulary of {errors.listed(without)} is not in {str(source.path)!r}: Keras writes it into .keras "
            "archives and SavedModels only. Save the model as .keras where it was made, or give the live model"
        )


def _vocabulary(spec: Spec) -> object:
    arguments = keras_specs.arguments(spec)
    return arguments.get("vocabulary") or (arguments.get("lookup_layer") and arguments.get("vocabulary"))


# By Keras itself


def _by_keras(source: _Source) -> LoadedModel:
    with _named(source.path, ".keras" if source.is_archive else ".h5") as path:
        model = keras_runtime.keras().models.load_model(path, compile=False, safe_mode=not source.trust)
        notes = () if source.is_archive else weight_order.settled(model, source.path, path)
    return LoadedModel(model, notes)


def _by_keras_2(source: _Source) -> LoadedModel:
    keras = keras_runtime.tf_keras()
    with _named(source.path, ".keras" if source.is_archive else ".h5") as path:
        model = keras.models.load_model(str(path), compile=False, safe_mode=not source.trust)
        notes = () if source.is_archive else weight_order.settled(model, source.path, path)
    return LoadedModel(model, (f"saved by {source.writer}, loaded by tf_keras {keras.__version__}", *notes))


@contextlib.contextmanager
def _named(path: Path, suffix: str) -> Iterator[Path]:
    """Give a file the one name that Keras takes for its kind; it goes by suffixes alone."""
    with Scratch() as directory, keras_runtime.temporary_files_in(directory):
        link = directory / f"model{suffix}"
        try:
            link.symlink_to(path.resolve())
        except OSError:
            # Windows allows links to few.
            shutil.copyfile(path, link)
        yield link


# From a rewritten config


def _rewritten(source: _Source) -> LoadedModel:
    """Build the model from its config in Keras 3's words, and have Keras load the weights."""
    dialect = keras_2_config.Dialect(_arguments, source.is_old)
    config = keras_2_config.modern(source.config, dialect)
    build = _archive if source.is_archive else _hdf5
    with keras_runtime.keras().saving.custom_object_scope(dict(keras_2_layers.objects())):
        model, notes = build(source, config)
    return LoadedModel(
        model, (f"saved by {source.writer}, loaded by Keras {keras_runtime.keras().__version__}", *notes)
    )


def _hdf5(source: _Source, config: Spec) -> tuple[runtime.Live, tuple[str, ...]]:
    saving = keras_runtime.keras().saving
    model = saving.deserialize_keras_object(config, safe_mode=not source.trust)
    with _named(source.path, ".h5") as path:
        model.load_weights(path)
        return model, weight_order.settled(model, source.path, path)


def _archive(source: _Source, config: Spec) -> tuple[runtime.Live, tuple[str, ...]]:
    """Load a copy of the archive with another config, its weights where Keras 3 looks for them."""
    with Scratch() as directory, keras_runtime.temporary_files_in(directory):
        path = directory / "model.keras"
        with zipfile.ZipFile(source.path) as original, zipfile.ZipFile(path, "w") as written:
            for info in original.infolist():
                if info.filename == keras_archive.CONFIG:
                    written.writestr(keras_archive.CONFIG, json.dumps(config))
                elif info.filename == keras_archive.WEIGHTS and source.is_old:
                    written.write(_regrouped(original, source, directory), keras_archive.WEIGHTS)
                else:
                    with original.open(info) as reading, written.open(info.filename, "w", force_zip64=True) as writing:
                        shutil.copyfileobj(reading, writing)
        return keras_runtime.keras().models.load_model(path, compile=False, safe_mode=not source.trust), ()


def _regrouped(archive: zipfile.ZipFile, source: _Source, directory: Path) -> Path:
    """Unpack the weights of Keras 2 and give their groups Keras 3's names."""
    import h5py  # noqa: PLC0415 - only old archives need it

    path = Path(archive.extract(keras_archive.WEIGHTS, directory))
    renamed = dict(_renamed_classes(source.config))
    with h5py.File(path, "r+") as file:
        groups: list[str] = []
        file.visit(groups.append)
        # From the innermost, so that the names of those outside still hold.
        for name in sorted(groups, key=lambda each: -each.count("/")):
            outer, slash, own = name.rpartition("/")
            kind, count = _COUNT.sub("", own), _COUNT.search(own)
            other = "layers" if own == _KERAS_2_LAYERS else renamed.get(kind, kind) + (count[0] if count else "")
            if other != own and isinstance(file[name], h5py.Group):
                file.move(name, outer + slash + other)
    return path


def _renamed_classes(config: Spec) -> Iterator[tuple[str, str]]:
    """Yield what Keras 2 and Keras 3 call the group of a layer, where that differs."""
    for layer in keras_config.layers(config):
        yield keras_specs.keras_2_snake_case(layer.class_name), keras_specs.snake_case(layer.class_name)


@cache
def _arguments(kind: str) -> frozenset[str] | None:
    """Return the arguments that a layer's constructor takes, None if Keras 3 has no such layer."""
    keras = keras_runtime.keras()
    layer = getattr(keras.layers, kind, None) if kind else None
    if not inspect.isclass(layer) or not issubclass(layer, keras.layers.Layer):
        return None
    names: set[str] = set()
    for constructor in (vars(base)["__init__"] for base in layer.__mro__ if "__init__" in vars(base)):
        parameters = inspect.signature(constructor).parameters
        names.update(parameters)
        if not any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
            break
    return frozenset(names - {"self", "args", "kwargs"})
