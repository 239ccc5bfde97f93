"""Seeds of what a user's builder draws, for the thread that calls it alone.

Fits with the same ``random_state`` must start from the same weights, and no fit may change the process's random state.
Keras has no public way to have both. `keras.utils.set_random_seed` changes the whole process. An initializer without a
seed draws one from Python's `random` as soon as it is made: within the builder, where nobody can give it another.
Afterwards nobody can tell weights that were drawn from those that the builder has loaded.

So while a builder runs, the name `random` in Keras' own module is that of an object which draws from a generator of
this thread's own. In all other threads it passes everything on to `random`: they draw what they would draw anyway.
"""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from sk_mlp._keras.inner import global_state, seed_generator

OWN_GENERATOR = "global_seed_generator"  # the name under which Keras keeps the thread's own generator


class _RandomByThread(threading.local):
    """Python's `random`, from which Keras draws seeds, or the generator of a thread that has its own."""

    own: random.Random | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.own or random, name)


_by_thread, _lock = _RandomByThread(), threading.Lock()
_users = 0  # threads that are in the context


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within the context, let all that Keras draws in this thread without a seed follow from this seed.

    Keras keeps the generator of its operations by thread: it is replaced in this one. Seeds of initializers and layers
    come from Python's `random`, which all threads share: it is left alone, as this module's docstring says.
    """
    global _users
    before, operations = _by_thread.own, global_state.get_global_attribute(OWN_GENERATOR)
    with _lock:
        _users += 1
        seed_generator.python_random = _by_thread
    _by_thread.own = random.Random(seed)
    global_state.set_global_attribute(OWN_GENERATOR, keras.random.SeedGenerator(seed))
    try:
        yield
    finally:
        _by_thread.own = before
        global_state.set_global_attribute(OWN_GENERATOR, operations)
        with _lock:
            _users -= 1
            if not _users:
                seed_generator.python_random = random
