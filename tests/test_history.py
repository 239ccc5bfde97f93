"""`history_` and `member_histories_`: figures by epoch, of a fit and of each of its members."""

import copy

import numpy as np
import pytest
from plain import plain_classifier, plain_regressor
from sklearn.datasets import load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale

from sk_mlp._estimator.history import mean_history
from sk_mlp._network.spec import Trained

X, LABELS = load_wine(return_X_y=True)
X = scale(X)
Y = X[:, 0] * X[:, 1]
SMALL = {"n_hidden": 1, "n_neurons": 4, "random_state": 0}
pytestmark = pytest.mark.usefixtures("no_xla")


def trained(best_epoch, **history):
    return Trained(None, history, best_epoch, "patience", None)


def kept(mlp, name):
    """What members keep of a figure, each the last one that it has up to the kept epoch."""
    rows = (np.array(member[name][: member["best_epoch"] + 1]) for member in mlp.member_histories_)
    return [row[np.isfinite(row)][-1] for row in rows]


@pytest.fixture(scope="module")
def ensemble():
    return plain_classifier(ensemble_size=4, epochs=60, patience=4, learning_rate=0.03, **SMALL).fit(X, LABELS)


def test_the_kept_epoch_of_an_ensemble_lies_on_its_curve(ensemble):
    ends = {len(member["loss"]) for member in ensemble.member_histories_}
    assert len(ends) > 1, "members stop at different epochs"
    for name in ("loss", "val_loss"):
        assert ensemble.history_[name][ensemble.best_epoch_] == pytest.approx(np.mean(kept(ensemble, name)))
        assert ensemble.history_[name][-1] == ensemble.history_[name][ensemble.best_epoch_]
    assert np.argmin(ensemble.history_["val_loss"]) == ensemble.best_epoch_
    assert ensemble.n_iter_ == len(ensemble.history_["loss"]) == max(ends)


def test_each_member_has_figures_of_its_own(ensemble):
    assert len(ensemble.member_histories_) == 4
    for member in ensemble.member_histories_:
        assert member["best_epoch"] == np.argmin(member["val_loss"])
        assert member["stopped_by"] == ("patience" if len(member["loss"]) < 60 else "epochs")
        figures = {name: values for name, values in member.items() if isinstance(values, list)}
        assert figures.keys() == ensemble.history_.keys()
        assert {len(values) for values in figures.values()} == {len(member["loss"])}
    assert all(type(value) is float for values in ensemble.history_.values() for value in values)


def test_one_member_alone_has_the_history():
    mlp = plain_classifier(epochs=30, patience=3, learning_rate=0.1, **SMALL).fit(X, LABELS)
    (own,) = mlp.member_histories_
    assert own == mlp.history_ | {"best_epoch": mlp.best_epoch_, "stopped_by": "patience"}
    assert mlp.history_["val_loss"][-1] > mlp.history_["val_loss"][mlp.best_epoch_]


def test_mean_of_members_that_stop_at_different_epochs():
    members = [
        trained(1, loss=[4.0, 2.0, 1.0], learning_rate=[1.0, 1.0, 0.5]),
        trained(3, loss=[8.0, 6.0, 5.0, 4.0, 3.0], learning_rate=[1.0, 1.0, 1.0, 1.0, 0.2]),
    ]
    history = mean_history(members, 0)
    assert history["loss"] == [6.0, 4.0, 3.5, 3.0, 3.0]
    assert history["learning_rate"] == [1.0, 1.0, 0.75, 1.0, 0.2]


def test_mean_where_held_out_rows_join_the_others():
    members = [
        trained(3, loss=[3.0, 2.0, 1.0, 0.0], val_loss=[5.0, 1.0]),
        trained(4, loss=[3.0, 2.0, 1.0, 0.0, 0.0], val_loss=[7.0, 5.0, 3.0]),
    ]
    np.testing.assert_equal(mean_history(members, 0)["val_loss"], [6.0, 3.0, 2.0, np.nan, np.nan])


def test_rows_that_join_the_others():
    y = X @ np.arange(13.0)
    settings = {"n_hidden": 0, "epochs": 40, "learning_rate": 0.1, "lr_schedule": "cosine", "random_state": 0}
    settings |= {"early_stopping": "auto", "validation_fraction": 0.2}
    mlp = plain_regressor(ensemble_size=2, **settings).fit(X, y)
    assert np.isnan(mlp.history_["val_loss"][-1])
    for member in mlp.member_histories_:
        assert np.isnan(member["val_loss"][-1])
        assert len(member["val_loss"]) == len(member["loss"]) == 40
    assert mlp.history_["loss"][mlp.best_epoch_] == pytest.approx(np.mean(kept(mlp, "loss")))


def test_partial_fit_adds_an_epoch(ensemble):
    mlp, n = copy.deepcopy(ensemble).partial_fit(X, LABELS), ensemble.n_iter_
    assert (mlp.n_iter_, mlp.best_epoch_) == (n + 1, n)
    assert mlp.history_["val_loss"][:n] == ensemble.history_["val_loss"]
    for member, before in zip(mlp.member_histories_, ensemble.member_histories_, strict=True):
        assert len(member["loss"]) == len(member["val_loss"]) == n + 1
        assert member["loss"][: len(before["loss"])] == before["loss"]
        assert np.isnan(member["loss"][len(before["loss"]) : -1]).all(), "epochs in which it did not train"
        assert (member["best_epoch"], member["stopped_by"]) == (n, "epochs")
    assert mlp.history_["loss"][n] == pytest.approx(np.mean(kept(mlp, "loss")))


def test_warm_start_begins_anew():
    mlp = plain_classifier(ensemble_size=2, epochs=2, warm_start=True, **SMALL).fit(X, LABELS)
    first = mlp.history_["loss"]
    mlp.fit(X, LABELS)
    assert [len(member["loss"]) for member in mlp.member_histories_] == [2, 2]
    assert mlp.history_["loss"][0] < first[-1]


def test_divergence():
    """The curve ends with what is kept, and the member says what has happened."""
    mlp = plain_regressor(ensemble_size=2, epochs=40, optimizer="sgd", learning_rate=0.6, **SMALL)
    with pytest.warns(ConvergenceWarning, match="no longer finite"):
        mlp.fit(X, Y)
    assert "non-finite" in {member["stopped_by"] for member in mlp.member_histories_}
    assert mlp.history_["val_loss"][mlp.best_epoch_] == pytest.approx(np.mean(kept(mlp, "val_loss")))


def test_divergence_in_the_first_epoch_of_a_second_fit():
    """No epoch is kept: the figures are those of the epochs that were run."""
    mlp = plain_regressor(ensemble_size=2, epochs=2, optimizer="sgd", warm_start=True, **SMALL).fit(X, Y)
    with pytest.warns(ConvergenceWarning, match="no longer finite"):
        mlp.set_params(learning_rate=1e20).fit(X, Y)
    assert mlp.best_epoch_ == -1
    assert not np.isfinite(mlp.history_["loss"][-1])
