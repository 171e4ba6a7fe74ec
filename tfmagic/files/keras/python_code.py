"""Find the Python code that a Keras config would have Keras run, or import, before Keras sees the config.

Keras's own safe mode does not cover all: that of Keras 3 before 3.11 leaves ``.h5`` files out, ``tf_keras`` imports
whatever module an archive names, and a TFOpLambda layer of Keras 2 calls any function of TensorFlow's. Not for:
loading a model (:mod:`tfmagic.functions.keras.files`).
"""

from __future__ import annotations

import builtins
import json
import pkgutil
import re
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

from tfmagic import errors
from tfmagic.files.keras import bytecode
from tfmagic.files.keras import specs as keras_specs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tfmagic.files.keras.specs import Spec

#: Layers of Keras 2 that call a function of TensorFlow's by its name.
OP_LAYERS = frozenset({"TFOpLambda", "SlicingOpLambda"})
#: What calls any method of a class or an object; only tf_keras knows them.
_METHOD_LAYERS = frozenset({"ClassMethod", "InstanceMethod"})
#: A function of TensorFlow 1's is what the one of its name in TensorFlow 2 is, if both are on the list.
_VERSIONS = re.compile(r"compat\.v[12]\.")
#: A layer of Keras 2 that holds a NodeDef.
_NODE_LAYER = "TensorFlowOpLayer"
#: Layers that load more than their own weights, and the argument that says what.
_LOADING_LAYERS = {"TFSMLayer": "filepath", "TorchModuleWrapper": "module"}
#: Classes by which a config has Keras call or load something that it names.
_NAMING = frozenset({*OP_LAYERS, *_METHOD_LAYERS, *_LOADING_LAYERS, _NODE_LAYER, "function"})
#: Classes that hold code or name it.
_TELLING = _NAMING | {"Lambda", "__lambda__"}
#: Arguments of layers that look words up, of tokenizers and of feature columns: what they hold, or the file with it.
_VOCABULARIES = frozenset({
    "vocabulary", "idf_weights", "merges", "proto", "vocabulary_file", "initial_vocabulary", "ckpt_to_load_from",
})  # fmt: skip
#: The parts of Keras whose functions compute; those of the others change settings, load or save.
_COMPUTING_PARTS = frozenset({
    "activations", "constraints", "initializers", "losses", "metrics", "ops", "regularizers",
})  # fmt: skip
#: The parts of Keras whose objects make a model; the others load, save, download.
_MODELLING = frozenset({
    "activations", "backend", "constraints", "dtype_policies", "engine", "feature_column", "initializers", "layers",
    "losses", "metrics", "mixed_precision", "models", "ops", "optimizers", "premade_models", "quantizers", "random",
    "regularizers", "saving_lib",
})  # fmt: skip
#: Packages between Keras and its parts.
_INNER = frozenset({"src", "api", "_tf_keras", "keras", "_legacy", "legacy"})
#: Letters of a value that a message shows.
_SHOWN = 100
_LOADERS = re.compile(r"(load|save|model_from)_\w+")
_KERAS = frozenset({"keras", "tf_keras", "keras_hub", "keras_cv", "keras_nlp"})
#: Fields of a Keras 2 Lambda that may hold a dumped function, and the suffix of the field that says so.
_LAMBDA_FIELDS = ("function", "output_shape", "mask")


class Code(NamedTuple):
    """Code of a config: where it stands, what it is, and its bytecode, the name of a function elsewhere, or a NodeDef.

    A NodeDef is JSON; whether its op does more than compute is for the caller to say.
    """

    layer: str
    what: str
    bytecode: str | None = None
    function: str | None = None
    node: str | None = None


class Told(NamedTuple):
    """What a config tells: code, by layer, then elsewhere; objects outside of Keras's modelling parts, by name."""

    code: tuple[Code, ...]
    foreign: tuple[str, ...]


def in_config(config: Spec) -> tuple[Code, ...]:
    """Return the code that runs when the model is loaded or called, by layer."""
    own = dict.fromkeys(
        code
        for outer, spec in keras_specs.leaves(config)
        for member in keras_specs.objects(spec)
        if _may_tell(member)
        for code in _of_object(outer + keras_specs.name(spec), member)
    )
    return tuple(own or dict.fromkeys(_in(keras_specs.name(config), config)))


def anywhere(config: Spec) -> Told:
    """Return the code of a config, and what it names: of layers, and of what the model was trained with."""
    is_telling = False
    named: dict[tuple[str, str, str] | None, None] = {}
    for member in keras_specs.objects(config):
        if "module" in member:
            named[_named(member)] = None
        # Of most models none tells anything: then nobody asks which layer it stands in.
        is_telling = is_telling or _may_tell(member)
    code = _of_parts(config) if is_telling else ()
    return Told(tuple(code), tuple(sorted({name for name, _ in _foreign(named)})))


