"""Exceptions that callers may want to catch by class."""

__all__ = ["ModelFileError", "NotCompilableError"]


class ModelFileError(ValueError):
    """A file that cannot be read as a fitted model: damaged, of another program, too large, or of a newer version.

    `sk_mlp.load_model` and `sk_mlp.load_predictor` raise it, whatever is wrong with a file that exists.
    """


class NotCompilableError(TypeError):
    """A model, loss, optimizer or callback that the compiled engine cannot run.

    ``engine="auto"`` then trains with ``engine="keras"``; ``engine="compiled"`` raises it.
    """
