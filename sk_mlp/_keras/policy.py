"""Keras' dtype policy, which each thread has for itself: noted where a fit is called, set wherever it is run."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from scipy.sparse import issparse

from sk_mlp._estimator.fork import refuse_after_fork
from sk_mlp._estimator.messages import warn
from sk_mlp._keras.inner import global_state

if TYPE_CHECKING:
    from sk_mlp._estimator.base import BaseKerasMLP

KEY = "dtype_policy"  # the name under which Keras keeps the thread's own policy
OWN_NETWORKS = (
    "float32",
    "float64",
    "mixed_bfloat16",
    "mixed_float16",
)  # policies with fewer bits for weights do not train

HALF = {"mixed_float16": (65504.0, 2.0**-11), "mixed_bfloat16": (3.4e38, 2.0**-8)}  # largest number, rounding of 1


@dataclass(frozen=True, eq=False)
class Noted:
    """A policy, and the thread that has it.

    Attributes
    ----------
    policy : DTypePolicy
    process, thread : int
    """

    policy: keras.DTypePolicy
    process: int
    thread: int


def noted(estimator: "BaseKerasMLP") -> Noted | None:
    """The policy that a clone which is made here has to note: its fit may be run in another thread or process.

    None where it is the process's default.
    """
    own = global_state.get_global_attribute(KEY)  # Keras sets it to the default when a layer is made
    here = os.getpid(), threading.get_ident()
    if own is not None and own.name != keras.config.floatx():
        return Noted(own, *here)
    before: Noted | None = getattr(estimator, "_policy", None)
    return before if before and (before.process, before.thread) != here else None


def policy_of_fit(estimator: "BaseKerasMLP") -> keras.DTypePolicy:
    """The policy of this thread, or, if it has none of its own, of the one in which the estimator was cloned."""
    found = noted(estimator)
    return found.policy if found else keras.dtype_policies.get(keras.config.floatx())


def name_for_own_network(policy: keras.DTypePolicy) -> str:
    """The policy's name.

    Raises
    ------
    ValueError
        If the built-in network cannot be trained under it.
    """
    if policy.name not in OWN_NETWORKS:
        raise ValueError(
            f"Keras' dtype policy must be one of {list(OWN_NETWORKS)} for the built-in network. Got "
            f"{policy.name!r}; see keras.config.set_dtype_policy."
        )
    return policy.name


def check_half(X: Any, columns: Sequence[int], names: Sequence, policy: str) -> None:
    """Raise where half precision loses X, in a network that takes X as it is.

    Parameters
    ----------
    X : ndarray or csr_array of shape (n_rows, n_columns)
    columns : sequence of int
        Those that it takes.
    names : sequence of length n_columns
    policy : str

    Raises
    ------
    ValueError
        If a number is too large.

    Warns
    -----
    UserWarning
        If the numbers of a column differ by less than the rounding.
    """
    if policy not in HALF:
        return
    limit, epsilon = HALF[policy]
    ends = X.max(axis=0), X.min(axis=0)
    numbers = (np.asarray(end.toarray() if issparse(end) else end, float).ravel() for end in ends)
    largest, least = (end[list(columns)] for end in numbers)
    names = [names[j] for j in columns]
    size = np.maximum(largest, -least)
    where = f"under Keras' dtype policy {policy!r}, since the network takes X as it is. Scale X, or set input_scaling"
    if (size > limit).any():
        j = int(size.argmax())
        raise ValueError(f"X must be within +-{limit:g} {where}. Got {size[j]:g} in column {names[j]!r}.")
    lost = (largest > least) & (largest - least < 8 * epsilon * size)
    if lost.any():
        some = [names[j] for j in np.flatnonzero(lost)[:5]]
        warn(f"X's columns {some} lose their differences {where}.")


def exact(policy: str) -> str:
    """The policy of parts that must not be rounded to half precision: statistics, codes, scaling, the output."""
    return "float64" if policy == "float64" else "float32"


@contextmanager
def under_policy(policy: str | keras.DTypePolicy) -> Iterator[None]:
    """Within the context, set this policy in this thread."""
    before = global_state.get_global_attribute(KEY)
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        global_state.set_global_attribute(KEY, before)


def build_under(policy: str | keras.DTypePolicy, make: Callable[[], keras.Model]) -> keras.Model:
    """Make a model under a policy, whatever the thread's is."""
    refuse_after_fork("A Keras model")
    with under_policy(policy):
        return make()
