"""The main job, `python -m sk_mlp`, and its data sets."""
