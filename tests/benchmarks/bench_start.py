"""What ``import tfmagic`` and ``%load_ext tfmagic`` add to a session that has IPython and pandas anyway."""

from __future__ import annotations

from tests.benchmarks.processes import in_turns

ROUNDS = 7
#: What issue 2 asks for, in seconds.
GOAL = 0.1

_SHELL = """
from IPython.core.interactiveshell import InteractiveShell
import pandas
shell = InteractiveShell.instance()
"""
_OURS = (
    _SHELL
    + """
import sys
import tfmagic
shell.run_line_magic("load_ext", "tfmagic")
print([name for name in ("tensorflow", "keras", "ipywidgets", "anywidget") if name in sys.modules])
"""
)


def main() -> None:
    """Print the seconds with and without the extension."""
    runs = in_turns(ROUNDS, alone=(_SHELL,), extended=(_OURS,))
    added = runs["extended"].seconds - runs["alone"].seconds
    print(f"import tfmagic and %load_ext tfmagic, fresh process, medians of {ROUNDS}:")
    print(f"  IPython and pandas {runs['alone'].seconds:.2f} s, with tfmagic {runs['extended'].seconds:.2f} s")
    print(f"  added {added:.3f} s (goal: at most {GOAL}); libraries brought in: {runs['extended'].output}")


if __name__ == "__main__":
    main()
