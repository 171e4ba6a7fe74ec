"""The front for Jupyter and IPython: magics, live display, cells of TensorFlow 1, the panel.

A module here translates between a cell and a verb. Not for: the options and words of a verb, which every front shares
(``commands/``), nor what a result looks like without a kernel (``display/``).
"""
