"""The picture of a graph: which boxes it has, what is open, how they are drawn.

Not for: places and sizes (``layout/``), or the live view (``notebook/panel/widgets/``).
"""
