"""A conversion: its plan, and from start to end how it is done, checked and put in its place.

A module here is a step that every format takes, or a way around one: what the user asked for, which functions or which
edit of the graph that means, what is checked. Not for: what one format does (``writers/``), or one verb takes
(``verbs/``).
"""
