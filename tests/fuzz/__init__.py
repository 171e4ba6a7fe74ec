"""Coverage-guided fuzzing of every parser and reader: ``make fuzz``, or ``python -m tests.fuzz``.

What a target takes are bytes; what it may answer with is a result or an error of tfmagic's. Anything else is a find,
and so is a process that ends, hangs, or takes more memory than it may. Finds become files in ``finds/``, which the
suite reads again. Not for: what a reader makes of whole files (``tests/readers``).
"""
