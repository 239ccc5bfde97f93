"""Exceptions that callers may want to tell apart."""

__all__ = ["ModelFileError", "NotCompilableError"]


class ModelFileError(ValueError):
    """A file that cannot be read as a fitted model: damaged, of another program, too large, or of a newer version.

    What `sk_mlp.load_model` and `sk_mlp.load_predictor` raise, whatever is wrong with a file that is there.
    """


class NotCompilableError(TypeError):
    """A model, loss, optimizer or callback that the compiled engine cannot run.

    ``engine="auto"`` answers it by training with ``engine="keras"``; ``engine="compiled"`` lets it pass.
    """
