"""Warnings of a fit point at the line of the user's that calls it."""

import numpy as np
import pytest
from plain import plain_classifier, plain_regressor
from scipy.sparse import csr_array

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 2))
Y = X[:, 0]
NEVER_TRAINED = np.repeat([0, 1, 2], [18, 18, 4])
FAR = X + RNG.random((40, 2)) + np.array([1e8, 0])
SETTINGS = {"epochs": 1, "n_neurons": 3, "n_hidden": 1}


@pytest.mark.parametrize(
    ("fit", "message"),
    [
        (lambda: plain_classifier(**SETTINGS, hold_out="last").fit(X, NEVER_TRAINED), "The classes"),
        (lambda: plain_regressor(**SETTINGS).fit(FAR, Y), "lose digits"),
        (lambda: plain_regressor(**SETTINGS).fit(csr_array(X * np.array([1, 1e5])), Y), "differ in scale"),
    ],
    ids=["classes", "digits", "scales"],
)
def test_warnings_point_at_the_users_line(fit, message):
    with pytest.warns(UserWarning, match=message) as caught:
        fit()
    assert [warning.filename for warning in caught] == [__file__]
