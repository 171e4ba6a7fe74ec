"""Run the benchmarks: ``python -m tests.benchmarks`` all of them, with names those whose file holds one.

A benchmark is a file ``bench_*.py`` beside this one. It prints both sides of a ratio that it measured in one run;
none of them is a test, since a busy machine is no fault of the code.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def chosen(names: list[str]) -> list[str]:
    """Return the benchmarks' modules, in alphabetical order."""
    modules = sorted(path.stem for path in HERE.glob("bench_*.py"))
    return [module for module in modules if not names or any(name in module for name in names)]


def main(names: list[str]) -> int:
    """Run the benchmarks one after the other, each in a process of its own, and say which failed."""
    failed = []
    for module in chosen(names):
        print(f"\n== {module.removeprefix('bench_')}", flush=True)
        command = [sys.executable, "-m", f"{__package__}.{module}"]
        if subprocess.run(command, cwd=HERE.parents[1], check=False).returncode:
            failed.append(module)
    if failed:
        print(f"\nfailed: {', '.join(failed)}", file=sys.stderr)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
