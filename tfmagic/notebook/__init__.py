"""The front for Jupyter and IPython: magics, live display, cells of TensorFlow 1, the panel."""
