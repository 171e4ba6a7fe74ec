"""What the verb catalog is made of: walks, tasks and their rows, fingerprints, engines, files of rows.

Not for: the verb itself (:mod:`tfmagic.verbs.catalog`).
"""
