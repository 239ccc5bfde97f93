"""The main job, ``python -m sk_mlp``."""

import csv
import gzip
import io
import re
import subprocess
import sys

import joblib
import numpy as np
import pytest
from optional import needed, pd
from rich.console import Console
from scipy.stats import reciprocal
from sklearn.datasets import fetch_california_housing

from sk_mlp import KerasMLPClassifier, KerasMLPRegressor
from sk_mlp import __main__ as job
from sk_mlp._cli import datasets

SMALL = ["--n-iter", "2", "--cv", "2", "--epochs", "3"]
OUTPUTS = ["candidates.csv", "loss_curve.png", "model.joblib"]


@pytest.fixture(scope="module", autouse=True)
def few_structures():
    """A space of two structures, since each costs a second to compile; TensorFlow's log level as it was."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(job, "SPACE", {**job.SPACE, "mlp__n_hidden": [0, 1], "mlp__n_neurons": [4]})
        patch.setenv("TF_CPP_MIN_LOG_LEVEL", "2")
        yield


@pytest.fixture
def table(tmp_path):
    """A CSV file with numbers, strings, booleans and missing values, and its frame."""
    rng = np.random.default_rng(0)
    n = 80
    frame = pd.DataFrame(
        {
            "size": rng.normal(50, 10, n).round(3),
            "colour": rng.choice(["red", "green", "blue"], n),
            "new": rng.choice([True, False], n),
            "mended": rng.choice(np.array([True, False, None]), n),
            "empty": np.nan,
        }
    )
    frame["price"] = (3 * frame["size"] + 20 * (frame["colour"] == "red") + rng.normal(size=n)).round(3)
    frame["grade"] = np.where(frame["price"] > frame["price"].median(), "high", "low")
    frame["stars"] = np.digitize(frame["price"], np.quantile(frame["price"], [0.3, 0.6]))
    frame.loc[[1, 5, 9], "size"] = np.nan
    frame.loc[[2, 5], "colour"] = None
    path = tmp_path / "table.csv"
    frame.to_csv(path, index=False)
    return path, frame


def run_csv(path, target, tmp_path, *options):
    needed("pandas")
    return job.main(["--csv", str(path), "--target", target, "--output", str(tmp_path / "out"), *SMALL, *options])


def write(tmp_path, text):
    path = tmp_path / "user.csv"
    path.write_text(text)
    return path


def rows_of(**columns):
    """A CSV text of 40 rows: a column x of numbers, and the columns given as functions of the row's number."""
    lines = [",".join(["x", *columns])]
    lines += [",".join(map(str, [i % 7, *(column(i) for column in columns.values())])) for i in range(40)]
    return "\n".join(lines)


@pytest.fixture(scope="module")
def wine(tmp_path_factory):
    """Output folder and exit code of a run on a data set of scikit-learn."""
    folder = tmp_path_factory.mktemp("wine") / "a" / "b"
    return folder, job.main(["--dataset", "wine", "--output", str(folder), *SMALL])


def test_outputs(wine):
    needed("matplotlib")
    folder, code = wine
    assert code == 0
    assert sorted(path.name for path in folder.iterdir()) == OUTPUTS
    assert (folder / "loss_curve.png").read_bytes().startswith(b"\x89PNG")


def test_saved_model_is_the_best_candidate(wine):
    folder, _ = wine
    pipeline = joblib.load(folder / "model.joblib")
    data = datasets.load("wine")
    assert pipeline.predict(data.X).shape == data.y.shape
    with open(folder / "candidates.csv", encoding="utf-8", newline="") as file:
        best, second = csv.DictReader(file)
    assert list(best) == ["rank", "learning_rate", "n_hidden", "n_neurons", "mean_score", "std_score", "seconds"]
    assert float(best["mean_score"]) >= float(second["mean_score"])
    mlp = pipeline[-1]
    assert (mlp.n_hidden, mlp.learning_rate) == (int(best["n_hidden"]), float(best["learning_rate"]))
    assert mlp.epochs == 3


