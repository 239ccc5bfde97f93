"""Files of fitted models: what is written, and what is refused when they are read."""
