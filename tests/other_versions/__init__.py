"""Files that other versions of TensorFlow and Keras write, and what those load of ours: ``make test-versions``.

Each version lies in an environment of its own, makes its files and says what its own models compute; nothing of it is
committed. Not for: running tfmagic under other versions (``make test-oldest``, ``make test-newest``).
"""
