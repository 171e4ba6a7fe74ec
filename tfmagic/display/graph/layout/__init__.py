"""Places and sizes: ranks, rows, columns, bundled edges of what is visible.

A file in here knows boxes and edges, and nothing of TensorFlow or of colours.
"""
