"""The outputs of a run in a file, for who reads them elsewhere.

Not for: running (:mod:`tfmagic.verbs.run`).
"""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from tfmagic import errors
from tfmagic.files import write_checks, writing
from tfmagic.verbs.undisturbed import undisturbed

if TYPE_CHECKING:
    import os
    from pathlib import Path

    import numpy.typing as npt

    from tfmagic.verbs.run_results import Run

_SUFFIX = ".npz"


def destination(output: str | os.PathLike[str], *, overwrite: bool) -> Path:
    """Return where outputs are kept, refusing before any work is done what could not be written.

    Raises
    ------
    WriteError
        If it is no ``.npz``, or exists and may not be replaced.
    """
    path = write_checks.resolved(output)
    if path.suffix != _SUFFIX:
        raise errors.WriteError(
            f"outputs are kept as arrays by name, in a file that ends in {_SUFFIX!r}, not {str(output)!r}"
        )
    write_checks.require_replaceable(path, overwrite=overwrite, directory=False)
    return path


@undisturbed
def keep(run: Run, output: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write the outputs of a run into an ``.npz`` file, each under its key.

    Raises
    ------
    WriteError
        If it cannot be written, or holds text that such a file cannot hold without pickled objects.
    """
    arrays = {key: _unpickled(key, array) for key, array in run.outputs.items()}
    path = destination(output, overwrite=overwrite)
    with writing.Staging(path, overwrite=overwrite) as staged, zipfile.ZipFile(staged, "w") as archive:
        for key, array in arrays.items():
            with archive.open(f"{key}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)


def _unpickled(key: str, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return an array of text as one of bytes of equal length: objects would have to be pickled."""
    if array.dtype.kind != "O":
        return array
    texts = [each if isinstance(each, bytes) else str(each).encode() for each in array.reshape(-1)]
    if any(text.endswith(b"\0") for text in texts):
        raise errors.WriteError(
            f"output {key!r} has bytes that end in zeros, which arrays of text lose; print it with --as json"
        )
    return np.array(texts, dtype=np.bytes_).reshape(array.shape) if texts else np.zeros(array.shape, "S1")
