"""Exceptions that callers may want to tell apart."""

__all__ = ["NotCompilableError"]


class NotCompilableError(TypeError):
    """A model, loss, optimizer or callback that the compiled engine cannot run.

    ``engine="auto"`` answers it by training with ``engine="keras"``; ``engine="compiled"`` lets it pass.
    """
