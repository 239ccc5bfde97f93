"""Fitted models in files that hold no code: saved, loaded, and loaded for prediction alone."""

import os
from collections.abc import Mapping
from typing import Any

from sk_mlp._files import archive
from sk_mlp._files.estimators import check_given, check_kept, content_of, estimator_of, learned_of, versions
from sk_mlp._files.values import Reader, Writer
from sk_mlp._files.whole import checked_path
from sk_mlp.exceptions import ModelFileError
from sk_mlp.predictor import NO_PREDICTOR, Predictor

__all__ = ["load_model", "load_predictor", "save_model"]

KIND = "model"  # files of a search's runs are another kind


def save_model(estimator: Any, path: str | os.PathLike) -> None:
    """Write a fitted estimator to a file that holds no code.

    The file is a zip of JSON and NumPy's .npy: parameters, all that was learned, the weights, and the optimizer's
    state, so that training can go on. The estimator that `load_model` reads from it predicts and goes on training as
    this one, to the last bit. Files of a minor version are read by all later ones until the next major version.

    What is a function or class of the user's own (``model=build_model``, a loss) is kept by its name, to be given to
    `load_model` again. The network that it has built is kept by its Keras configuration. scikit-learn's callbacks of
    ``set_callbacks`` are not kept.

    Parameters
    ----------
    estimator : KerasMLPClassifier or KerasMLPRegressor
        Fitted.
    path : str or path-like
        Of the file. What is there is replaced when the new file is whole, and not before; its permissions stay.

    Raises
    ------
    TypeError
        If it is another kind of object, such as a search or a pipeline.
    NotFittedError
        If it is not fitted.
    ValueError
        If a parameter cannot be kept, such as a lambda or a Keras callback object; or if the path is that of a folder,
        a device or a pipe.
    OSError
        If the file cannot be written.

    See Also
    --------
    load_model : Read the estimator.
    load_predictor : Read what predicts, without TensorFlow.

    Examples
    --------
    >>> import os, tempfile
    >>> from sklearn.datasets import load_iris
    >>> from sk_mlp import KerasMLPClassifier, load_model, save_model
    >>> X, y = load_iris(return_X_y=True)
    >>> mlp = KerasMLPClassifier(ensemble_size=1, epochs=2, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_model(mlp, os.path.join(folder, "iris.mlp"))
    ...     loaded = load_model(os.path.join(folder, "iris.mlp"))
    >>> bool((loaded.predict_proba(X) == mlp.predict_proba(X)).all())
    True
    """
    check_kept(estimator)
    place = checked_path(path)
    writer = Writer()
    content = content_of(estimator, writer)
    content |= {"needs": sorted(writer.named), "versions": versions()}
    archive.write(place, KIND, content, writer.arrays)


def load_model(
    path: str | os.PathLike, custom_objects: Mapping[str, Any] | None = None, *, max_bytes: int = archive.MAX_BYTES
) -> Any:
    """Read an estimator that `save_model` has written.

    Nothing in the file is run: a file from somebody else cannot do more than predict wrongly. It is checked as a whole
    before any of it is used.

    Parameters
    ----------
    path : str or path-like
        Of the file.
    custom_objects : dict of str to object, default=None
        The user's own functions and classes by name, if the model has some: ``{"build_model": build_model}``. An error
        says which are missing. Only name what belongs to the model: it is called as the file says.
    max_bytes : int, default=2**30
        The largest file to read. Reading takes a small multiple of the file's size.

    Returns
    -------
    KerasMLPClassifier or KerasMLPRegressor
        Fitted.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModelFileError
        If the file is damaged, of another program, larger than ``max_bytes``, or of a newer version of this package;
        and if it needs functions or classes that are not in ``custom_objects``. It is a ValueError.

    See Also
    --------
    save_model : Write the file.
    load_predictor : Read what predicts, without TensorFlow.

    Examples
    --------
    >>> from sk_mlp import load_model
    >>> load_model("of_last_year.mlp")  # doctest: +SKIP
    """
    place = checked_path(path)
    given = {} if custom_objects is None else custom_objects
    if not isinstance(given, Mapping):
        raise TypeError(f"The 'custom_objects' parameter must be a dict of names. Got {custom_objects!r} instead.")
    content, arrays = archive.read(place, KIND, max_bytes)
    with archive.refusing(path):
        check_given(content, given)
        estimator = estimator_of(content, Reader(arrays, given))
        if estimator._fitted.spec is not None:
            Predictor.from_estimator(estimator)._try()
        else:
            from sk_mlp._files.keras_values import check_model  # which imports Keras

            check_model(estimator._fitted)
        return estimator


def load_predictor(path: str | os.PathLike, *, max_bytes: int = archive.MAX_BYTES) -> Predictor:
    """Read a predictor from a file that `save_model` has written, without importing TensorFlow or Keras.

    Parameters
    ----------
    path : str or path-like
        Of the file.
    max_bytes : int, default=2**30
        The largest file to read.

    Returns
    -------
    Predictor
        With `predict`, and `predict_proba` of a classifier: equal to the estimator's to the last bit.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModelFileError
        As `load_model`; and for a network of the user's own ``model``, which needs Keras. It is a ValueError.

    See Also
    --------
    Predictor : What is returned.
    load_model : Read the estimator.

    Examples
    --------
    >>> from sk_mlp import load_predictor
    >>> load_predictor("of_last_year.mlp").predict([[5.1, 3.5, 1.4, 0.2]])  # doctest: +SKIP
    """
    place = checked_path(path)
    content, arrays = archive.read(place, KIND, max_bytes)
    with archive.refusing(path):
        if content["learned"]["_fitted"]["Fitted"]["spec"] is None:
            raise ModelFileError(NO_PREDICTOR)
        predictor = Predictor._of_fitted(learned_of(content, Reader(arrays))["_fitted"])
        predictor._try()
        return predictor
