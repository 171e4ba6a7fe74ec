"""A checkpoint on disk: its sorted table of entries, its shards, slices, state file, and how one is written.

Not for: which variable of a graph or of a live object an entry belongs to (``graphs/``, ``functions/state/``).
"""
