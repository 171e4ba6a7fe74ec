"""What a person should know before using a model: cautions (wrong results) and hazards (what it could do).

Not for: errors, which stop a verb, or how a finding is shown (``display/``).
"""
