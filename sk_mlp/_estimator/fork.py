"""Processes that were forked after TensorFlow had started: they lack its threads, and would wait for them forever."""

import os
import sys


class _Process:
    lacks_threads = False


def _look() -> None:
    """Note in a new child whether TensorFlow had started before. Nothing is imported: without it, it has not."""
    context = sys.modules.get("tensorflow.python.eager.context")
    started = context.context_safe() if context else None
    _Process.lacks_threads |= started is not None and started._initialized


os.register_at_fork(after_in_child=_look)


def refuse_after_fork(what: str) -> None:
    """Raise an error where TensorFlow would wait forever.

    Parameters
    ----------
    what : str
        Is not possible.

    Raises
    ------
    RuntimeError
    """
    if _Process.lacks_threads:
        raise RuntimeError(
            f"{what} is not possible in this process, {os.getpid()}: it was forked after TensorFlow had started, and "
            "would wait for threads that it does not have. Start processes by joblib's 'loky' backend, or by "
            "multiprocessing.get_context('spawn'). predict works here for the built-in network."
        )
