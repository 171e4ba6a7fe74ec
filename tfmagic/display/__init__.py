"""How results are shown: sections to text and HTML, and the summary of a model.

Not for: anything live (``notebook/``), or finding what is shown.
"""
