"""What lies at an address that ``fsspec`` knows: ``https://``, ``s3://``, ``memory://`` and others.

An :class:`~tfmagic.files.addresses.address.Address` is a path to all who read; nothing of a network is imported before
the user names one. Not for: what lies on this machine, be it named ``file://``.
"""
