"""What notebooks show of an estimator: scikit-learn's diagram, and the network that has been fitted."""

import shutil
import subprocess
import time
from html.parser import HTMLParser

import keras
import numpy as np
import pytest
import sklearn
from optional import pd
from plain import plain_classifier, plain_regressor
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

from sk_mlp._estimator import html

pytestmark = pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.9"), reason="scikit-learn's diagram has no table of the fit"
)
X, LABELS = load_iris(return_X_y=True)
SMALL = {"hidden_layer_sizes": (6, 4), "epochs": 5, "random_state": 0}
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
VOID = {"br", "input", "img", "hr", "meta", "link"}


class Page(HTMLParser):
    """The tags, nested properly, and the text outside of styles and scripts."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag != "body":  # scikit-learn's fragment ends with one
            assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.text += data

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def ensemble():
    return plain_classifier(ensemble_size=2, metrics=["accuracy"], **SMALL).fit(X, LABELS)


def test_before_fit_it_is_scikit_learns_diagram():
    text = plain_classifier()._repr_html_()
    assert "KerasMLPClassifier" in text
    assert "sk-mlp-network" not in text


def test_what_a_fit_shows(ensemble):
    page = Page(html.network_html(ensemble))
    assert page.open == []
    assert "2 networks of 73 parameters each, averaged" in page.text
    assert "widths 4 → 6 → 4 → 3, activation" in page.text
    kept = ensemble.history_["val_loss"][ensemble.best_epoch_]
    assert f"on held-out rows, the mean of all networks: loss {kept:.4g}, accuracy " in page.text
    for name, widths, parameters in [("hidden_1", "4 → 6", 30), ("hidden_2", "6 → 4", 28), ("output", "4 → 3", 15)]:
        assert f"{name}{widths}{parameters}" in page.text
    assert f"trained in {ensemble.fit_time_:.3g} s" in page.text


@pytest.mark.parametrize("params", [{}, {"batch_norm": True, "skip_connection": True, "input_scaling": "robust"}])
def test_parameters_are_those_of_the_keras_model(params):
    mlp = plain_regressor(**SMALL, **params, normalize_y=False).fit(X, LABELS)
    assert sum(n for *_, n in html.layers_of(mlp)) == mlp.model_.count_params()


def test_a_model_of_ones_own():
    def build():
        return keras.Sequential([keras.layers.Dense(3, activation="relu"), keras.layers.Dense(1)])

    mlp = plain_regressor(build, epochs=2).fit(X, LABELS)
    page = Page(mlp._repr_html_())
    assert "19 parameters" in page.text
    assert "4 → 3" in page.text


def test_no_keras_model_is_made(ensemble):
    assert "model" not in ensemble._live
    ensemble._repr_html_()
    began = time.perf_counter()
    text = ensemble._repr_html_()
    assert time.perf_counter() - began < 0.2, "0.01 s, where building the network takes 0.4 s"
    assert "model" not in ensemble._live
    assert "history_" in Page(text).text, "scikit-learn's table of attributes is there"


def test_the_curve_has_the_kept_epoch_on_it(ensemble):
    page = Page(html.curve_of(ensemble))
    training, validation = (line["points"].split() for line in page.all("polyline"))
    assert len(training) == len(validation) == ensemble.best_epoch_ + 1, "from there on means are level"
    (mark,) = page.all("circle")
    assert f"{mark['cx']},{mark['cy']}" == validation[ensemble.best_epoch_]


def test_curves_that_are_hard_to_draw(ensemble):
    drawn = vars(type(ensemble)(**SMALL))
    for history, best, n_lines in [
        ({"loss": [np.nan]}, -1, 0),
        ({"loss": [1.0]}, 0, 1),
        ({"loss": [1.0, np.inf, 0.5], "val_loss": [np.nan] * 3}, 2, 1),
        ({"loss": [1.0, 1.0]}, 1, 1),
        ({"loss": list(np.geomspace(1, 1e-9, 5000)), "val_loss": list(np.ones(5000))}, 4321, 2),
        ({"loss": [-1.0, 2.0]}, 0, 1),
    ]:
        drawn.update(history_=history, best_epoch_=best, member_histories_=[history])
        page = Page(html.curve_of(type("Fit", (), drawn)))
        assert len(page.all("polyline")) == n_lines
        assert "nan" not in str(page.tags)
        assert len(page.all("circle")) == (best >= 0)
        assert all(len(line["points"].split()) <= 201 for line in page.all("polyline"))


def test_text_of_the_users_is_escaped():
    nasty = "<script>alert(1)</script>"
    table = pd.DataFrame(X[:, :2], columns=[nasty, "b"]).assign(c=np.where(X[:, 0] > 5.5, nasty, "v"))
    mlp = plain_classifier(**SMALL).fit(table, np.where(LABELS > 1, nasty, "y"))
    text = mlp._repr_html_()
    assert nasty not in text
    assert nasty[:4] not in html.network_html(mlp)


def test_pipelines_and_searches_show_it_too():
    pipeline = make_pipeline(StandardScaler(), plain_regressor(**SMALL))
    search = GridSearchCV(pipeline, {"kerasmlpregressor__learning_rate": [1e-2]}, cv=2)
    for estimator in (pipeline, search):
        text = estimator.fit(X, LABELS)._repr_html_()
        assert text.count("sk-mlp-network") == 1
        assert "StandardScaler" in text


def test_one_that_is_not_fitted_within_a_search_that_is():
    search = GridSearchCV(plain_regressor(**SMALL), {"learning_rate": [1e-2]}, cv=2, refit=False).fit(X, LABELS)
    assert "KerasMLPRegressor" in search._repr_html_()


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
@pytest.mark.parametrize("background", ["white", "#111"])
def test_in_a_browser(background, ensemble, tmp_path):
    """The browser's own idea of the page: the network is there, drawn within its box."""
    script = (
        "<script>onload = () => {const box = document.querySelector('.sk-mlp-network').getBoundingClientRect();"
        "const svg = document.querySelector('svg[role=img]').getBoundingClientRect();"
        "document.title = [box.width > 300, svg.height > 100, svg.right <= box.right, svg.bottom <= box.bottom,"
        "getComputedStyle(document.querySelector('.sk-container')).display].join()}</script>"
    )
    page = tmp_path / "page.html"
    page.write_text(f"<html style='background:{background}'>{ensemble._repr_html_()}{script}", encoding="utf-8")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile"]
    done = subprocess.run([*command, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=60)
    assert "<title>true,true,true,true,inline-block</title>" in done.stdout
