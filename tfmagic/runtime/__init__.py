"""The only window onto TensorFlow, Keras, LiteRT and ONNX: what is imported, and each private API with its fallback.

Not for: what is done with them.
"""
