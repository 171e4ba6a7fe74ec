"""The command line: ``tfmagic VERB …``, made of the declarations in ``commands/``.

Not for: what a verb takes (``commands/``) or does (``verbs/``).
"""
