"""What a TFLite flatbuffer holds, and new names for it. Not for: running one (``functions/tflite``)."""
