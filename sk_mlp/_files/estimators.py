"""Turns a fitted estimator into the content of a file, and that into an estimator."""

import platform
from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from itertools import pairwise
from typing import Any

from numpy.typing import NDArray

from sk_mlp._files.forms import NotKept, check_hashes
from sk_mlp._files.values import Reader, Writer, missing
from sk_mlp._network.names import HIDDEN, OUTPUT, at_depth, variable
from sk_mlp._network.spec import Fitted, NetworkSpec
from sk_mlp._targets.base import Targets
from sk_mlp.exceptions import ModelFileError

MODULES = {"KerasMLPClassifier": "sk_mlp.classifier", "KerasMLPRegressor": "sk_mlp.regressor"}
NOT_KEPT = (
    "_live",
    "_routed",
    "_policy",
    "_metadata_request",
)  # attributes of an estimator that are left out, or kept in another way
MOST_COLUMNS = 2**22  # of a network that is tried before use: a row of them takes some 50 MB


def check_kept(estimator: Any) -> None:
    """Raise an error for anything but a fitted estimator of this package.

    Raises
    ------
    TypeError
        If it is something else; with what to do, for searches and pipelines.
    NotFittedError
        If it is not fitted.
    """
    from sk_mlp._estimator.base import BaseKerasMLP  # which imports scikit-learn

    if isinstance(estimator, BaseKerasMLP):
        from sklearn.utils.validation import check_is_fitted

        check_is_fitted(estimator)
        return
    from sklearn.base import BaseEstimator
    from sklearn.model_selection._search import BaseSearchCV

    advice = ""
    if isinstance(estimator, BaseSearchCV) or hasattr(estimator, "best_estimator_"):
        advice = " Of a search, take best_estimator_."
    if hasattr(estimator, "steps") or hasattr(getattr(estimator, "best_estimator_", None), "steps"):
        advice += " Of a Pipeline, take the last step (pipeline[-1]), or save all of it by skops.io.dump."
    if isinstance(estimator, type):
        advice = " Got a class, of which fit makes a fitted object."
    if not advice and isinstance(estimator, BaseEstimator):
        advice = " Other estimators, with those that they hold, are saved by skops.io.dump."
    raise TypeError(
        "The 'estimator' parameter must be a fitted KerasMLPClassifier or KerasMLPRegressor. Got "
        f"{estimator if isinstance(estimator, type) else type(estimator).__name__!r} instead.{advice}"
    )


def content_of(estimator: Any, writer: Writer) -> dict[str, Any]:
    """What JSON holds of a fitted estimator; the arrays are in the writer.

    Raises
    ------
    ValueError
        For a parameter, or something else, that a file cannot hold.
    """
    cls, attributes = type(estimator), dict(vars(estimator))
    is_ours = cls.__module__ == MODULES.get(cls.__name__)
    source = attributes.get("init_from")
    fitted: Fitted = attributes["_fitted"]
    if fitted.make_model is not None:
        attributes["_fitted"] = replace(fitted, make_model=_kept_model(fitted, writer))
    parameters = {name: value for name, value in estimator._own_values().items() if name != "init_from"}
    elsewhere = {*parameters, *fitted.attributes(), *NOT_KEPT, "init_from"}
    kept = {name: value for name, value in attributes.items() if name not in elsewhere and "callback" not in name}
    policy = attributes.get("_policy")
    within = [name for name, value in kept.items() if type(value).__name__ in MODULES and hasattr(value, "_fitted")]
    return {
        "class": cls.__name__ if is_ours else writer.name(cls.__name__, cls),
        "is_ours": is_ours,
        "parameters": _written(parameters, writer, "The {!r} parameter"),
        "routed": _written(attributes["_routed"], writer, "The {!r} parameter"),
        "init_from": None if source is None else _source(source, writer),
        "learned": _written({k: v for k, v in kept.items() if k not in within}, writer, "The attribute {!r}"),
        "estimators": {name: content_of(kept[name], writer) for name in within},
        "requests": _requests(attributes.get("_metadata_request")),
        "policy": None if policy is None else policy.policy.name,
    }


