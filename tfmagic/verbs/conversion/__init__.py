"""A conversion: its plan, and from start to end how it is done, checked and put in its place."""
