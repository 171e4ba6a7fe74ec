"""The writer of SavedModels: main graph, object graph, functions.

Not for: other formats, or where the files are put (``files/writing``).
"""
