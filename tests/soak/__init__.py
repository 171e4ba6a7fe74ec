"""A thousand mixed verbs in one process, which must level off: ``make soak``, or ``python -m tests.soak``."""
