"""The display of losses by epoch."""

import numpy as np
import pytest
from optional import mpl
from plain import plain_classifier, plain_regressor
from sklearn.datasets import make_classification, make_regression
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sk_mlp.inspection import LossCurveDisplay

TRAIN, VALIDATION = [0.9, 0.5, 0.3, 0.2], [0.8, 0.5, 0.4, 0.6]
pytestmark = pytest.mark.usefixtures("no_xla")


@pytest.fixture(autouse=True)
def pyplot():
    mpl.use("Agg")
    yield mpl.pyplot
    mpl.pyplot.close("all")


@pytest.fixture(scope="module")
def classifier():
    X, y = make_classification(60, 4, random_state=0)
    return plain_classifier(n_hidden=1, n_neurons=4, epochs=3, random_state=0).fit(X, y)


@pytest.fixture(scope="module")
def regression_data():
    return make_regression(60, 4, random_state=0)


def legend_of(display):
    return [text.get_text() for text in display.legend_.get_texts()]


def test_both_curves_and_the_kept_epoch():
    display = LossCurveDisplay(TRAIN, VALIDATION, best_epoch=2).plot()
    train, validation = display.lines_
    np.testing.assert_array_equal(train.get_xdata(), [1, 2, 3, 4])
    np.testing.assert_allclose(train.get_ydata(), TRAIN)
    np.testing.assert_allclose(validation.get_ydata(), VALIDATION)
    assert (display.best_.get_xdata()[0], display.best_.get_ydata()[0]) == (3, 0.4)
    assert legend_of(display) == ["training", "validation", "kept: 0.4 (epoch 3)"]
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("epoch", "loss")
    assert display.figure_ is display.ax_.figure


@pytest.mark.parametrize("best_epoch", [None, -1])
def test_without_validation_or_an_epoch_to_mark(best_epoch):
    display = LossCurveDisplay(TRAIN, best_epoch=best_epoch).plot()
    assert legend_of(display) == ["training"]
    assert display.best_ is None


def test_without_validation_the_mark_is_on_the_training_curve():
    display = LossCurveDisplay(TRAIN, best_epoch=3).plot()
    assert display.best_.get_ydata()[0] == TRAIN[3]


@pytest.mark.parametrize(
    ("losses", "scale"),
    [([1.0, 0.2], "linear"), ([1.0, 0.02], "log"), ([1.0, 0.02, np.nan], "log"), ([1.0, -0.01], "linear")],
)
def test_logarithmic_if_the_range_asks_for_it(losses, scale):
    assert LossCurveDisplay(losses).plot().ax_.get_yscale() == scale


@pytest.mark.parametrize("log_scale", [True, False])
def test_scale_may_be_chosen(log_scale):
    display = LossCurveDisplay(TRAIN).plot(log_scale=log_scale)
    assert display.ax_.get_yscale() == ("log" if log_scale else "linear")


def test_a_fit_without_a_finite_loss_is_drawn_empty():
    assert LossCurveDisplay([np.nan], best_epoch=-1).plot().ax_.get_yscale() == "linear"


def test_several_on_the_same_axes(pyplot):
    figure, ax = pyplot.subplots()
    LossCurveDisplay(TRAIN, VALIDATION, best_epoch=2, name="A").plot(ax)
    display = LossCurveDisplay(TRAIN).plot(ax, name="B", line_kw={"color": "black", "linewidth": 3})
    assert legend_of(display) == ["A: training", "A: validation", "A: kept: 0.4 (epoch 3)", "B: training"]
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert (display.lines_[0].get_color(), display.lines_[0].get_linewidth()) == ("black", 3)


MEMBERS = [
    {"loss": [0.9, 0.5, 0.4], "val_loss": [0.8, 0.5, 0.9], "best_epoch": 1, "stopped_by": "patience"},
    {"loss": [0.9, 0.5, 0.2, 0.1], "val_loss": [0.8, 0.5, 0.3, 0.4], "best_epoch": 2, "stopped_by": "epochs"},
]


