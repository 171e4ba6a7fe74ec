# PYTHON_ARGCOMPLETE_OK
"""``python -m tfmagic``, and the console script ``tfmagic``: the shell's process from start to end.

Not for: what a line means (:mod:`tfmagic.shell.command_line`).
"""

from __future__ import annotations

import gc
import os
import sys

#: So many objects may be made before what is out of reach is collected: some megabytes.
_OBJECTS = 50_000


def main() -> None:
    """Run the command line of this process, and end it with the status."""
    # TensorFlow's log is for who writes TensorFlow; the process is ours.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Collected every 700 objects, as Python does, what a short process has made costs a tenth of its time.
    gc.set_threshold(_OBJECTS, 20, 20)
    try:
        if "_ARGCOMPLETE" in os.environ:
            from tfmagic.shell.shell_completion import answer  # noqa: PLC0415 - only where the shell asks for it

            answer()
        from tfmagic.shell import command_line  # noqa: PLC0415 - an interrupt while it is imported is one, too

        status = command_line.run(sys.argv[1:])
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)


if __name__ == "__main__":
    main()
