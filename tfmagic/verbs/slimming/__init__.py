"""What the verb slim makes: where the bytes of each form go, and copies without what is not needed.

Not for: the verb itself (:mod:`tfmagic.verbs.slim`), or the edits of graphs (``transforms/slim_*``).
"""
