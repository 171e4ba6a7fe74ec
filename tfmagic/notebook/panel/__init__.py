"""What the panel knows: plans, paging, values that are typed. Tested without a browser.

Not for: widgets (``widgets/``).
"""