def test_report(table, tmp_path, capsys):
    assert run_csv(table[0], "grade", tmp_path) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    for expected in (
        "table.csv: 7 features, 2 classes; 60 rows to learn from, 20 held out",
        "1/2, best accuracy",
        "2/2, best accuracy",
        "Best parameters: n_hidden=",
        "KerasMLPClassifier, best candidate",
        "scikit-learn's MLPClassifier",
        "scikit-learn's LogisticRegression",
        *(f"saved {tmp_path / 'out' / name}" for name in OUTPUTS),
    ):
        assert expected in printed.out


def test_model_of_a_table_predicts_from_new_rows(table, tmp_path):
    path, _ = table
    assert run_csv(path, "grade", tmp_path) == 0
    model = joblib.load(tmp_path / "out" / "model.joblib")
    assert isinstance(model[-1], KerasMLPClassifier)
    new = pd.read_csv(path).drop(columns="grade")
    new.loc[0, "colour"] = "a colour not seen before"
    assert set(model.predict(new)) <= {"high", "low"}


def test_regression_on_a_table(table, tmp_path, capsys):
    path, frame = table
    assert run_csv(path, "price", tmp_path) == 0
    printed = capsys.readouterr().out
    for expected in ("regression", "best R2", "scikit-learn's MLPRegressor", "scikit-learn's Ridge"):
        assert expected in printed
    model = joblib.load(tmp_path / "out" / "model.joblib")
    assert isinstance(model[-1], KerasMLPRegressor)
    assert model.predict(pd.read_csv(path)).shape == (len(frame),)


@pytest.mark.parametrize(
    ("target", "task", "expected", "dtype"),
    [
        ("grade", None, "classification", "U"),
        ("new", None, "classification", "U"),
        ("stars", None, "classification", "i"),
        ("price", None, "regression", "f"),
        ("stars", "regression", "regression", "f"),
        ("price", "classification", "classification", "U"),
    ],
)
def test_task_follows_the_target(table, target, task, expected, dtype):
    data = datasets.read_csv(table[0], target, task)
    assert (data.task, data.y.dtype.kind) == (expected, dtype)
    assert target not in data.X


def test_whole_numbers_in_a_column_with_missing_values_are_labels(tmp_path):
    needed("pandas")
    path = write(tmp_path, rows_of(label=lambda i: "" if i == 3 else i % 2))
    data = datasets.read_csv(path, "label", None)
    assert data.y.dtype == np.int64
    assert len(data.X) == len(data.y) == 39  # a row without a target is left out


def test_many_whole_numbers_are_a_quantity(tmp_path):
    needed("pandas")
    path = write(tmp_path, rows_of(amount=lambda i: i % 21))
    assert datasets.read_csv(path, "amount", None).task == "regression"


def test_numbers_that_are_too_large_for_integers_are_a_quantity(tmp_path):
    needed("pandas")
    path = write(tmp_path, rows_of(amount=lambda i: (-1) ** i * 1e300))
    assert datasets.read_csv(path, "amount", None).task == "regression"


def test_columns_become_scaled_numbers(table):
    data = datasets.read_csv(table[0], "price", None)
    Z = data.prepare.fit_transform(data.X)
    assert np.isfinite(Z).all()
    numbers, strings = Z[:, :4], Z[:, 4:]  # size, new, empty, stars; colour, mended and grade
    np.testing.assert_allclose(numbers.mean(0), 0, atol=1e-9)
    assert strings.shape[1] == 4 + 3 + 2  # missing is a category of its own
    assert set(np.unique(strings)) == {0, 1}


def test_a_column_of_names_does_not_blow_up(tmp_path):
    path = write(tmp_path, rows_of(name=lambda i: f"name{i}", y=lambda i: i / 3))
    frame = pd.concat([pd.read_csv(path)] * 3).assign(name=[f"name{i}" for i in range(120)])
    frame.to_csv(path, index=False)
    data = datasets.read_csv(path, "y", None)
    assert data.prepare.fit_transform(data.X).shape[1] == 1 + datasets.MAX_CATEGORIES


@pytest.mark.filterwarnings("ignore:The least populated class")  # of StratifiedKFold
def test_rare_classes_do_not_stop_it(tmp_path, capsys):
    path = write(tmp_path, rows_of(label=lambda i: "rare" if i == 0 else "ab"[i % 2]))
    assert run_csv(path, "label", tmp_path) == 0
    assert "KerasMLPClassifier, best candidate" in capsys.readouterr().out


