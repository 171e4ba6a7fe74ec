"""The check of a result: inputs are made, both models run on them, the outputs are compared.

A module here makes inputs that a model takes, runs one on copies of its state, or says what of two outputs differs. Not
for: when a conversion checks itself, and what follows (:mod:`tfmagic.verbs.conversion.checks`).
"""
