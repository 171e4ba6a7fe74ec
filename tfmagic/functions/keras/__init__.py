"""Keras models, of Keras 3 and 2: loaded from a file, traced.

Not for: reading files without Keras (``files/keras/``).
"""
