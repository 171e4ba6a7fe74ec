"""A Model and its parts, how a source is recognised, its tables and the values of its variables.

Not for: any single form (``readers/``), or how it is shown (``display/``).
"""
