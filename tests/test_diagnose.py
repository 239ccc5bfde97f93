"""What `diagnose` finds: each finding in a case made for it, and none in healthy fits."""

import re

import keras
import numpy as np
import pytest
from optional import pd
from plain import plain_classifier, plain_regressor
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mlp import KerasMLPClassifier, KerasMLPRegressor
from sk_mlp.inspection import Finding, Findings, _of_rows, diagnose
from sk_mlp.inspection._of_histories import course_of, failed_member, findings_of_histories

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 4))
Y = X @ [1, -2, 0.5, 0] + 0.3 * RNG.normal(size=200)
RARE = (X[:, 0] + RNG.normal(size=200) > 2.7).astype(int)
SMALL = {"n_hidden": 1, "n_neurons": 16, "epochs": 30, "learning_rate": 1e-2, "random_state": 0}
NO_STOP = {"early_stopping": False}
pytestmark = pytest.mark.usefixtures("no_xla")


def regressor(**params):
    return plain_regressor(**SMALL | params)


def only(findings, name):
    """The finding, where there is no other."""
    assert findings.names == [name]
    return findings[0]


def mixed_table(n=300):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.normal(size=n), "b": rng.exponential(size=n), "c": rng.choice(list("xyz"), n)})
    table.loc[::17, "a"] = np.nan
    return table, np.where(table.b + (table.c == "x") + 0.5 * rng.normal(size=n) > 1.2, "yes", "no")


# Healthy fits


@pytest.mark.parametrize(
    ("estimator", "data"),
    [
        (KerasMLPClassifier, lambda: load_breast_cancer(return_X_y=True)),
        (KerasMLPRegressor, lambda: load_diabetes(return_X_y=True)),
        (KerasMLPClassifier, mixed_table),
    ],
    ids=["classification", "regression", "mixed table"],
)
def test_nothing_is_found_in_healthy_fits(estimator, data):
    features, y = data()
    mlp = estimator(n_neurons=16, ensemble_size=2, random_state=0).fit(features, y)
    assert not len(diagnose(mlp))
    findings = diagnose(mlp, features, y)
    assert list(findings) == []
    assert repr(findings).startswith("Nothing found in the histories of 2 networks and ")


# Of histories


def test_diverging():
    mlp = regressor(optimizer="sgd", lr_schedule=lambda epoch: 1 if epoch < 3 else 1e9)
    with pytest.warns(ConvergenceWarning):
        mlp.fit(X, Y)
    finding = only(diagnose(mlp), "diverging")
    assert "no longer finite" in finding.message
    assert "learning_rate" in finding.advice
    assert finding.figures == {"n_networks": 1}


def test_a_rate_that_is_too_high():
    finding = only(
        diagnose(regressor(optimizer="sgd", learning_rate=0.3, **NO_STOP).fit(X, Y)), "learning rate too high"
    )
    assert finding.figures["share_of_rises"] > 0.2
    assert finding.figures["learning_rate"] == pytest.approx(0.3)


@pytest.mark.parametrize("params", [{"learning_rate": 1e-5}, {"learning_rate": 1e-4, "lr_schedule": "cosine"}])
def test_a_rate_that_is_too_low(params):
    finding = only(diagnose(regressor(**params).fit(X, Y)), "learning rate too low")
    assert finding.figures["fall_in_second_half"] == pytest.approx(finding.figures["rates_in_second_half"], rel=0.1)


@pytest.mark.parametrize("schedule", [None, "cosine"])
def test_too_few_epochs(schedule):
    finding = only(diagnose(regressor(epochs=4, lr_schedule=schedule).fit(X, Y)), "too few epochs")
    assert finding.figures["n_epochs"] == 4
    assert "Set epochs to twice 4" in finding.advice


def test_a_plateau():
    mlp = regressor(n_hidden=0, epochs=80, **NO_STOP).fit(X, X[:, 0] ** 2 + X[:, 1])
    finding = only(diagnose(mlp), "plateau")
    assert abs(finding.figures["fall_in_second_half"]) < 0.005
    assert finding.figures["loss_over_base"] > 0.3


def test_underfitting():
    mlp = regressor(n_hidden=0, lr_schedule="cosine", **NO_STOP).fit(X, X[:, 0] ** 2)
    assert only(diagnose(mlp), "underfitting").figures["explained"] < 0.1


