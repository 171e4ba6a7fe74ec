"""The verbs' options and words, declared once for every front.

Not for: what a verb does (``verbs/``), or who typed the line (``notebook/``, ``shell/``).
"""