def test_california_housing_from_the_folder(tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 8))
    np.savez(tmp_path / "california_housing.npz", data=X, target=X[:, 0], feature_names=np.array(["a"] * 8))
    monkeypatch.setenv("SK_MLP_DATA", str(tmp_path))
    assert job.main(["--dataset", "california_housing", "--output", str(tmp_path / "out"), *SMALL]) == 0
    assert "california_housing: 8 features, regression; 45 rows" in capsys.readouterr().out


def test_california_housing_is_fetched_otherwise(monkeypatch):
    def fetch(return_X_y):
        return np.zeros((5, 8)), np.zeros(5)

    monkeypatch.delenv("SK_MLP_DATA", raising=False)
    monkeypatch.setattr(datasets.datasets, fetch_california_housing.__name__, fetch)
    assert datasets.load("california_housing").X.shape == (5, 8)


def test_california_housing_out_of_reach(monkeypatch, capsys):
    def fetch(return_X_y):
        raise OSError("no network")

    monkeypatch.delenv("SK_MLP_DATA", raising=False)
    monkeypatch.setattr(datasets.datasets, fetch_california_housing.__name__, fetch)
    assert job.main(["--dataset", "california_housing"]) == 2
    assert "SK_MLP_DATA" in one_line_of(capsys)


def test_two_jobs_find_the_same(wine, tmp_path):
    assert job.main(["--dataset", "wine", "--n-jobs", "2", "--output", str(tmp_path), *SMALL]) == 0
    for column in ("rank", "n_hidden", "learning_rate", "mean_score"):
        one, two = (pd.read_csv(folder / "candidates.csv")[column] for folder in (wine[0], tmp_path))
        np.testing.assert_array_equal(one, two)


def test_progress_bar_on_a_terminal():
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100)
    with job.progress(console, 3, "R2") as watch:
        watch(1, 0.5)
        watch(3, 0.75)
    assert "3/3" in screen.getvalue()
    assert "refitting the best" in screen.getvalue()