def test_overfitting_to_held_out_rows_and_to_rows_given():
    noise, y = RNG.normal(size=(2, 60, 40)), RNG.normal(size=(2, 60))
    mlp = regressor(epochs=60, lr_schedule="cosine", **NO_STOP)
    finding = only(diagnose(mlp.fit(noise[0], y[0], validation_split=0.3)), "overfitting")
    assert finding.figures["explained"] > 0.9
    assert finding.figures["explained_elsewhere"] < 0.5
    mlp.fit(noise[0], y[0])
    assert not len(diagnose(mlp))  # of held-out rows nothing is known
    assert not len(diagnose(mlp, noise[0], y[0]))
    assert finding.message.startswith("The network explains 9")
    assert repr(diagnose(mlp, noise[0][:1])) == "Nothing found in the history of 1 network and 1 row."  # of neurons
    only(diagnose(mlp, noise[1], y[1]), "overfitting")


def test_a_member_that_has_failed():
    history = {"loss": [1.0, 0.5, 0.2], "learning_rate": [1.0] * 3, "best_epoch": 2, "stopped_by": "epochs"}
    courses = [course_of(history | {"loss": loss}, 1.0) for loss in ([1.0, 0.3, 0.2], [1.0, 0.3, 0.1], [1.0, 1.0, 1.0])]
    (finding,) = failed_member(courses)
    assert "Network 3 of 3" in finding.message
    assert not list(failed_member(courses[:2]))
    soon = course_of(history | {"loss": [1.0, 0.2, 0.1], "best_epoch": 0, "stopped_by": "patience"}, 1.0)
    assert not list(failed_member([*courses[:2], soon]))


def test_the_epoch_of_a_divergence_is_that_of_the_network_that_diverged():
    history = {"loss": [1.0, 0.5, np.nan], "learning_rate": [1.0] * 3, "best_epoch": 1, "stopped_by": "non-finite"}
    other = {"loss": np.geomspace(1, 0.05, 80), "learning_rate": [1.0] * 80, "best_epoch": 79, "stopped_by": "epochs"}
    (finding,) = findings_of_histories([course_of(history, 1.0), course_of(other, 1.0)], True)
    assert finding.message == "The loss of 1 of 2 networks was no longer finite, after epoch 2."


@pytest.mark.parametrize("loss", ["mae", "huber"])
def test_where_the_loss_of_a_constant_is_not_known(loss):
    """A first epoch of many steps learns nearly all: falling little from there is no underfitting."""
    rows = RNG.normal(size=(4000, 4))
    mlp = regressor(loss=loss, lr_schedule="cosine", **NO_STOP).fit(rows, rows @ [1, -2, 0.5, 0])
    noisy = regressor(loss=loss, lr_schedule="cosine", **NO_STOP).fit(rows, rows[:, 0] + RNG.normal(size=4000))
    assert not len(diagnose(mlp))
    assert not len(diagnose(noisy))
    noise, y = RNG.normal(size=(60, 40)), RNG.normal(size=60)
    mlp = regressor(loss=loss, epochs=60, **NO_STOP).fit(noise, y, validation_split=0.3)
    in_words = (
        r"is \d[\d.e-]* times that of the first epoch in the training rows, but \d[\d.]* times in the held-out rows"
    )
    assert re.search(in_words, only(diagnose(mlp), "overfitting").message)


def test_odd_histories():
    """Losses that stand still below 0, are never finite, or have rates of 0."""
    flat = {"loss": [-1.0] * 9, "learning_rate": [1.0] * 9, "best_epoch": 8, "stopped_by": "epochs"}
    frozen = flat | {"loss": np.linspace(1, 0.5, 9), "learning_rate": [1.0, *[0.0] * 8]}
    assert not findings_of_histories([course_of(flat, None)], False)
    assert not findings_of_histories([course_of(frozen, 1.0)], False)
    infinite = flat | {"loss": [np.inf] * 9, "stopped_by": "non-finite"}
    courses = [course_of(history, 1.0) for history in (infinite, frozen, frozen)]
    assert [finding.name for finding in findings_of_histories(courses, True)] == ["diverging"]


