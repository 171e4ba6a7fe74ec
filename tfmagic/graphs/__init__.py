"""A graph as TensorFlow's messages: nodes, ops, names, signatures, variables, and walks along its edges.

A file in here reads a GraphDef, a FunctionDef, a MetaGraphDef or an object graph and needs no TensorFlow. Not for:
changing a graph (``transforms/``), or drawing it (``display/graph/``).
"""
