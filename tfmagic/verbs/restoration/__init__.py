"""How the values of a file find their variables: what a file stores, what is alive, and what identifies a value.

Each file here knows one side, or one rule of identity. What a user calls is :mod:`tfmagic.verbs.restore`.
"""