def test_losses_below_zero_are_no_shares_of_others():
    def likelihood(y, predicted):
        return keras.ops.square(y - predicted) - 5.0

    mlp = regressor(loss=likelihood).fit(X, Y)
    assert mlp.history_["loss"][-1] < 0
    assert not len(diagnose(mlp, X, Y))


def test_training_that_goes_on_past_the_best_epoch_is_finished():
    """The training loss falls to the end, for the network learns the rows by heart."""
    epochs = np.arange(60)
    history = {"loss": 1 - 0.013 * epochs, "learning_rate": np.full(60, 0.01), "stopped_by": "epochs"}
    falling = history | {"val_loss": 1 - 0.01 * epochs, "best_epoch": 59}
    rising = history | {"val_loss": 0.7 + 1e-4 * (epochs - 30) ** 2, "best_epoch": 30}
    assert [one.name for one in findings_of_histories([course_of(falling, 1.0)], False)] == ["learning rate too low"]
    assert not findings_of_histories([course_of(rising, 1.0)], False)


# Of rows


def test_dead_units():
    mlp = regressor(kernel_initializer="zeros").fit(X, Y)
    assert "dead units" not in diagnose(mlp).names
    found = next(f for f in diagnose(mlp, X) if f.name == "dead units")
    assert found.figures == {"share": 1.0}
    assert "dead units" in diagnose(regressor(learning_rate=1.0).fit(X, Y), X).names


def test_saturated_activations():
    finding = only(diagnose(regressor(activation="tanh").fit(300 * X, Y), 300 * X), "saturated activations")
    assert finding.figures["share"] > 0.9


def test_exploding_activations():
    mlp = regressor(epochs=1).fit(1e5 * X, Y)
    assert "exploding activations" in diagnose(mlp, 1e5 * X).names


def test_activations_of_a_model_of_ones_own():
    def build():
        hidden = [keras.layers.Dense(16, activation="tanh"), keras.layers.Dense(16), keras.layers.ReLU()]
        return keras.Sequential([keras.Input((4,)), *hidden, keras.layers.Dense(1)])

    mlp = KerasMLPRegressor(build, learning_rate=1e-2, epochs=30, random_state=0).fit(300 * X, Y)
    assert "saturated activations" in diagnose(mlp, 300 * X, Y).names


def test_members_that_disagree():
    mlp = regressor(ensemble_size=3).fit(X, Y)
    assert not len(diagnose(mlp, X, Y))
    assert only(diagnose(mlp, 20 * X), "members disagree").figures["disagreement"] > 1
    mlp = plain_classifier(**SMALL | {"ensemble_size": 4, "epochs": 1, "learning_rate": 1e-4}).fit(X, X[:, 0] > 0)
    assert "members disagree" in diagnose(mlp, X).names


def test_unknown_categories():
    table, y = mixed_table()
    mlp = KerasMLPClassifier(**SMALL, ensemble_size=1).fit(table, y)
    strange = table.assign(c=np.where(np.arange(len(table)) % 5 == 0, "new", table.c))
    finding = only(diagnose(mlp, strange, y), "unknown categories")
    assert finding.figures["share"] == pytest.approx(0.2)
    assert "column 'c'" in finding.message


def test_a_spread_that_float32_has_lost():
    far = np.c_[X[:, 0], 1e9 + X[:, 1]]
    with pytest.warns(UserWarning, match="lose digits"):
        mlp = regressor(**NO_STOP).fit(far, Y)
    found = next(f for f in diagnose(mlp, far) if f.name == "spread lost in float32")
    assert "column 'x1'" in found.message
    assert not len(diagnose(regressor(input_scaling="standard").fit(far, Y), far))


def test_imbalance():
    mlp = plain_classifier(**SMALL, **NO_STOP).fit(X, RARE)
    finding = only(diagnose(mlp, X, RARE), "imbalance ignored")
    assert finding.figures["share"] == pytest.approx(RARE.mean())
    assert finding.figures["recall"] < 0.5
    assert "of the class 1," in finding.message
    weighted = plain_classifier(**SMALL, **NO_STOP, class_weight="balanced").fit(X, RARE)
    assert "imbalance ignored" not in diagnose(weighted, X, RARE).names


