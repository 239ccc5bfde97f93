"""What is imported when: TensorFlow and Keras not before something is trained; and what pickles hold."""

import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from plain import plain_classifier
from sklearn.datasets import load_iris

from sk_mlp._estimator import sklearn_versions

HEAVY = ("tensorflow", "keras", "scikeras")
X, Y = load_iris(return_X_y=True)


def run_in_new_process(code: str) -> str:
    """What a program prints; it fails if Keras or TensorFlow has been imported in the end."""
    check = f"import sys; found = [name for name in {HEAVY} if name in sys.modules]; assert not found, found"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{check}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_estimator_that_is_not_trained():
    run_in_new_process(
        "from sklearn.base import clone\n"
        "from sklearn.utils import get_tags\n"
        "from sk_mlp import PLAIN_MLP, KerasMLPClassifier, KerasMLPRegressor\n"
        "for cls in (KerasMLPClassifier, KerasMLPRegressor):\n"
        "    mlp = clone(cls(**PLAIN_MLP)).set_params(n_hidden=2, optimizer__beta_1=0.8)\n"
        "    repr(mlp), mlp.get_params(), get_tags(mlp), mlp.get_metadata_routing(), mlp._repr_html_()\n"
        "    assert clone(cls()).get_params() == cls().get_params()\n"
    )


def test_a_fitted_network_is_read_and_predicts(tmp_path, no_xla):
    mlp = plain_classifier(epochs=1, n_neurons=3, numerical_embedding="ple", input_scaling="robust").fit(X, Y)
    (tmp_path / "mlp").write_bytes(pickle.dumps(mlp))
    printed = run_in_new_process(
        "import pickle, pathlib\n"
        "from sklearn.datasets import load_iris\n"
        f"mlp = pickle.loads(pathlib.Path({str(tmp_path / 'mlp')!r}).read_bytes())\n"
        "X, y = load_iris(return_X_y=True)\n"
        "mlp.score(X, y), mlp.history_, mlp.categories_, mlp.column_statistics_\n"
        "print(mlp.predict_proba(X[:2]).tolist())\n"
    )
    np.testing.assert_array_equal(json.loads(printed), mlp.predict_proba(X[:2]))


@pytest.mark.parametrize("found", [None, 1, 99])
def test_pickles_of_another_layout_are_refused(found):
    mlp = plain_classifier()
    state = mlp.__getstate__()
    state.pop("_format")
    with pytest.raises(ValueError, match=f"KerasMLPClassifier was pickled by .* Got format {found or 1} instead of 2"):
        plain_classifier().__setstate__(state if found is None else {**state, "_format": found})


def test_the_estimators_are_of_few_classes():
    """What replaces a class of scikit-learn's in versions that lack it is not counted."""
    own = {cls for cls in type(plain_classifier()).__mro__ if cls.__module__.startswith("sk_mlp")}
    own -= {sklearn_versions.CallbackSupportMixin}
    assert len(own) <= 3
