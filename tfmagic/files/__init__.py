"""Bytes on disk: protobuf wire and messages, HDF5, flatbuffers, PNG; reading with bounds, writing aside.

A file in here knows one encoding or one way to the disk, and nothing of models, forms or TensorFlow itself.
"""