def _of_parts(config: Spec) -> Iterable[Code]:
    """Return the code of a config, of each layer first, then of what else it holds."""
    own: dict[Code, None] = {}
    leaves: set[int] = set()
    for outer, spec in keras_specs.leaves(config):
        leaves.add(id(spec))
        own.update(dict.fromkeys(_in(outer + keras_specs.name(spec), spec)))
    known = {code[1:] for code in own}
    layer = "" if own else keras_specs.name(config)
    elsewhere = (member for member in keras_specs.objects(config, leaves) if _may_tell(member))
    rest = dict.fromkeys(code for member in elsewhere for code in _of_object(layer, member) if code[1:] not in known)
    return *own, *rest


def check(
    config: Spec,
    path: Path,
    *,
    trust: bool,
    is_registered: Callable[[str], bool],
    node_hazard: Callable[[str], str],
) -> None:
    """Refuse code that nobody has vouched for, and code that cannot run here.

    Parameters
    ----------
    config : dict
        The model's config.
    path : Path
        The file, for messages.
    trust : bool
        Whether the user trusts the file's maker.
    is_registered : callable
        Says of a name whether the user has registered a class or function of that name with Keras.
    node_hazard : callable
        Says of a NodeDef in JSON what it would do beyond computing, nothing if that is all.

    Raises
    ------
    UntrustedCodeError
        Without trust, if there is any code.
    ReadError
        If the config names objects outside of Keras that the user did not register, or holds another Python's
        bytecode.
    """
    # What a model was trained with is not loaded.
    loaded = {key: value for key, value in config.items() if key != "compile_config"}
    for name, registered in sorted(set(foreign(loaded))):
        if not is_registered(registered):
            raise errors.ReadError(
                f"{str(path)!r} is made with {name!r}, which is no part of Keras's models and not in the file; import "
                "the code that defines it and register it (@keras.saving.register_keras_serializable), or give the "
                "live model"
            )
    carried = [code for code in in_config(config) if code.node is None or node_hazard(code.node)]
    if carried and not trust:
        words = [f"{code.layer!r}: {node_hazard(code.node) if code.node else code.what}" for code in carried]
        shown = "; ".join(words[: errors.LISTED_NAMES])
        raise errors.UntrustedCodeError(
            f"{str(path)!r} carries Python code, or what acts as such, which would run with your rights ({shown}); if "
            "you trust who made the file, allow it with trust=True (--trust in a magic or shell). Nothing of it was "
            "run",
            f"run what the file says with your rights ({shown})",
        )
    for code in carried:
        _check_bytecode(code, path)
        if code.function is not None and not is_registered(code.function):
            raise errors.ReadError(
                f"the layer {code.layer!r} in {str(path)!r} calls the function {code.function!r}, which is not in the "
                "file: register it with keras.saving.register_keras_serializable, or give the live model"
            )


def _check_bytecode(code: Code, path: Path) -> None:
    if code.bytecode is None:
        return
    try:
        bytecode.unmarshalled(code.bytecode)
    except ValueError as error:
        raise errors.ReadError(
            f"the lambda of the layer {code.layer!r} in {str(path)!r} cannot run: Keras stored its bytecode, and "
            f"{error}, not of {bytecode.running()}. Convert the file in the Python that saved it, or build the model "
            "in code, load its weights and give the live model"
        ) from error


def is_computing(function: str) -> bool:
    """Say whether a function of TensorFlow's, by its public name, is on the list of those that only compute."""
    return _VERSIONS.sub("", function, count=1) in computing_functions()


@cache
def computing_functions() -> frozenset[str]:
    """Return the functions of TensorFlow's that a file may name."""
    text = (pkgutil.get_data("tfmagic.files.keras", "tensorflow_functions.txt") or b"").decode()
    return frozenset(name for line in text.splitlines() if not line.startswith("#") for name in line.split())


def _in(layer: str, spec: object) -> Iterator[Code]:
    """Yield the code in a layer's config, at any depth."""
    for member in keras_specs.objects(spec):
        if _may_tell(member):
            yield from _of_object(layer, member)


def _may_tell(spec: Spec) -> bool:
    """Say whether an object may hold or name code: most of a config are tensors, calls and plain layers."""
    config = spec.get("config")
    if isinstance(config, dict) and not config.keys().isdisjoint(_VOCABULARIES):
        return True
    return any(kind in _TELLING or _is_function(kind) for kind in _kinds(spec))


def _kinds(spec: Spec) -> tuple[str, ...]:
    """Return the classes that an object may be of: tf_keras takes the registered one if its module lacks the first."""
    kind, registered = keras_specs.class_name(spec), spec.get("registered_name")
    if not isinstance(registered, str) or kind in ("function", registered):
        return (kind,)
    return kind, keras_specs.printable(registered).rpartition(">")[2]


