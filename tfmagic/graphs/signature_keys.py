"""What TensorFlow makes of the keys of a signature, and which keys it cannot hold.

``tf.saved_model.load`` makes a Python function of a signature. A key that is no name of an argument becomes one there,
and the arguments are called in the order of those names; the SignatureDef itself takes any text and keeps no order. Not
for: the SignatureDef (:mod:`tfmagic.graphs.signatures`), or the names of nodes.
"""

from __future__ import annotations

import keyword
from collections import defaultdict
from typing import TYPE_CHECKING

from tfmagic import errors

if TYPE_CHECKING:
    from collections.abc import Iterable


def argument_name(key: str) -> str:
    """Return the name of the argument that TensorFlow makes of an input's key.

    Does as ``sanitize_arg_name`` of tensorflow/core/function/polymorphism/function_type.py: letters and digits are
    those of Unicode, capitals stay. (The names of tensors are made in another way: ``sanitize_spec_name`` lowers them.)
    """
    name = "".join(char if char.isalnum() else "_" for char in key)
    return name if name[:1].isalpha() else f"arg_{name}"


def argument_order(keys: Iterable[str]) -> list[str]:
    """Return the keys of inputs in the order in which TensorFlow's loader gives them to a function of TensorFlow 2.

    It sorts arguments that are named by their names (``FunctionType._sorted_parameters``).
    """
    return sorted(keys, key=argument_name)


def require_arguments(keys: Iterable[str], signature: str = "") -> None:
    """Refuse keys of inputs that no signature can have which TensorFlow 2 is to load.

    Parameters
    ----------
    keys : iterable of str
        The keys of one signature's inputs.
    signature : str
        The key of the signature, where the message is to name it.

    Raises
    ------
    ConversionError
        If one is no argument's name even for TensorFlow, or two become the same name.
    """
    named: dict[str, list[str]] = defaultdict(list)
    for key in keys:
        named[argument_name(key)].append(key)
    where = f"signature {signature!r}: " if signature else ""
    for name, same in named.items():
        if not name.isidentifier() or keyword.iskeyword(name):
            raise errors.ConversionError(
                f"{where}TensorFlow 2 loads no signature with an input called {same[0]!r}, which is no name of an "
                f"argument in Python; name it otherwise, {_renaming(same[0])}, or write no SavedModel but a graph, "
                "TFLite or ONNX"
            )
        if len(same) > 1:
            raise errors.ConversionError(
                f"{where}TensorFlow 2 cannot tell the inputs {errors.listed(same)} apart, because it takes what is no "
                f"letter or digit for '_' ({name!r}); name one otherwise, {_renaming(same[-1])}"
            )


def name_notes(what: str, names: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Say which keys a format could not hold, and by which names it has them.

    Parameters
    ----------
    what : str
        What holds the names, as in ``"an ONNX file"``.
    names : iterable of (str, str)
        A key and its name; those that are the same are left out.
    """
    pairs = ", ".join(f"{key!r} is {name!r}" for key, name in names if key != name)
    return (f"{what} cannot hold every key as it is, so {pairs} in it",) if pairs else ()


def _renaming(key: str) -> str:
    return f"inputs={{'new key': {key!r}, …}}"
