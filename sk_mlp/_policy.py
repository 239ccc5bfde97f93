"""Keras' dtype policy, which each thread has for itself: noted where a fit is asked for, held wherever it is run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
from keras.src.backend.common import global_state

from sk_mlp._fork import refuse_after_fork

KEY = "dtype_policy"  # under which Keras keeps the thread's own
OWN_NETWORKS = ("float32", "float64", "mixed_bfloat16", "mixed_float16")  # those of fewer bits in weights do not train


def policy_of_thread() -> Any:
    """The policy that has been set in this thread, if it is another than the process's default; else None."""
    policy = global_state.get_global_attribute(KEY)
    return None if policy is None or policy.name == keras.config.floatx() else policy


def policy_of_fit(estimator: Any) -> Any:
    """The policy for a fit: that of this thread, or else that of the thread in which the estimator was cloned."""
    if global_state.get_global_attribute(KEY) is None and (cloned_under := getattr(estimator, "_policy", None)):
        return cloned_under
    return policy_of_thread() or keras.dtype_policies.get(keras.config.floatx())


def name_for_own_network(policy: Any) -> str:
    """The policy's name.

    Raises
    ------
    ValueError
        If our own networks cannot be trained under it.
    """
    if policy.name not in OWN_NETWORKS:
        raise ValueError(
            f"Keras' dtype policy must be one of {list(OWN_NETWORKS)} for the estimator's own network. Got "
            f"{policy.name!r}; see keras.config.set_dtype_policy."
        )
    return policy.name


def exact(policy: str) -> str:
    """The policy of what must not be rounded to half precision: statistics, codes, scaling, the output."""
    return "float64" if policy == "float64" else "float32"


@contextmanager
def under_policy(policy: Any) -> Iterator[None]:
    """Have this policy in this thread within the context."""
    before = global_state.get_global_attribute(KEY)
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        global_state.set_global_attribute(KEY, before)


def build_under(policy: Any, make: Callable[[], keras.Model]) -> keras.Model:
    """Make a model under a policy, whatever the thread's is."""
    refuse_after_fork("A Keras model")
    with under_policy(policy):
        return make()
