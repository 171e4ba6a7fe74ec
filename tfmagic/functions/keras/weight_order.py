"""Whether the weights of an HDF5 file are in the layers that they belong to: Keras goes by the order of layers alone.

Not for: the values of weights (:mod:`tfmagic.files.keras.weights`), or loading a file
(:mod:`tfmagic.functions.keras.files`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfmagic.files.keras import archive as keras_archive

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tfmagic.files.hdf5 import Node
    from tfmagic.runtime import tensorflow as runtime


def settled(model: runtime.Live, source: Path, loaded: Path) -> tuple[str, ...]:
    """Make sure that each layer has its own weights; returns a note if they had to be loaded once more.

    Parameters
    ----------
    model : keras.Model
        With the weights that Keras put into it.
    source : Path
        The file that they come from.
    loaded : Path
        The same under a name that Keras takes for HDF5.

    Raises
    ------
    ValueError
        If the order of the weights in a nested model is another than in the file.
    """
    notes = _matched(model, source, loaded)
    for layer in model._flatten_layers() if hasattr(model, "_flatten_layers") else model.layers:  # noqa: SLF001
        # It computes with what it made of its weights; Keras 3.5 does not make that anew where it loads HDF5.
        if type(layer).__name__ == "Normalization" and hasattr(layer, "finalize_state"):
            layer.finalize_state()
    return notes


def _matched(model: runtime.Live, source: Path, loaded: Path) -> tuple[str, ...]:
    """Compare the order of the weights, and load by name where it is another."""
    with keras_archive.weights(source) as root:
        group = root.group("model_weights")
        stored = dict(_stored(group)) if group is not None else {}
    live = {layer.name: _ordered(layer) for layer in model.layers if _ordered(layer)}
    if set(stored) != set(live):
        # Names that Keras itself made up cannot be compared.
        return ()
    notes: tuple[str, ...] = ()
    if list(stored) != list(live):
        _assign(live, stored, loaded)
        notes = ("its weights were matched to layers by name, as their order in the file is another",)
    for name, weights in live.items():
        mine, theirs = (
            [_tail(getattr(each, "path", each.name)) for each in weights],
            [_tail(each) for each in stored[name]],
        )
        if sorted(mine) == sorted(theirs) and mine != theirs:
            raise ValueError(f"the weights of {name!r} are {theirs} in the file and {mine} in the model")
    return notes


def _assign(live: Mapping[str, Sequence[runtime.Live]], stored: Mapping[str, Sequence[str]], path: Path) -> None:
    """Give each layer the weights that the file has under its name; Keras 3.5 fails where it is to do that."""
    import h5py  # noqa: PLC0415 - few files need it

    with h5py.File(path) as file:
        for layer, variables in live.items():
            for variable, name in zip(variables, stored[layer], strict=True):
                variable.assign(file["model_weights"][layer][name][()])


def _ordered(layer: runtime.Live) -> list[runtime.Live]:
    """Return a layer's weights in the order in which Keras writes them to HDF5."""
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def _stored(group: Node) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield the layers that have weights in the file, and the weights' names."""
    for name in group.texts("layer_names") or ():
        own = group.group(name)
        names = own.texts("weight_names") if own is not None else None
        if names:
            yield name, names


def _tail(path: str) -> str:
    """Return a weight's name and its layer's."""
    return "/".join(path.partition(":")[0].split("/")[-2:])
