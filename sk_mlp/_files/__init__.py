"""Files of fitted models: writing them, and reading them with suspicion."""
