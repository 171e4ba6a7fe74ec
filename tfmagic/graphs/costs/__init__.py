"""What a run of a graph computes, found without running it: shapes, floating-point operations, bytes of results.

A file here knows one thing of an op by its name: the shapes of its outputs, the value of a small integer tensor, its
FLOPs. Not for: the costs of Keras layers, which have no graph yet (:mod:`tfmagic.files.keras.layer_costs`).
"""
