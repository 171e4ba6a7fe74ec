"""From one function or model to another: frozen, signed anew, merged. Not for: files, which ``writers/`` make."""
