"""What the weights of a box of the graph are like, read for its details while a person looks at it.

Not for: the details themselves (:mod:`tfmagic.notebook.panel.graph_details`).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tfmagic.models import variable_statistics
from tfmagic.models.variable_statistics import CancelledError
from tfmagic.notebook.panel import cell_text
from tfmagic.notebook.panel.widgets import threads, variables_tab

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tfmagic.display.graph.scenes import Data
    from tfmagic.frames import VariableRow
    from tfmagic.models.variable_values import VariableValues

#: Up to so many values are read before the handler answers, which is sooner than a thread would be seen to work.
_AT_ONCE = 1 << 16


class GraphWeights:
    """Reads weights, those of one box at a time.

    Parameters
    ----------
    values : VariableValues
        Of the model.
    """

    def __init__(self, values: VariableValues) -> None:
        self._values = values
        self._unwanted = threading.Event()

    def stop(self) -> None:
        """Read no more for the box that was asked for last."""
        self._unwanted.set()

    def read(self, box: int, variables: Mapping[int, VariableRow], send: Callable[[Data], None]) -> None:
        """Send what variables of a box are like, by their rows; many values in a thread, until :meth:`stop`."""
        self.stop()
        unwanted = self._unwanted = threading.Event()

        def read() -> None:
            for row, variable in variables.items():
                answer = None if unwanted.is_set() else self._statistics(variable, unwanted)
                if answer is not None and not unwanted.is_set():
                    send({"statistics": {"n": box, "row": row, **answer}})

        if sum(variable.size or 0 for variable in variables.values()) <= _AT_ONCE:
            read()
        else:
            threads.begin(read, "statistics")

    def _statistics(self, variable: VariableRow, unwanted: threading.Event) -> Data | None:
        """Return the statistics of a weight, or why there are none; nothing where nobody waits any more."""

        def check(_seen: int) -> None:
            if unwanted.is_set():
                raise CancelledError

        answer: Data = {"facts": [], "note": ""}
        try:
            statistics = variable_statistics.of(self._values.of(variable).blocks, check)
        except CancelledError:
            return None
        except Exception as error:  # noqa: BLE001 - a live model's session or device raises whatever it likes
            answer["note"] = f"no statistics: {cell_text.long_text(str(error).partition(chr(10))[0])}"
        else:
            answer["facts"] = list(variables_tab.facts(statistics))
            if statistics.bars:
                answer["chart"] = variables_tab.chart(statistics)
        return answer
