"""A fitted estimator as an ONNX graph, made node by node."""
