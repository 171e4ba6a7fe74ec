"""What ``import tfmagic`` and ``%load_ext tfmagic`` add to a session that has IPython, with and without pandas."""

from __future__ import annotations

from tests.benchmarks.processes import in_turns

ROUNDS = 7
#: What issue 2 asks for, in seconds.
GOAL = 0.1

_SHELL = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
"""
_PANDAS = "import pandas\n"
_OURS = """
import sys
before = set(sys.modules)
import tfmagic
shell.run_line_magic("load_ext", "tfmagic")
heavy = ("numpy", "pandas", "tensorflow", "keras", "ipywidgets", "anywidget")
print([name for name in heavy if name in set(sys.modules) - before])
"""


def main() -> None:
    """Print the seconds with and without the extension."""
    print(f"import tfmagic and %load_ext tfmagic, fresh process, medians of {ROUNDS}:")
    for session, shell in (("IPython", _SHELL), ("IPython and pandas", _SHELL + _PANDAS)):
        runs = in_turns(ROUNDS, alone=(shell,), extended=(shell + _OURS,))
        alone, extended = runs["alone"].seconds, runs["extended"].seconds
        print(f"  {session} {alone:.2f} s, with tfmagic {extended:.2f} s: added {extended - alone:.3f} s")
        print(f"  (goal: at most {GOAL} s); libraries brought in: {runs['extended'].output}")


if __name__ == "__main__":
    main()
