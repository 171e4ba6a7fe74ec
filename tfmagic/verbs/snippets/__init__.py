"""Plain TensorFlow code, without tfmagic, that does what a verb does, as far as stock TensorFlow can.

Nothing here converts or runs anything. Not for: the verbs (``verbs/``).
"""

from tfmagic.verbs.snippets.code import Code, code

__all__ = ["Code", "code"]
