"""The check of a result: inputs are made, both models run on them, the outputs are compared."""
