"""Make an environment for each other version of TensorFlow, its files, and some with other backends of Keras.

    python -m tests.other_versions.environments UV FOLDER PYTHON

What is there already is kept: an environment is made once, its files anew whenever what writes them has changed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

#: The minor versions of TensorFlow, each with a Keras of its time; tf_keras goes by TensorFlow's.
VERSIONS = {"2.16": "3.1", "2.17": "3.4", "2.18": "3.6", "2.19": "3.9", "2.20": "3.12", "2.21": "3.14"}
#: What a version takes, and cannot work with: TensorFlow 2.20 writes no text by protobuf 7.
BOUNDS = {"2.20": ("protobuf<7",)}
#: Environments with tfmagic and Keras, and what else is in them. Keras' numpy takes parts from JAX.
BACKENDS = {
    "jax": ("jax", "scipy", "tensorflow-cpu==2.21.*"),
    "jax-alone": ("jax", "scipy"),
    "torch": ("torch==2.13.*", "tensorflow-cpu==2.21.*"),
    "torch-alone": ("torch==2.13.*",),
}
ROOT = Path(__file__).resolve().parents[2]
_SOURCES = ("networks.py", "write_files.py")


def python(folder: Path, version: str) -> Path:
    """Return the interpreter of a version's environment."""
    return folder.absolute() / version / "bin" / "python"


def files(folder: Path, version: str) -> Path:
    """Return where the files of a version lie."""
    return folder.absolute() / version / "files"


def run(
    folder: Path, version: str, module: str, *arguments: str, backend: str = "tensorflow"
) -> subprocess.CompletedProcess[str]:
    """Run a module of this package in an environment, and return what came of it."""
    return subprocess.run(
        [python(folder, version), "-m", f"{__package__}.{module}", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )


def install(uv: str, place: Path, interpreter: str, *packages: str) -> None:
    """Make an environment, unless it was made before with the same packages."""
    stamp, state = place / "packages.txt", "\n".join(packages)
    if stamp.is_file() and stamp.read_text() == state:
        return
    # Where pip looks besides: a torch without CUDA may lie there.
    environment = {**os.environ, "UV_FIND_LINKS": os.environ.get("PIP_FIND_LINKS", "")}
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", interpreter, place], check=True)
    into = [uv, "pip", "install", "--quiet", "--python", str(place)]
    alone = [package for package in packages if package.startswith("tf_keras")]
    subprocess.run([*into, *(package for package in packages if package not in alone)], check=True, env=environment)
    if alone:
        # It asks for `tensorflow`, which would overwrite the files of tensorflow-cpu.
        subprocess.run([*into, "--no-deps", *alone], check=True)
    stamp.write_text(state)


def write(folder: Path, version: str) -> None:
    """Let a version write its files, unless it did so with what is here."""
    sources = b"".join((Path(__file__).parent / source).read_bytes() for source in _SOURCES)
    state = hashlib.sha256(sources).hexdigest()
    place = files(folder, version)
    stamp = place / "written_by"
    if stamp.is_file() and stamp.read_text() == state:
        return
    shutil.rmtree(place, ignore_errors=True)
    done = run(folder, version, "write_files", str(place))
    if done.returncode:
        sys.exit(f"TensorFlow {version} did not write its files:\n{done.stderr[-3000:]}")
    stamp.write_text(state)


def main(uv: str, folder: Path, interpreter: str) -> None:
    """Make what is not there yet."""
    for version, keras in VERSIONS.items():
        print(f"TensorFlow {version} with Keras {keras}", flush=True)  # noqa: T201 - a command of the Makefile
        packages = (
            f"tensorflow-cpu=={version}.*",
            f"keras=={keras}.*",
            f"tf_keras=={version}.*",
            *BOUNDS.get(version, ()),
        )
        install(uv, folder / version, interpreter, *packages)
        write(folder, version)
    for name, others in BACKENDS.items():
        print(f"Keras with {', '.join(others)}", flush=True)  # noqa: T201 - as above
        install(uv, folder / name, interpreter, "--editable", str(ROOT), "keras", *others)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
