"""Export: tracing the training step, lowering it to plain ONNX, writing bundles and verifying them. Needs torch and onnx."""