def test_without_matplotlib(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert job.main(["--dataset", "wine", "--output", str(tmp_path), *SMALL]) == 0
    assert "pip install 'sk_mlp[plot]'" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["candidates.csv", "model.joblib"]


def one_line_of(capsys):
    """The one line on stderr."""
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("sk_mlp: error: ")
    return line


@pytest.mark.parametrize(
    ("text", "target", "message"),
    [
        (None, "y", "cannot read .*user.csv: No such file or directory"),
        ("", "y", "cannot read .*No columns"),
        ('a,y\n1,2\n3,4,5,6,"7', "y", "cannot read .*Error tokenizing data"),
        (rows_of(price=float), "prise", "has no column 'prise'. Did you mean 'price'?"),
        (rows_of(price=float), "zzz", "has no column 'zzz'. Its columns are 'x', 'price'."),
        (rows_of(y=lambda i: "same"), "y", "the target of user.csv is constant: same"),
        (rows_of(y=lambda i: 1.5), "y", "the target of user.csv is constant: 1.5"),
        (rows_of(y=lambda i: f"row{i}"), "y", "has 40 classes in 40 rows"),
        (rows_of(y=lambda i: "inf" if i == 2 else i / 3), "y", "finite numbers in column 'y' .* Got .*inf"),
        (rows_of(z=lambda i: "inf" if i == 2 else i, y=float), "y", "column 'z' of .* holds infinite values"),
        ("x,y\n1,2\n3,4\n", "y", "user.csv has 2 rows with a target; at least 20 are needed"),
        ("y\n" + "1\n2\n" * 20, "y", "has no column besides 'y'"),
    ],
)
def test_what_the_user_can_mend(tmp_path, capsys, text, target, message):
    path = tmp_path / "user.csv" if text is None else write(tmp_path, text)
    assert run_csv(path, target, tmp_path) == 2
    line = one_line_of(capsys)
    assert re.search(message, line), line
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_no_text(tmp_path, capsys):
    path = tmp_path / "user.csv"
    path.write_bytes(bytes(range(256)) * 4)
    assert run_csv(path, "y", tmp_path) == 2
    assert "cannot read" in one_line_of(capsys)


@pytest.mark.parametrize("name", ["user.csv.gz", "user.zip", "user.csv.xz"])
def test_a_compressed_file_that_is_cut_short(tmp_path, capsys, name):
    path = tmp_path / name
    path.write_bytes(gzip.compress(rows_of(y=float).encode())[:60])
    assert run_csv(path, "y", tmp_path) == 2
    assert "cannot read" in one_line_of(capsys)


def test_strings_are_no_quantity(table, tmp_path, capsys):
    assert run_csv(table[0], "grade", tmp_path, "--task", "regression") == 2
    assert "regression needs finite numbers in column 'grade'" in one_line_of(capsys)


def test_without_pandas(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pandas", None)
    path = write(tmp_path, rows_of(price=str))
    assert job.main(["--csv", str(path), "--target", "price", "--output", str(tmp_path)]) == 2
    assert "pip install 'sk_mlp[frames]'" in one_line_of(capsys)


def test_output_that_is_a_file(tmp_path, capsys):
    (tmp_path / "taken").write_text("")
    assert job.main(["--dataset", "wine", "--output", str(tmp_path / "taken"), *SMALL]) == 2
    assert "cannot write to the folder" in one_line_of(capsys)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--csv", "a.csv"], "--csv needs --target"),
        (["--target", "y"], "go with --csv"),
        (["--task", "regression"], "go with --csv"),
        (["--csv", "a.csv", "--target", "y", "--dataset", "wine"], "not allowed with argument"),
        (["--cv", "1"], "must be at least 2, got 1"),
        (["--n-iter", "none"], "invalid integer value: 'none'"),
        (["--epochs", "0"], "must be at least 1, got 0"),
        (["--n-jobs", "0"], "must not be 0"),
        (["--seed", "4294967296"], "must be at least 0 and at most 4294967295, got 4294967296"),
        (["--dataset", "boston"], "invalid choice: 'boston'"),
    ],
)
def test_options_that_make_no_sense(capsys, options, message):
    with pytest.raises(SystemExit) as stopped:
        job.main(options)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_ctrl_c_is_quiet(tmp_path, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(job.WatchedSearch, "_run_search", interrupted)
    assert job.main(["--dataset", "wine", "--output", str(tmp_path), *SMALL]) == 130
    assert capsys.readouterr().err == ""
    assert list(tmp_path.iterdir()) == []


def test_defaults_are_the_search_people_come_for():
    arguments = job.parse([])
    search = job.make_search(datasets.load("digits"), arguments)
    prepare, mlp = search.estimator
    assert type(prepare).__name__ == "StandardScaler"
    assert (mlp.early_stopping, mlp.patience, mlp.epochs) == (True, 10, 100)
    assert (search.n_iter, search.cv, search.n_jobs) == (10, 3, 1)
    rates = search.param_distributions["mlp__learning_rate"]
    assert (rates.dist.name, rates.args) == (reciprocal.name, (3e-4, 3e-2))
    assert arguments.output.name == "sk_mlp_results"


@pytest.mark.slow
def test_as_a_program(tmp_path):
    needed("matplotlib")
    command = [sys.executable, "-m", "sk_mlp", "--dataset", "diabetes", "--output", str(tmp_path), *SMALL]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "best R2" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == OUTPUTS
    predict = (
        f"import joblib, numpy; print(joblib.load({str(tmp_path / 'model.joblib')!r}).predict(numpy.zeros((2, 10))))"
    )
    subprocess.run([sys.executable, "-c", predict], check=True, capture_output=True)


def test_figures_are_whole_on_a_narrow_screen():
    row = {"rank": 1, "n_hidden": 1, "n_neurons": 65, "learning_rate": 3.76e-3, "mean_score": -12.9621}
    screen = io.StringIO()
    table = job.candidates_table([row | {"std_score": 0.0018, "seconds": 1117.9}], "accuracy")
    Console(file=screen, width=60).print(table)
    assert "1 1 65 3.76e-03 -12.9621 0.0018 1117.9" in " ".join(screen.getvalue().split())