def test_members_are_thin_and_the_mean_ends_at_its_mark():
    display = LossCurveDisplay(TRAIN, VALIDATION, best_epoch=2, members=MEMBERS).plot()
    assert [len(line.get_xdata()) for line in display.member_lines_] == [3, 3, 4, 4]
    assert [line.get_markevery() for line in display.member_lines_] == [[], [1], [], [2]]
    assert max(line.get_linewidth() for line in display.member_lines_) < display.lines_[0].get_linewidth()
    for line in display.lines_:
        assert line.get_xdata()[-1] == display.best_.get_xdata()[0] == 3
    assert legend_of(display)[-1] == "kept: 0.4 (epochs 2 to 3)"
    assert display.plot(show_members=False).member_lines_ == []


def test_an_ensembles_curve_ends_with_what_its_members_keep(regression_data):
    mlp = plain_regressor(n_hidden=1, epochs=30, patience=3, learning_rate=0.05, ensemble_size=3, random_state=0)
    display = LossCurveDisplay.from_estimator(mlp.fit(*regression_data))
    kept = np.mean([member["val_loss"][member["best_epoch"]] for member in mlp.member_histories_])
    assert display.best_.get_ydata()[0] == display.lines_[1].get_ydata()[-1] == pytest.approx(kept)
    assert len(display.member_lines_) == 6


def test_the_learning_rate_on_request(classifier):
    display = LossCurveDisplay.from_estimator(classifier, show_learning_rate=True)
    (line,) = display.rate_ax_.lines
    np.testing.assert_allclose(line.get_ydata(), classifier.history_["learning_rate"])
    assert legend_of(display)[-1] == "learning rate"
    assert display.plot().rate_ax_ is None
    with pytest.raises(ValueError, match="no learning_rate to show"):
        LossCurveDisplay(TRAIN).plot(show_learning_rate=True)


@pytest.mark.parametrize("show_learning_rate", [True, False])
def test_epochs_are_counted_from_1(classifier, show_learning_rate):
    display = LossCurveDisplay.from_estimator(classifier, show_learning_rate=show_learning_rate)
    display.figure_.canvas.draw()
    labels = [tick.get_text() for tick in display.ax_.get_xticklabels()]
    assert "1" in labels
    assert "0" not in labels
    assert display.ax_.get_xlim()[0] > 0


def test_one_epoch_has_one_tick():
    ax = LossCurveDisplay([0.5], [0.6], best_epoch=0).plot().ax_
    low, high = ax.get_xlim()
    assert [tick for tick in ax.get_xticks() if low <= tick <= high] == [1]


def test_two_estimators_differ_in_colour_and_curves_in_style():
    display = LossCurveDisplay(TRAIN, VALIDATION, name="A").plot()
    other = LossCurveDisplay(TRAIN, VALIDATION, name="B").plot(display.ax_)
    lines = [*display.lines_, *other.lines_]
    assert len({line.get_color() for line in lines}) == 4
    assert [line.get_linestyle() for line in lines] == ["--", "-", "--", "-"]


def test_the_mark_is_on_the_training_curve_once_held_out_rows_train_too():
    display = LossCurveDisplay(TRAIN, [0.8, 0.5, np.nan, np.nan], best_epoch=3).plot()
    assert (display.best_.get_xdata()[0], display.best_.get_ydata()[0]) == (4, TRAIN[3])
    assert legend_of(display)[-1] == "kept: 0.2 in training (epoch 4)"


def test_losses_that_are_not_finite_are_left_out():
    display = LossCurveDisplay([1.0, np.inf], [1.0, np.nan], best_epoch=0).plot()
    assert np.isnan(display.lines_[0].get_ydata()[1])


def box(display, artist):
    return artist.get_window_extent(display.figure_.canvas.get_renderer())


