"""What runs on a board, or stands for one. No torch, no onnx; onnxruntime only once a block is loaded."""
