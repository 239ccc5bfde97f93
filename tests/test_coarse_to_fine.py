"""Rounds of random search with ranges that shrink."""

import numpy as np
import pytest
from plain import plain_regressor
from scipy.stats import loguniform, norm, randint, uniform
from sklearn.base import clone
from sklearn.model_selection import ShuffleSplit

from sk_mlp.model_selection import CoarseToFineSearchCV, one_minus
from sk_mlp.model_selection._coarse_to_fine import Range, Values, to_range

RNG = np.random.default_rng(0)
X = RNG.standard_normal((200, 4))
Y = X @ RNG.standard_normal(4)
MLP = plain_regressor(hidden_layer_sizes=(8,), epochs=4, random_state=0)
SPACE = {
    "learning_rate": loguniform(1e-4, 1.0),
    "optimizer__beta_1": one_minus(loguniform(1e-3, 0.5)),
    "weight_decay": uniform(0, 0.1),
    "epochs": randint(2, 12),
    "shuffle": [True, False],
    "patience": [1, 2, 3, 5, 8, 13],
}


@pytest.fixture(scope="module")
def search():
    cv = ShuffleSplit(2, random_state=np.random.RandomState(0))
    return CoarseToFineSearchCV(MLP, SPACE, n_iter=6, n_rounds=3, cv=cv, random_state=0).fit(X, Y)


def test_candidates_come_from_the_ranges_of_their_round(search):
    results = search.cv_results_
    np.testing.assert_array_equal(results["round"], np.repeat([0, 1, 2], 6))
    for number, params in zip(results["round"], results["params"], strict=True):
        for name, shown in search.ranges_[number].items():
            value = params[name]
            assert value in shown if isinstance(shown, list) else shown[0] <= value <= shown[1], (name, number)
    assert isinstance(results["params"][0]["epochs"], int)


def test_ranges_shrink_around_the_best_so_far(search):
    scores, params = search.cv_results_["mean_test_score"], search.cv_results_["params"]
    assert len(search.ranges_) == 3
    for number in (1, 2):
        before, now = search.ranges_[number - 1], search.ranges_[number]
        best = params[int(np.argmax(scores[: 6 * number]))]
        for name in ("learning_rate", "weight_decay", "optimizer__beta_1"):
            assert before[name][0] - 1e-9 <= now[name][0] < now[name][1] <= before[name][1] + 1e-9
            assert now[name][0] - 1e-9 <= np.clip(best[name], *before[name]) <= now[name][1] + 1e-9
        assert set(now["patience"]) < set(before["patience"])
        assert best["patience"] in now["patience"]
    rates = [ranges["learning_rate"] for ranges in search.ranges_]
    np.testing.assert_allclose([np.log10(high / low) for low, high in rates], [4, 2, 1])
    assert search.ranges_[1]["shuffle"] == [search.best_params_["shuffle"]] or len(search.ranges_[1]["shuffle"]) == 1
    assert search.best_score_ == scores.max()


def test_reproducible(search):
    cv = ShuffleSplit(2, random_state=np.random.RandomState(0))
    again = clone(search).set_params(cv=cv).fit(X, Y)
    assert again.ranges_ == search.ranges_
    np.testing.assert_array_equal(again.cv_results_["mean_test_score"], search.cv_results_["mean_test_score"])


@pytest.mark.parametrize(
    ("before", "best", "after"),
    [
        (Range(1e-4, 1.0, "log"), 1e-2, (1e-3, 1e-1)),
        (Range(1e-4, 1.0, "log"), 1e-4, (1e-4, 1e-2)),
        (Range(0.0, 1.0, "linear"), 0.9, (0.5, 1.0)),
        (Range(1, 99, "integer"), 50, (26, 75)),
        (Range(1, 2, "integer"), 2, (2, 2)),
        (Range(1e-3, 1e-1, "log", complement=True), 0.99, (1 - 10**-1.5, 1 - 10**-2.5)),
        (Values((8, 1, 2, 4)), 8, [4, 8]),
        (Values((1,)), 1, [1]),
        (Values(("relu", "selu", None)), "selu", ["selu", None]),
    ],
)
def test_half_a_range(before, best, after):
    scores = {"'relu'": -3.0, "'selu'": -1.0, "None": -2.0}
    shown = before.shrunk(best, 0.5, scores).shown
    if isinstance(after, list):
        assert shown == after
    else:
        np.testing.assert_allclose(shown, after)


def test_whole_numbers():
    numbers = to_range("name", randint(1, 100))
    assert repr(numbers.shown) == "(1, 99)"
    complement = to_range("name", one_minus(randint(2, 4)))
    rng = np.random.RandomState(0)
    assert {complement.draw(rng) for _ in range(20)} == {-2, -1}


@pytest.mark.parametrize("given", [norm(0, 1), "relu", 3, [], one_minus(norm(0, 1))])
def test_distributions_without_a_range(given):
    with pytest.raises(ValueError, match=r"param_distributions\['name'\] must be a list of values, or loguniform"):
        to_range("name", given)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"share": 1.0}, "The 'share' parameter"),
        ({"n_rounds": 0}, "The 'n_rounds' parameter"),
        ({"n_iter": 0}, "The 'n_iter' parameter"),
        ({"param_distributions": [{}]}, "The 'param_distributions' parameter"),
        ({"param_distributions": {"learning_rat": [1e-2]}}, "Invalid parameter 'learning_rat'"),
    ],
)
def test_bad_input(settings, message):
    with pytest.raises(ValueError, match=message):
        CoarseToFineSearchCV(**{"estimator": MLP, "param_distributions": SPACE} | settings).fit(X, Y)
