"""MLflow's autologging for our estimators: MLflow itself patches only those of scikit-learn.

MLflow is never imported here, only used where the user has imported it.
"""

import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import _safe_indexing

if TYPE_CHECKING:
    from sk_mlp._estimator.base import BaseKerasMLP

FLAVOR = "sklearn"
BATCH = 100  # most parameters of one call, by MLflow's own limit
LONGEST = 500  # of a parameter's value, in characters
N_ROWS = 5  # of X, that tell a model's signature

_is_within: ContextVar[bool] = ContextVar("is_within", default=False)


@contextmanager
def unlogged_fits() -> Iterator[None]:
    """Within the context, make no runs of fits: they are parts of something else."""
    token = _is_within.set(True)
    try:
        yield
    finally:
        _is_within.reset(token)


@contextmanager
def logged_fit(estimator: "BaseKerasMLP", X: Any) -> Iterator[None]:
    """Make a run of the fit in the context, if ``mlflow.sklearn.autolog()`` is on.

    As MLflow does it: within the user's active run, or a new one, with the estimator's class as tags and its
    parameters; with its history, a step an epoch; and, unless ``log_models=False``, with the fitted estimator as a
    model, whose signature is that of rows of X. A fit within another one that is logged, a search's or a pipeline's,
    makes no run of its own. Data sets are not logged.
    """
    mlflow = None if _is_within.get() else _wanting_runs()
    if mlflow is None:
        yield
        return
    run = own = None
    try:
        run = mlflow.active_run() or (own := mlflow.start_run())
        _log_parameters(mlflow, run.info.run_id, estimator)
    except Exception as error:  # whatever it is: tracking must not stop a fit
        _warn(error)
    try:
        with unlogged_fits():
            yield
    except BaseException:
        if own:
            mlflow.end_run("FAILED")
        raise
    try:
        if run:
            _log_history(mlflow, run.info.run_id, estimator)
            _log_model(mlflow, estimator, X)
        if own:
            mlflow.end_run()
    except Exception as error:
        _warn(error)


def _wanting_runs() -> Any:
    """MLflow, if it is to log this fit, or else None."""
    mlflow = sys.modules.get("mlflow")
    utils = sys.modules.get("mlflow.utils.autologging_utils")
    if mlflow is None or utils is None or "mlflow.sklearn" not in sys.modules:
        return None
    try:
        if utils.autologging_is_disabled(FLAVOR) or getattr(utils, "_AUTOLOGGING_GLOBALLY_DISABLED", False):
            return None
        if utils.safety._AutologgingSessionManager.active_session() is not None:  # within a fit that is being logged
            return None
        if mlflow.active_run() and utils.get_autologging_config(FLAVOR, "exclusive", False):
            return None
    except AttributeError as error:  # of another version
        _warn(error)
        return None
    return mlflow


def _log_parameters(mlflow: Any, run_id: str, estimator: "BaseKerasMLP") -> None:
    entities, cls = mlflow.entities, type(estimator)
    tags = {
        "estimator_name": cls.__name__,
        "estimator_class": f"{cls.__module__}.{cls.__name__}",
        "mlflow.autologging": FLAVOR,
    }
    params = [entities.Param(name, str(value)[:LONGEST]) for name, value in estimator.get_params().items()]
    _send(mlflow, run_id, tags=[entities.RunTag(name, value) for name, value in tags.items()], params=params)


def _log_history(mlflow: Any, run_id: str, estimator: "BaseKerasMLP") -> None:
    now = int(1000 * time.time())
    metrics = [
        mlflow.entities.Metric(name, float(value), now, epoch)
        for name, values in estimator.history_.items()
        for epoch, value in enumerate(values)
        if np.isfinite(value)
    ]
    _send(mlflow, run_id, metrics=metrics)


def _log_model(mlflow: Any, estimator: "BaseKerasMLP", X: Any) -> None:
    def setting(name: str, default: Any = None) -> Any:
        return mlflow.utils.autologging_utils.get_autologging_config(FLAVOR, name, default)

    if not setting("log_models", True):
        return
    some = _safe_indexing(X, slice(0, N_ROWS))
    serialization = setting("serialization_format")
    mlflow.sklearn.log_model(
        estimator,
        name="model",
        signature=_signature(mlflow, estimator, some) if setting("log_model_signatures", True) else None,
        input_example=some if setting("log_input_examples", False) else None,
        registered_model_name=setting("registered_model_name"),
        **({"serialization_format": serialization} if serialization else {}),
    )


def _signature(mlflow: Any, estimator: "BaseKerasMLP", some: Any) -> Any:
    """MLflow's signature of a model for rows like these; None where MLflow does not know their types."""
    try:
        return mlflow.models.infer_signature(some, estimator.predict(some))
    except Exception as error:
        _warn(error)
        return None


def _send(mlflow: Any, run_id: str, **things: list) -> None:
    client = mlflow.MlflowClient()
    for begin in range(0, max(map(len, things.values())), BATCH):
        client.log_batch(run_id, **{name: some[begin : begin + BATCH] for name, some in things.items()})


def _warn(error: Exception) -> None:
    warnings.warn(f"MLflow's autologging has failed, which does not stop the fit: {error!r}", stacklevel=6)