@pytest.mark.parametrize("name", [None, "small", "a network with a rather long name, of which there is no need" * 2])
def test_a_title_of_the_users_meets_no_legend(name, pyplot):
    """In a figure of our own, with two estimators too: all that is drawn is within the figure."""
    display = LossCurveDisplay(TRAIN, VALIDATION, best_epoch=2, name=name).plot()
    display = LossCurveDisplay(TRAIN, VALIDATION, best_epoch=2, name="other").plot(display.ax_)
    title = display.ax_.set_title("A title")
    display.figure_.canvas.draw()
    legend = box(display, display.legend_)
    assert len(display.figure_.legends) == 1
    assert len(legend_of(display)) == 6
    assert legend.y1 < display.ax_.get_tightbbox().y0
    assert box(display, title).y0 > display.ax_.bbox.y1
    assert legend.x1 <= display.figure_.bbox.x1


@pytest.mark.parametrize("layout", ["none", "tight", "constrained"])
def test_in_axes_of_the_users_the_legend_is_within(layout, pyplot):
    figure, grid = pyplot.subplots(2, 2, figsize=(8, 6), layout=layout)
    displays = [
        LossCurveDisplay(TRAIN, VALIDATION, best_epoch=2, name="a name of a network " * 3).plot(ax) for ax in grid.flat
    ]
    figure.canvas.draw()
    assert not figure.legends
    for display in displays:
        assert display.legend_ is display.ax_.get_legend()
        legend = box(display, display.legend_)
        assert display.ax_.bbox.x0 < legend.x0 < legend.x1 < display.ax_.bbox.x1
        assert display.ax_.bbox.y0 < legend.y0 < legend.y1 < display.ax_.bbox.y1


def test_from_a_classifier(classifier):
    display = LossCurveDisplay.from_estimator(classifier)
    assert display.train_loss == classifier.history_["loss"]
    assert display.validation_loss == classifier.history_["val_loss"]
    assert display.best_epoch == classifier.best_epoch_
    assert display.ax_.get_ylabel() == "loss"


def test_from_a_pipeline_of_a_regressor(regression_data):
    pipeline = make_pipeline(StandardScaler(), plain_regressor(n_hidden=0, epochs=2, random_state=0))
    display = LossCurveDisplay.from_estimator(pipeline.fit(*regression_data), name="linear", log_scale=True)
    assert display.ax_.get_ylabel() == "loss (standardised target)"
    assert display.ax_.get_yscale() == "log"
    assert legend_of(display)[0] == "linear: training"


def test_a_loss_of_counts_is_in_units(regression_data):
    X, y = regression_data
    mlp = plain_regressor(n_hidden=0, epochs=2, loss="mean_absolute_percentage_error", random_state=0)
    assert LossCurveDisplay.from_estimator(mlp.fit(X, y)).ax_.get_ylabel() == "loss"


def test_nothing_held_out(regression_data):
    mlp = plain_regressor(n_hidden=0, epochs=2, early_stopping=False, random_state=0).fit(*regression_data)
    display = LossCurveDisplay.from_estimator(mlp)
    assert display.validation_loss is None
    assert len(display.lines_) == 1


def test_writes_a_picture(classifier, tmp_path):
    LossCurveDisplay.from_estimator(classifier).figure_.savefig(tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 5000


def test_the_short_names_of_matplotlib():
    display = LossCurveDisplay(TRAIN, VALIDATION).plot(line_kw={"lw": 3, "c": "red"})
    assert [(line.get_linewidth(), line.get_color()) for line in display.lines_] == [(3, "red")] * 2


def test_lines_that_are_to_have_no_label(pyplot):
    for ax in (None, pyplot.subplots()[1]):
        assert not legend_of(LossCurveDisplay(TRAIN).plot(ax, line_kw={"label": "_nolegend_"}))


def test_axes_of_a_part_of_a_figure(pyplot):
    upper, _ = pyplot.figure(layout="constrained").subfigures(2, 1)
    display = LossCurveDisplay(TRAIN, VALIDATION, name="A").plot(upper.subplots())
    assert display.legend_ is display.ax_.get_legend()


def test_other_estimators_are_refused(regression_data):
    for estimator in (Ridge(), make_pipeline(StandardScaler(), Ridge())):
        with pytest.raises(TypeError, match=r"'estimator' parameter must be .* Got Ridge\(\) instead"):
            LossCurveDisplay.from_estimator(estimator.fit(*regression_data))


def test_not_fitted():
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(make_pipeline(StandardScaler(), plain_classifier()))
