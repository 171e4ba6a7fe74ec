"""Live widgets: the panel and what it is made of. Not for: deciding what is true, which the kernel's modules do."""
