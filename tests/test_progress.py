"""What `verbose` shows: a bar where there is a terminal, lines elsewhere."""

import io
import re
import sys
import threading

import joblib
import keras
import numpy as np
import pytest
import rich
from plain import plain_classifier, plain_regressor
from rich.console import Console
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.preprocessing import scale

from sk_mlp._estimator import progress
from sk_mlp.model_selection import PopulationGridSearchCV

X, LABELS = load_iris(return_X_y=True)
NUMBER = r"\d[\d.e+-]*"
pytestmark = pytest.mark.usefixtures("no_xla")


def classifier(**params):
    return plain_classifier(n_hidden=0, epochs=3, random_state=0, verbose=1, **params)


class Terminal(io.StringIO):
    """A terminal's screen, and all that it has ever shown, line by line."""

    def isatty(self):
        return True

    def lines(self):
        return [line.rstrip() for line in self.screen() if line.strip()]

    def screen(self):
        rows, row = [""], 0
        for part in re.findall(r"\x1b\[[?\d;]*[A-Za-z]|[\r\n]|[^\x1b\r\n]+", self.getvalue()):
            if part == "\n":
                row += 1
                rows += [""] * (row == len(rows))
            elif part.endswith("A"):
                row -= int(part[2:-1] or 1)
            elif part.endswith("K"):
                rows[row] = ""
            elif part[0] not in "\x1b\r":
                rows[row] = part
        return rows

    def frames(self):
        """All lines with a bar that there have been."""
        plain = re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", self.getvalue())
        return [line for line in re.split(r"[\r\n]", plain) if " left" in line]


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of 100 columns, which other columns may replace."""

    def open_terminal(width=100):
        screen = Terminal()
        console = Console(file=screen, force_terminal=True, width=width, force_jupyter=False, legacy_windows=False)
        monkeypatch.setattr(rich, "get_console", lambda: console)
        monkeypatch.setenv("TERM", "xterm")
        return screen

    return open_terminal


def test_nothing_is_shown_by_itself(capsys):
    classifier().set_params(verbose=0).fit(X, LABELS)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("engine", ["compiled", "keras"])
def test_one_line_where_there_is_no_terminal(engine, capsys):
    mlp = classifier(engine=engine).fit(X, LABELS)
    (line,) = capsys.readouterr().out.splitlines()
    assert re.fullmatch(rf"KerasMLPClassifier: 1 network, 3 epochs, loss {NUMBER}, val_loss {NUMBER}, {NUMBER} s", line)
    assert f"val_loss {mlp.history_['val_loss'][mlp.best_epoch_]:.4g}," in line


def test_the_line_of_an_ensemble(capsys):
    mlp = classifier(ensemble_size=3, patience=2, learning_rate=0.3).set_params(epochs=60).fit(X, LABELS)
    (line,) = capsys.readouterr().out.splitlines()
    numbers = sorted(len(member["loss"]) for member in mlp.member_histories_)
    assert numbers[0] < numbers[-1]
    assert line.startswith(f"KerasMLPClassifier: 3 networks, {numbers[0]} to {numbers[-1]} epochs, loss ")
    kept = np.mean([min(member["val_loss"]) for member in mlp.member_histories_])
    assert f"val_loss {kept:.4g}," in line


def test_a_line_of_what_partial_fit_and_joined_rows_leave(capsys):
    y = scale(X) @ np.arange(1.0, 5.0)
    settings = {"n_hidden": 0, "epochs": 40, "learning_rate": 0.1, "lr_schedule": "cosine", "validation_fraction": 0.2}
    mlp = plain_regressor(**settings, early_stopping="auto", random_state=0, verbose=1).fit(scale(X), y)
    assert np.isnan(mlp.history_["val_loss"][mlp.best_epoch_])
    mlp.partial_fit(scale(X), y)
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(rf"KerasMLPRegressor: 1 network, 40 epochs, loss {NUMBER}, {NUMBER} s", lines[0])
    assert re.fullmatch(rf"KerasMLPRegressor: 1 network, 1 epoch, loss {NUMBER}, {NUMBER} s", lines[1])


def test_a_line_an_epoch_and_network(capsys):
    mlp = classifier(ensemble_size=2, metrics=["accuracy"]).set_params(verbose=2).fit(X, LABELS)
    lines = capsys.readouterr().out.splitlines()
    starts = sorted(line.partition(":")[0] for line in lines)
    assert starts == [f"Epoch {epoch}/3, network {network}/2" for epoch in (1, 2, 3) for network in (1, 2)]
    first = next(line for line in lines if line.startswith("Epoch 1/3, network 1/2: "))
    figures = {name: values[0] for name, values in mlp.member_histories_[0].items() if isinstance(values, list)}
    assert first.partition(": ")[2] == ", ".join(f"{name} {value:.4g}" for name, value in figures.items())


def test_a_bar_that_leaves_a_line(terminal, capsys):
    screen = terminal()
    classifier(ensemble_size=2).fit(X, LABELS)
    assert screen.lines() == [], "the bar is gone"
    last = screen.frames()[-1]
    assert re.search(rf"0:00 left 2/2 done, epoch 3, loss {NUMBER}, val_loss {NUMBER}, best {NUMBER}$", last)
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.mark.parametrize("width", [40, 80])
def test_times_are_never_cut(width, terminal):
    screen = terminal(width)
    classifier(ensemble_size=2).fit(X, LABELS)
    PopulationGridSearchCV(classifier(), {"learning_rate": [1e-3, 1e-2]}, cv=2, verbose=1).fit(X, LABELS)
    assert screen.frames()
    assert all(re.search(r"━ (-:--|\d:\d\d) left( |$)", frame) for frame in screen.frames())
    assert max(map(len, screen.frames())) <= width


@pytest.mark.parametrize("width", [50, 60, 70])
def test_figures_are_shown_whole_or_not_at_all(width, terminal):
    screen = terminal(width)
    classifier(ensemble_size=2).fit(X, LABELS)
    words = [frame.partition(" left ")[2].rstrip() for frame in screen.frames()]
    assert any("epoch" in shown for shown in words)
    part = rf"(2 networks|\d/2 done|epoch \d|loss {NUMBER}|val_loss {NUMBER}|best {NUMBER})"
    assert all(re.fullmatch(rf"{part}(, {part})*", shown) for shown in words if shown)


def test_the_best_of_each_monitored_figure(capsys):
    grid = {"early_stopping": [True, False]}
    PopulationGridSearchCV(classifier(), grid, cv=2, verbose=1, refit=False).fit(X, LABELS)
    assert re.search(rf"networks 4/4, best loss {NUMBER}, best val_loss {NUMBER}, structures", capsys.readouterr().out)


@pytest.mark.parametrize("error", [RuntimeError("mine"), KeyboardInterrupt()], ids=["error", "ctrl-c"])
def test_no_bar_is_left_where_a_fit_fails(error, terminal, capsys):
    class Fails(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise error

    screen, before = terminal(), sys.stdout
    with pytest.raises(type(error)):
        classifier(callbacks=[Fails()]).fit(X, LABELS)
    assert screen.frames()
    assert screen.lines() == []
    assert screen.getvalue().endswith("\x1b[?25h") or "\x1b[?25h" in screen.getvalue(), "the cursor is back"
    assert sys.stdout is before
    assert capsys.readouterr().out == ""


def test_threads_and_workers_show_lines_only(terminal, monkeypatch, capfd):
    screen, mlp = terminal(), classifier()
    thread = threading.Thread(target=lambda: clone(mlp).fit(X, LABELS))
    thread.start()
    thread.join()
    assert screen.getvalue() == ""
    assert capfd.readouterr().out.startswith("KerasMLPClassifier: 1 network")
    (drawn,) = joblib.Parallel(n_jobs=2)([joblib.delayed(can_draw_in_a_terminal)()])
    assert not drawn


def can_draw_in_a_terminal():
    return progress._can_draw(Console(file=io.StringIO(), force_terminal=True, force_jupyter=False))


def test_notebooks_without_widgets_show_a_line(monkeypatch):
    console = Console(file=io.StringIO(), force_jupyter=True)
    monkeypatch.setattr(progress, "find_spec", lambda name: None)
    assert not progress._can_draw(console)
    monkeypatch.setattr(progress, "find_spec", lambda name: "there")
    assert progress._can_draw(console)


def test_a_bar_within_another_one(terminal):
    """As of scikit-learn's ProgressBar on a search."""
    screen = terminal()
    with progress.bar(1, "outer"):
        classifier().fit(X, LABELS)
        assert "epoch 3" in screen.getvalue() or "outer" in screen.getvalue()
    (line,) = screen.lines()
    assert line.startswith("KerasMLPClassifier: 1 network")