def _is_function(kind: str) -> bool:
    """Say whether a class is none by its name: Keras takes functions of its own from there as well."""
    return kind[:1].islower()


def _of_object(layer: str, spec: Spec) -> Iterator[Code]:
    arguments = keras_specs.arguments(spec)
    for kind in _kinds(spec):
        yield from _of_kind(layer, kind, spec)
    for name in sorted(_VOCABULARIES & arguments.keys()):
        if isinstance(arguments[name], str) and arguments[name]:
            yield Code(layer, f"reads the file {arguments[name]!r}")


def _of_kind(layer: str, kind: str, spec: Spec) -> Iterator[Code]:
    arguments = keras_specs.arguments(spec)
    if kind == "Lambda":
        yield Code(layer, "a Lambda layer")
        for field in _LAMBDA_FIELDS:
            value = arguments.get(field)
            if is_dump(value) and arguments.get(f"{field}_type", "lambda") == "lambda":
                yield Code(layer, "a lambda", value[0])
            elif isinstance(value, str) and arguments.get(f"{field}_type") == "function":
                yield Code(layer, f"the function {value!r}", function=value)
    elif kind == "__lambda__":
        code = arguments.get("code", arguments.get("value"))
        yield Code(layer, "a lambda", str(code[0] if isinstance(code, list) and code else code))
    elif kind in _NAMING or _is_function(kind):
        yield from _of_name(layer, kind, spec)


def _of_name(layer: str, kind: str, spec: Spec) -> Iterator[Code]:
    """Yield what a config has Keras call or load by a name."""
    arguments = keras_specs.arguments(spec)
    if kind in OP_LAYERS and not is_computing(str(arguments.get("function"))):
        yield Code(layer, f"calls tf.{arguments.get('function')}")
    elif kind in _METHOD_LAYERS:
        yield Code(layer, f"calls the method {arguments.get('method_name', arguments.get('attr_name'))!r}")
    elif kind in _LOADING_LAYERS:
        yield Code(layer, f"a {kind}, which loads {str(arguments.get(_LOADING_LAYERS[kind]))[:_SHOWN]!r}")
    elif kind == _NODE_LAYER:
        yield Code(layer, "an op of TensorFlow's", node=json.dumps(arguments.get("node_def")))
    elif _is_function(kind):
        module, called = str(spec.get("module")), str(spec.get("config")) if kind == "function" else kind
        if not _computes(module, called):
            yield Code(layer, f"calls {module}.{called}")


def _computes(module: str, called: str) -> bool:
    """Say whether a function of Keras's computes; those of others are refused elsewhere, or the user's own."""
    if module.partition(".")[0] not in {"keras", "tf_keras"} or not is_modelling(module, called):
        return True
    parts = [part for part in module.split(".")[1:] if part not in _INNER]
    return bool(parts) and parts[0] in _COMPUTING_PARTS


def is_dump(value: object) -> TypeGuard[list[Any]]:
    """Say whether a value is what Keras dumps a lambda to: its code, its defaults and its closure."""
    match value:
        case [str(), _, _]:
            return True
    return False


def foreign(config: Spec) -> Iterator[tuple[str, str]]:
    """Yield the objects outside of Keras's modelling parts that a config names, and their names if registered."""
    return _foreign(map(_named, keras_specs.objects(config)))


def _foreign(named: Iterable[tuple[str, str, str] | None]) -> Iterator[tuple[str, str]]:
    # A large model has few classes.
    for module, own, registered in dict.fromkeys(filter(None, named)):
        if not is_modelling(module, own):
            yield f"{module}.{own}", registered


def _named(spec: Spec) -> tuple[str, str, str] | None:
    """Return module, name and registered name of what an object names, None where it names nothing."""
    module, kind = spec.get("module"), spec.get("class_name")
    if not (isinstance(module, str) and isinstance(kind, str)):
        return None
    own = spec["config"] if kind == "function" and isinstance(spec.get("config"), str) else kind
    return module, own, str(spec.get("registered_name") or own)


def is_modelling(module: str, name: str) -> bool:
    """Say whether a name in a module is one of those parts of Keras that models are made of."""
    package, *inner = module.split(".")
    if "." in name:
        # tf_keras goes on from there to whatever the module itself imports: sys.exit.
        return False
    if module == "builtins":
        # Keras's own functions stand there too; tf_keras falls back on Python's.
        return not hasattr(builtins, name)
    parts = [part for part in inner if part not in _INNER]
    is_part = not parts or parts[0] in _MODELLING or package in _KERAS - {"keras", "tf_keras"}
    return package in _KERAS and is_part and not _LOADERS.fullmatch(name)
