"""Fuzz all targets, or some: ``python -m tests.fuzz [--targets NAME ...] [--executions N]``.

Each target runs in a process of its own, which libFuzzer ends. Inputs that were found are kept in ``artifacts/fuzz``,
with the inputs that reached new code, with which the next run goes on.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from tests.fuzz.targets import SHARES, TARGETS

ROOT = Path(__file__).resolve().parents[2]
FINDS = Path(__file__).resolve().with_name("finds")
#: MiB that the process may take, and bytes of the longest input.
MEMORY, LONGEST = 3000, 1 << 16
_EXECUTED = re.compile(r"stat::number_of_executed_units: (\d+)")
_FIND = re.compile(r"Test unit written to (\S+)")


def main() -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=list(TARGETS), metavar="NAME")
    parser.add_argument("--executions", type=int, default=1_000_000, help="of all targets together")
    parser.add_argument("--seconds", type=int, default=0, help="at most so long for each target")
    parser.add_argument("--timeout", type=int, default=20, help="seconds for one input; more where others compute, too")
    parser.add_argument("--corpus", type=Path, default=os.environ.get("TFMAGIC_CORPUS"), help="more seeds")
    parser.add_argument("--folder", type=Path, default=ROOT / "artifacts" / "fuzz")
    options = parser.parse_args()
    seeds = options.folder / "seeds"
    if not seeds.is_dir():
        subprocess.run([sys.executable, "-c", _GATHER, seeds, options.corpus or ""], check=True, cwd=ROOT)
    total = sum(SHARES[name] for name in options.targets)
    counts = {name: _run(options, name, int(options.executions * SHARES[name] / total)) for name in options.targets}
    finds = sum(found for _, found in counts.values())
    print(f"{sum(done for done, _ in counts.values()):,} executions, {finds} finds")
    return int(finds > 0)


_GATHER = """
import sys
from pathlib import Path
from tests.fuzz import seeds
print("seeds:", seeds.gather(Path(sys.argv[1]), Path(sys.argv[2]) if sys.argv[2] else None))
"""


def _run(options: argparse.Namespace, name: str, executions: int) -> tuple[int, int]:
    """Fuzz one target until it has run so often; each find ends a process, and the next goes on."""
    kept = options.folder / "kept" / name
    artifacts = options.folder / "finds" / name
    for folder in (kept, artifacts, options.folder / "seeds" / name):
        folder.mkdir(parents=True, exist_ok=True)
    done, finds, begun = 0, 0, time.monotonic()
    while done < executions and finds < 20:
        left = options.seconds - int(time.monotonic() - begun) if options.seconds else 0
        if options.seconds and left <= 0:
            break
        command = [
            sys.executable, "-m", "tests.fuzz.one_target", name, str(kept), str(options.folder / "seeds" / name),
            f"-runs={executions - done}", f"-max_total_time={left}", f"-timeout={options.timeout}",
            f"-rss_limit_mb={MEMORY}", f"-max_len={LONGEST}", f"-artifact_prefix={artifacts}/",
            "-print_final_stats=1", "-verbosity=1",
        ]  # fmt: skip
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)
        executed = _EXECUTED.search(result.stderr)
        if executed is None and "stat::" not in result.stderr and not _FIND.search(result.stderr):
            raise SystemExit(result.stderr[-4000:])
        done += int(executed[1]) if executed else 1
        if result.returncode == 0:
            break
        finds += 1
        path = _FIND.search(result.stderr)
        print(f"{name}: {path[1] if path else 'no input was written'}\n{result.stderr[-3000:]}", flush=True)
    print(f"{name}: {done:,} executions, {finds} finds, {time.monotonic() - begun:.0f} s", flush=True)
    return done, finds


if __name__ == "__main__":
    sys.exit(main())
