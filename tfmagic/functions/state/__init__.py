"""State of a checkpoint, a session or a live object: variables, tables, generators; read, kept, put back.

Not for: which verbs do so.
"""
