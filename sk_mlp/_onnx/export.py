"""`to_onnx`."""

import os
from typing import TYPE_CHECKING

from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from sk_mlp._estimator.base import BaseKerasMLP
from sk_mlp._estimator.extras import check_installed
from sk_mlp._files.whole import checked_path, write_whole

if TYPE_CHECKING:
    import onnx


def to_onnx(estimator: BaseKerasMLP, path: str | os.PathLike) -> "onnx.ModelProto":
    """Write a fitted estimator as an ONNX file, which predicts the same without Python, Keras or TensorFlow.

    The graph takes the table as `fit` did, with all that the estimator does to it: categories by their values, dates,
    missing numbers, scaling and embeddings, all members of an ensemble, temperature and y's units. It agrees with
    ``predict_proba`` to 1e-5 and with `predict` to 1e-5 of the size of y. Nothing is checked in it: where
    the estimator would raise an error, such as for nan with ``handle_missing="error"``, it may give nan.

    Inputs are named as ``skl2onnx`` names them. If X had names of columns in `fit`, there is one input a column, by its
    name, of shape (n_samples, 1):

    - numbers are float32, nan where they are missing; float64 in columns far from 0 compared with their spread, such as
      dates like 20180117, whose digits float32 does not hold;
    - categories that are strings, or of which some are, are strings; "" is a missing one, unless it is a category;
    - categories that are numbers or truth values are float32, or float64 if float32 does not tell them apart; nan is
      missing;
    - dates are float64: seconds since 1970-01-01 00:00 by the clock of the time zone that they had in `fit`; nan is
      missing.

    If X had no names, it is one input ``X`` of shape (n_samples, n_features), float32, or float64 if one of the columns
    needs it; with categories or dates among them, inputs are columns as above, named ``x0``, ``x1`` and so on.

    Outputs of a classifier are ``label``, (n_samples,), strings or int64, and ``probabilities``,
    (n_samples, n_classes), float32, in the order of ``classes_``; for multilabel, ``label`` is (n_samples, n_labels),
    of 0 and 1. The output of a regressor is ``variable``, (n_samples, n_outputs), float64. An output whose name is that
    of a column has ``output_`` before it.

    Parameters
    ----------
    estimator : KerasMLPClassifier or KerasMLPRegressor
        Fitted, with the built-in network.
    path : str or path-like
        File to write, such as "model.onnx". It is written beside its place and moved there when it is whole.

    Returns
    -------
    onnx.ModelProto
        What the file holds. Its ``doc_string`` tells the columns, and so does the JSON in its property "columns".

    Raises
    ------
    TypeError
        If it is no such estimator, or path is no path.
    ValueError
        If the network is a ``model`` of the user's own; if labels or categories are neither strings nor numbers, or
        columns have the same name; and if path is a folder.
    FileNotFoundError
        If path is in a folder that does not exist.
    NotFittedError
        If the estimator is not fitted.
    ImportError
        If onnx is not installed: the extra ``sk_mlp[onnx]`` brings it.
    OSError
        If the file cannot be written.

    See Also
    --------
    KerasMLPClassifier.to_keras : The network as a Keras model, which may take the table as well.

    Notes
    -----
    The graph is of operators of ONNX' opset 17, and computes in float64: how it differs from the estimator is the
    rounding of the estimator's own float32 products. It needs memory for all rows at once: pass large tables in parts
    of some 10,000 rows.

    Examples
    --------
    >>> import onnxruntime
    >>> from sklearn.datasets import load_iris
    >>> from sk_mlp import PLAIN_MLP, KerasMLPClassifier, to_onnx
    >>> X, y = load_iris(return_X_y=True)
    >>> mlp = KerasMLPClassifier(**PLAIN_MLP, random_state=0).fit(X, y)
    >>> model = to_onnx(mlp, "iris.onnx")
    >>> session = onnxruntime.InferenceSession("iris.onnx")
    >>> labels, probabilities = session.run(None, {"X": X.astype("float32")})
    >>> float(abs(probabilities - mlp.predict_proba(X)).max()) < 1e-5
    True
    """
    check_exportable(estimator)
    place = checked_path(path)
    check_installed("onnx", "to_onnx")
    from sk_mlp._onnx.model import model_of, source_of

    model = model_of(source_of(estimator))
    write_whole(place, model.SerializeToString())
    return model


def check_exportable(estimator: BaseKerasMLP) -> None:
    """Raise an error for what cannot be exported, with advice."""
    if isinstance(estimator, Pipeline):
        raise TypeError(
            "The 'estimator' parameter must be a KerasMLPClassifier or KerasMLPRegressor. Got a Pipeline instead; pass "
            "its last step, pipeline[-1], which takes what pipeline[:-1].transform returns, or give the table to the "
            "estimator itself, which encodes and scales it."
        )
    if isinstance(estimator, BaseSearchCV):
        raise TypeError(
            "The 'estimator' parameter must be a KerasMLPClassifier or KerasMLPRegressor. Got a search, "
            f"{type(estimator).__name__}, instead; pass its best_estimator_."
        )
    if not isinstance(estimator, BaseKerasMLP):
        raise TypeError(
            f"The 'estimator' parameter must be a KerasMLPClassifier or KerasMLPRegressor. Got {estimator!r} instead."
        )
    check_is_fitted(estimator)
    if estimator._fitted.spec is None:
        raise ValueError(
            "to_onnx needs the built-in network. Got an estimator with a 'model' of its own; Keras exports that one: "
            "estimator.to_keras().export(path, format='onnx'), which needs tf2onnx."
        )
