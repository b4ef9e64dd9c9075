"""The host: which boards there are, which block goes where, and the stream that trains them. Needs no torch and no onnx."""
