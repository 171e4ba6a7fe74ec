"""Faults at every file-system call, kills and interrupts: ``make faults``, or ``python -m tests.faults``.

A write must leave the new version or the one that was there, whatever happens, and say which. ``interposer.c`` makes it
happen, ``subjects.py`` has what writes, ``trial.py`` judges what is left. The suite runs the short form
(``test_faults.py``): what puts files in their place at every call, and some calls of some writers.
"""