def versions() -> dict[str, str]:
    """Versions that a file was written with, for people to read."""
    from importlib.metadata import PackageNotFoundError, version  # imported only where something is written

    found = {"python": platform.python_version()}
    for name in ("sk_mlp", "numpy", "keras", "tensorflow", "scikit-learn"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _written(values: Mapping[str, Any], writer: Writer, what: str) -> dict[str, Any]:
    written = {}
    for name, value in values.items():
        try:
            written[name] = writer.of(value)
        except (NotKept, ModelFileError) as error:
            learned = "A category of X, or another value that fit has learned,"
            named = learned if name == "_fitted" else what.format(name)
            raise ValueError(f"{named} cannot be kept in a file: {str(error).rstrip('.')}.") from error
    return written


def _kept_model(fitted: Fitted, writer: Writer) -> Any:
    from sk_mlp._files.keras_values import ModelOfConfig, model_of_config
    from sk_mlp._network.build import model_of

    if isinstance(fitted.make_model, ModelOfConfig):  # it comes from a file
        return fitted.make_model
    try:
        return model_of_config(model_of(fitted), writer)
    except (NotKept, ModelFileError) as error:
        raise ValueError(
            "The network of the 'model' parameter cannot be kept by its Keras configuration: "
            f"{str(error).rstrip('.')}. A file of save_model holds no code; use to_keras, or pickle."
        ) from error


def _source(source: Any, writer: Writer) -> dict[str, Any]:
    """The `init_from` estimator, as a file holds it."""
    is_frozen = type(source).__name__ == "FrozenEstimator"
    inner = source.estimator if is_frozen else source
    try:
        check_kept(inner)
    except Exception as error:
        raise ValueError(f"The 'init_from' parameter cannot be kept in a file: {error} Set it to None.") from error
    return {"is_frozen": is_frozen, "estimator": content_of(inner, writer)}


def _requests(request: Any) -> dict[str, dict]:
    """Metadata requests that `set_fit_request` and the like have set."""
    if request is None:
        return {}
    return {name: dict(method.requests) for name, method in vars(request).items() if hasattr(method, "requests")}


def learned_of(content: Any, reader: Reader) -> dict[str, Any]:
    """What an estimator has learned, with all checked that prediction needs.

    Raises
    ------
    ModelFileError
        If that is not what an estimator learns.
    """
    learned = {name: reader.of(value) for name, value in content["learned"].items()}
    fitted = learned.get("_fitted")
    if not isinstance(fitted, Fitted) or not isinstance(fitted.targets, Targets):
        raise ModelFileError("It is damaged: what has been fitted is missing, or of another type.")
    learned = {**fitted.attributes(), **learned}
    layout, spec, table = fitted.layout, fitted.spec, fitted.table
    for state in fitted.states:
        if (state.floats.shape, state.ints.shape) != ((layout.n_floats,), (layout.n_ints,)):
            raise ModelFileError("It is damaged: the states are not as long as their layout says.")
    n_columns = table.n_features + sum(len(date.features) - 1 for date in table.dates.values())
    if spec is not None and not n_columns == spec.n_features <= MOST_COLUMNS:
        raise ModelFileError("It is damaged: the network has other columns than X.")
    if spec is not None and not all(fits(spec, fitted.named_weights(m)) for m in range(len(fitted.states))):
        raise ModelFileError("It is damaged: the weights are not those of the network.")
    if table.names is not None and len(table.names) != table.n_features:
        raise ModelFileError("It is damaged: it does not have one name for each column.")
    for categories in table.categories.values():
        check_hashes(categories)
    return learned


def fits(spec: NetworkSpec, weights: Mapping[str, NDArray]) -> bool:
    """Whether the layers are as wide as the network's description says."""
    widths = [spec.n_deep, *spec.hidden_layer_sizes]
    shapes = [weights[variable(at_depth(HIDDEN, i), "kernel")].shape for i in range(1, len(widths))]
    return shapes == list(pairwise(widths)) and weights[variable(OUTPUT, "kernel")].shape[1:] == (spec.n_outputs,)


def estimator_of(content: Any, reader: Reader) -> Any:
    """The estimator that `content_of` has written.

    Raises
    ------
    ModelFileError
        If it is not what an estimator may be.
    """
    name = content["class"]
    if content["is_ours"]:
        if name not in MODULES:
            raise ModelFileError(f"It holds an estimator of the unknown class {str(name)[:80]!r}.")
        cls = getattr(import_module(MODULES[name]), name)
    else:
        cls = reader.given(name)
        if not isinstance(cls, type):
            raise ModelFileError(f"custom_objects[{name!r}] must be a class. Got {cls!r} instead.")
    from sk_mlp._estimator.base import FORMAT  # which imports scikit-learn
    from sk_mlp._estimator.parameters import defaults_of

    defaults = defaults_of(cls)
    parameters = {key: reader.of(value) for key, value in content["parameters"].items()}
    if unknown := parameters.keys() - defaults.keys():
        raise ModelFileError(f"It holds parameters that {name} does not have: {sorted(unknown)[:5]}.")
    source = content["init_from"]
    state = {
        **defaults,  # for a file of an earlier version
        **parameters,
        **learned_of(content, reader),
        "_format": FORMAT,
        "_routed": {key: reader.of(value) for key, value in content["routed"].items()},
    }
    for key, inner in content.get("estimators", {}).items():
        state[key] = estimator_of(inner, reader)
    if source is not None:
        from sklearn.frozen import FrozenEstimator

        inner = estimator_of(source["estimator"], reader)
        state["init_from"] = FrozenEstimator(inner) if source["is_frozen"] else inner
    if content["policy"] is not None:
        import keras

        from sk_mlp._keras.policy import Noted

        state["_policy"] = Noted(keras.dtype_policies.get(str(content["policy"])), 0, 0)
    estimator = cls.__new__(cls)
    estimator.__setstate__(state)
    for method, requests in content["requests"].items():
        request = estimator._get_metadata_request()
        for key, alias in requests.items():
            getattr(request, method).add_request(param=key, alias=alias)
        estimator._metadata_request = request
    return estimator


def check_given(content: Any, given: Mapping[str, Any]) -> None:
    """Raise if the caller has not given all functions and classes that the file needs."""
    if absent := [name for name in content["needs"] if name not in given]:
        raise ModelFileError(missing(absent))
    for name in content["needs"]:
        if not callable(given[name]):
            raise ModelFileError(f"custom_objects[{name!r}] must be a function or class. Got {given[name]!r} instead.")
