"""The verbs, one file each, and what several share.

Not for: how their options are typed (``commands/``), or how their results look (``display/``).
"""
