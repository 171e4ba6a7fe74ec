"""What differs between two models: signatures, ops, layers, weights, each in a file of its own.

A file here yields rows of the table of :func:`tfmagic.diff`. Not for: matching ops
(:mod:`tfmagic.graphs.computation_matching`).
"""