@pytest.mark.parametrize("y", [Y, X[:, 0] > 0.5], ids=["numbers", "labels"])
def test_leaks(y):
    leaky = np.c_[X, 10.0 * y + 3]
    mlp = (plain_classifier if y.dtype == bool else plain_regressor)(**SMALL).fit(leaky, y)
    finding = next(f for f in diagnose(mlp, leaky, y) if f.name == "leak suspected" and "'x4'" in f.message)
    assert finding.figures["explained"] > 0.99


# What is returned, and what is not taken


def test_columns_that_cannot_leak_are_not_looked_at_twice(monkeypatch):
    """A tree for each of the many columns of a sparse table would take minutes."""
    looked_at = []
    tree = _of_rows.DecisionTreeClassifier
    monkeypatch.setattr(_of_rows, "DecisionTreeClassifier", lambda **k: looked_at.append(k) or tree(**k))
    rare = (RNG.random(200) < 0.1).astype(float)
    table = np.c_[(RNG.random((200, 30)) < 0.05), rare, X[:, 0]]
    (finding,) = _of_rows.leaks(table, rare.astype(int), True, [f"x{n}" for n in range(32)])
    assert "'x30'" in finding.message
    assert len(looked_at) == 2 * 2
    numbers = np.c_[(RNG.random((200, 30)) < 0.05), Y]
    (finding,) = _of_rows.leaks(numbers, Y, False, [f"x{n}" for n in range(31)])
    assert "'x30'" in finding.message


def test_findings_print_well_and_do_not_change():
    finding = Finding("plateau", "The column '<b>' stands still.", {"epochs": 3.0}, "Set lr_schedule & epochs.")
    findings = Findings([finding], "the history of 1 network")
    assert repr(findings).splitlines()[0] == "1 finding in the history of 1 network:"
    assert "plateau: The column" in repr(findings)
    assert "&lt;b&gt;" in findings._repr_html_()
    assert "lr_schedule &amp; epochs" in findings._repr_html_()
    assert "<b>" not in findings._repr_html_()
    assert (len(findings), findings[0], findings[:1]) == (1, finding, (finding,))
    assert findings == Findings([finding], "")
    with pytest.raises(AttributeError):
        finding.name = "other"


def test_pipelines_and_other_kinds_of_y():
    pipeline = make_pipeline(StandardScaler(), regressor()).fit(1e3 * X, Y)
    assert not len(diagnose(pipeline, 1e3 * X, Y))
    two = regressor().fit(X, np.c_[Y, Y])
    assert not len(diagnose(two, X, np.c_[Y, Y]))
    quantiles = regressor(loss="quantile", loss__quantile=[0.1, 0.9], ensemble_size=2).fit(X, Y)
    assert not len(diagnose(quantiles, X, Y))
    labels = plain_classifier(**SMALL, ensemble_size=2).fit(X, (X > 0).astype(int))
    assert not len(diagnose(labels, X, (X > 0).astype(int)))
    partial = regressor()
    for _ in range(20):
        partial.partial_fit(X, Y)
    assert not len(diagnose(partial, X, Y))


def test_what_is_not_diagnosed():
    with pytest.raises(TypeError, match="'estimator' parameter must be a KerasMLPClassifier"):
        diagnose(LinearRegression().fit(X, Y))
    with pytest.raises(NotFittedError):
        diagnose(regressor())
    mlp = regressor(epochs=20).fit(X, Y)
    with pytest.raises(ValueError, match="y needs X"):
        diagnose(mlp, y=Y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        diagnose(mlp, X, Y[:-1])
    with pytest.raises(ValueError, match=r"y must hold numbers\. Got values of dtype <U1"):
        diagnose(mlp, X, np.full(len(X), "a"))
    with pytest.raises(ValueError, match="Input y contains NaN"):
        diagnose(mlp, X, np.full(len(X), np.nan))
    with pytest.raises(ValueError, match="y must have 1 column, as in fit"):
        diagnose(mlp, X, np.column_stack([Y, Y]))
    with pytest.raises(ValueError, match=r"y must hold only the classes \[0, 1\]. Got \[2\]"):
        diagnose(plain_classifier(**SMALL | {"epochs": 1}).fit(X, RARE), X, RARE + 1)
    with pytest.raises(ValueError, match="X has 3 features"):
        diagnose(mlp, X[:, :3])
