"""What a ``.keras`` or ``.h5`` file holds: archive, config, weights, stored Python code. Keras is not needed.

Not for: making a Keras model of it (``functions/keras/``).
"""
