"""`hold_out`: the last rows, whole groups, a splitter's parts; who trains on what, to the level of members."""

import warnings

import numpy as np
import pytest
import sklearn
from optional import pd, pl
from plain import plain_classifier, plain_regressor, prepared_task
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_iris
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    PredefinedSplit,
    ShuffleSplit,
    StratifiedShuffleSplit,
    TimeSeriesSplit,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version

from sk_mlp import KerasMLPClassifier, KerasMLPRegressor
from sk_mlp._estimator.given import GivenRows
from sk_mlp.model_selection import PopulationGridSearchCV, PopulationRandomizedSearchCV

RNG = np.random.default_rng(0)
N = 240
GROUPS = RNG.permutation(np.arange(N) % 24)
X = RNG.standard_normal((N, 5)).astype(np.float32)
Y = X @ RNG.standard_normal(5) + RNG.standard_normal(24)[GROUPS]
LABELS = np.array(["low", "middle", "high"])[np.digitize(Y, [-1, 1])]
FAST = {"hidden_layer_sizes": (8,), "epochs": 3, "learning_rate": 1e-2, "random_state": 0}
ESTIMATORS = [(plain_regressor, Y), (plain_classifier, LABELS)]
NAMES = ["regressor", "classifier"]
routing = pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.8"), reason="GridSearchCV itself raises"
)
pytestmark = pytest.mark.usefixtures("no_xla")


def splits(estimator, y=Y, X=X, **data):
    """The rows that members train on and hold out, as they are in their own matrix."""
    members = prepared_task(estimator, GivenRows(X, y, **data), early_stopping=True).members
    return [(member.train, member.validation) for member in members]


def assert_apart(train, validation):
    assert len(train) and len(validation)
    assert not np.intersect1d(train, validation).size


# Time


@pytest.mark.parametrize("n_members", [1, 2, 3, 8])
@pytest.mark.parametrize(("estimator", "y"), ESTIMATORS, ids=NAMES)
def test_nobody_trains_on_rows_after_those_held_out(estimator, y, n_members):
    found = splits(estimator(**FAST, hold_out="last", validation_fraction=0.5, ensemble_size=n_members), y)
    assert len(found) == n_members
    for train, validation in found:
        assert_apart(train, validation)
        np.testing.assert_array_equal(train, np.arange(validation[0]))
        np.testing.assert_array_equal(validation, np.arange(validation[0], validation[-1] + 1))
    held_out = np.unique(np.concatenate([validation for _, validation in found]))
    np.testing.assert_array_equal(held_out, np.arange(N // 2, N))


def test_pairs_hold_out_successive_blocks():
    found = splits(plain_regressor(**FAST, hold_out="last", validation_fraction=0.5, ensemble_size=8))
    assert [(v[0], v[-1]) for _, v in found[::2]] == [(120, 149), (150, 179), (180, 209), (210, 239)]
    for one, two in zip(found[::2], found[1::2], strict=True):
        np.testing.assert_array_equal(one[1], two[1])


def test_blocks_are_large_enough_to_tell_when_to_stop():
    found = splits(plain_regressor(**FAST, hold_out="last", validation_fraction=0.2, ensemble_size=8))
    assert {len(validation) for _, validation in found} == {24}
    found = splits(plain_regressor(**FAST, hold_out="last", validation_fraction=0.3, ensemble_size=8))
    assert [v[0] for _, v in found[::2]] == [168, 168, 192, 216]


def test_tomorrow_is_not_seen_where_rows_drift():
    """Where y walks at random, rows held out at random are easy: neighbours of them train. Those to come are not."""
    time = np.linspace(0, 1, N)[:, None]
    walk = np.cumsum(RNG.standard_normal(N))
    settings = FAST | {"epochs": 60, "patience": 60, "learning_rate": 3e-2, "normalize_y": False}
    mlp = plain_regressor(**settings, numerical_embedding="ple", input_scaling="robust")
    losses = [
        min(clone(mlp).set_params(hold_out=how).fit(time, walk).history_["val_loss"]) for how in ("random", "last")
    ]
    assert losses[1] > 3 * losses[0]


# Groups


@pytest.mark.parametrize("n_members", [1, 3, 8, 24])
@pytest.mark.parametrize(("estimator", "y"), ESTIMATORS, ids=NAMES)
def test_groups_are_never_on_both_sides(estimator, y, n_members):
    found = splits(estimator(**FAST, hold_out="group", ensemble_size=n_members), y, groups=GROUPS)
    assert len(found) == n_members
    for train, validation in found:
        assert_apart(GROUPS[train], GROUPS[validation])
        assert sorted([*train, *validation]) == list(range(N))
        assert len(validation) == 20  # 24 were wanted
        assert estimator is plain_regressor or set(y[train]) == set(y)
    of_pairs = [set(GROUPS[validation]) for _, validation in found]
    assert of_pairs[::2][: len(of_pairs[1::2])] == of_pairs[1::2]
    assert all(not of_pairs[i] & of_pairs[j] for i in range(0, min(n_members, 16), 2) for j in range(0, i, 2))


def test_groups_of_all_sizes_come_near_to_the_fraction():
    groups = np.repeat(np.arange(30), RNG.integers(1, 100, 30))
    n = len(groups)
    for seed in range(10):
        mlp = plain_regressor(**FAST | {"random_state": seed}, hold_out="group", validation_fraction=0.2)
        ((train, validation),) = splits(mlp, np.arange(float(n)), np.zeros((n, 1), np.float32), groups=groups)
        assert_apart(groups[train], groups[validation])
        assert 0.1 < len(validation) / n < 0.3


def test_of_a_few_large_groups_the_smallest_is_held_out():
    groups = np.repeat(["large", "larger", "small"], [80, 110, 50])
    ((_, validation),) = splits(plain_regressor(**FAST, hold_out="group"), groups=groups)
    assert set(groups[validation]) == {"small"}


def test_fewer_groups_than_pairs():
    groups = np.arange(N) % 2
    found = splits(plain_regressor(**FAST, hold_out="group", ensemble_size=8), groups=groups)
    held_out = [groups[validation] for _, validation in found[::2]]
    assert all(len(set(of_pair)) == 1 for of_pair in held_out)
    assert {of_pair[0] for of_pair in held_out} == {0, 1}


def test_a_group_that_has_all_rows_of_a_class_trains():
    labels = np.where(GROUPS == 5, "rare", LABELS)
    for seed in range(12):
        mlp = plain_classifier(**FAST | {"random_state": seed}, hold_out="group", ensemble_size=8)
        for train, _ in splits(mlp, labels, groups=GROUPS):
            assert "rare" in labels[train]


def test_a_class_in_two_groups_is_not_held_out_with_both():
    labels = np.where(np.isin(GROUPS, [5, 6]), "rare", LABELS)
    for seed in range(12):
        mlp = plain_classifier(**FAST | {"random_state": seed}, hold_out="group", validation_fraction=0.9)
        ((train, validation),) = splits(mlp, labels, groups=GROUPS)
        assert "rare" in labels[train]
        assert len(validation) > N / 2


def test_classes_that_are_groups_cannot_be_held_out():
    with pytest.raises(ValueError, match=r"needs a group without which every class still has a row .*\. Got 3"):
        plain_classifier(**FAST, hold_out="group").fit(X, LABELS, groups=LABELS)


def test_several_labels():
    y = np.stack([Y > 0, X[:, 0] > 0], axis=1).astype(int)
    ((train, validation),) = splits(plain_classifier(**FAST, hold_out="group"), y, groups=GROUPS)
    assert_apart(GROUPS[train], GROUPS[validation])


FORMS = {
    "strings": np.array([f"patient {g}" for g in GROUPS]),
    "objects": np.array([f"patient {g}" for g in GROUPS], dtype=object),
    "floats": GROUPS + 0.5,
    "dates": np.datetime64("2020-01-01") + GROUPS,
    "list": [int(g) for g in GROUPS],
    "mixed": [int(g) if g % 2 else str(g) for g in GROUPS],
    "column": GROUPS[:, None],
    "pandas": lambda: pd.Series(GROUPS, index=np.arange(N)[::-1]),
    "nullable": lambda: pd.Series(GROUPS, dtype="Int64"),
    "categories": lambda: pd.Series(GROUPS.astype(str), dtype="category"),
    "polars": lambda: pl.Series(GROUPS),
}


@pytest.mark.parametrize("form", FORMS)
def test_what_groups_are_called_changes_nothing(form):
    mlp = plain_regressor(**FAST, hold_out="group")
    groups = FORMS[form]() if callable(FORMS[form]) else FORMS[form]
    np.testing.assert_array_equal(splits(mlp, groups=groups)[0][1], splits(mlp, groups=GROUPS)[0][1])


def test_numbers_and_strings_are_different_groups():
    groups = [1, "1"] * (N // 2)
    ((_, validation),) = splits(plain_regressor(**FAST, hold_out="group"), groups=groups)
    assert len(validation) == N // 2


def test_the_seed_decides():
    first, again, other = (
        splits(plain_regressor(**FAST | {"random_state": seed}, hold_out="group"), groups=GROUPS)[0][1]
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


# Splitters


@pytest.mark.parametrize(
    "splitter",
    [
        GroupShuffleSplit(2, test_size=0.25, random_state=0),
        ShuffleSplit(4, random_state=0),
        KFold(3),
        TimeSeriesSplit(4),
        PredefinedSplit(np.arange(N) % 3 - 1),
        StratifiedShuffleSplit(1, random_state=0),
    ],
    ids=lambda splitter: type(splitter).__name__,
)
def test_pairs_take_the_successive_splits_of_a_splitter(splitter):
    groups = GROUPS if isinstance(splitter, GroupShuffleSplit) else None
    expected = list(splitter.split(X, LABELS, groups))
    found = splits(plain_classifier(**FAST, hold_out=splitter, ensemble_size=8), LABELS, groups=groups)
    for member, parts in enumerate(found):
        for part, rows in zip(parts, expected[member // 2 % len(expected)], strict=True):
            np.testing.assert_array_equal(part, np.sort(rows))
    single = splits(plain_classifier(**FAST, hold_out=splitter), LABELS, groups=groups)
    np.testing.assert_array_equal(single[0][1], found[0][1])


def test_members_of_very_different_sizes_train():
    mlp = plain_regressor(**FAST | {"batch_size": "auto"}, hold_out=TimeSeriesSplit(4), ensemble_size=8).fit(X, Y)
    assert np.isfinite(mlp.predict(X)).all()
    assert mlp.n_iter_ == 3


class ByColumn:
    """Somebody's own splitter, by a column of X, of rows by their numbers from the end or by masks."""

    def split(self, X, y=None, groups=None):
        late = np.asarray(X["year"]) > 2020
        yield ~late, late
        yield np.flatnonzero(~late) - len(X), late.tolist()

    def get_n_splits(self, X=None, y=None, groups=None):
        return 2


def test_a_splitter_of_ones_own_gets_what_the_user_gave():
    frame = pd.DataFrame(X[:, :4], columns=list("abcd")).assign(year=np.where(np.arange(N) % 5 == 0, 2021, 2019))
    mlp = plain_regressor(**FAST, hold_out=ByColumn(), ensemble_size=4)
    for train, validation in splits(mlp, X=frame):
        np.testing.assert_array_equal(validation, np.arange(0, N, 5))
        assert len(train) == N - len(validation)


# Rows without weight


@pytest.mark.parametrize("hold_out", ["last", "group"])
def test_rows_without_weight_are_as_if_not_there(hold_out):
    weights = RNG.choice([0.0, 1.0, 2.0], N)
    kept = weights > 0
    mlp = plain_classifier(
        **FAST, hold_out=hold_out, ensemble_size=4, class_weight={"low": 0.0, "middle": 1, "high": 1}
    )
    kept &= LABELS != "low"
    found = splits(mlp, LABELS, groups=GROUPS if hold_out == "group" else None, sample_weight=weights)
    for train, validation in found:
        assert len(train) + len(validation) == kept.sum()
        assert_apart(*(GROUPS[kept][part] if hold_out == "group" else part for part in (train, validation)))
    mlp.set_params(class_weight=None)
    data = X[kept], LABELS[kept], weights[kept]
    of_kept = splits(mlp, data[1], data[0], groups=GROUPS[kept] if hold_out == "group" else None, sample_weight=data[2])
    for one, two in zip(found, of_kept, strict=True):
        np.testing.assert_array_equal(one[1], two[1])


def test_a_predefined_split_is_of_the_rows_as_they_are_given():
    fold = np.where(np.arange(N) % 4 == 0, 0, -1)
    weights = np.where(np.arange(N) < 100, 0.0, 1.0)
    ((train, validation),) = splits(plain_regressor(**FAST, hold_out=PredefinedSplit(fold)), sample_weight=weights)
    np.testing.assert_array_equal(validation + 100, np.arange(100, N, 4))
    assert len(train) == 140 - 35


# Errors and warnings


def failing(message, hold_out="group", estimator=plain_regressor, y=Y, **data):
    with pytest.raises(ValueError, match=message):
        estimator(**FAST, hold_out=hold_out).fit(X, y, **data)


def test_groups_that_are_not_valid():
    failing(r"hold_out='group' needs groups, a value for each row of X\. Got None\. Pass fit\(X, y, groups=\.\.\.\)")
    failing(r"groups must be of shape \(n_samples,\), here \(240,\)\. Got \(100,\)", groups=GROUPS[:100])
    failing(r"groups must be of shape .*\. Got \(240, 2\)", groups=np.stack([GROUPS, GROUPS], axis=1))
    failing(r"groups must be of shape .*\. Got \(\)", groups="patient")
    failing("needs at least two groups with rows that have a weight. Got 1", groups=np.zeros(N))
    failing("Got 1;", groups=GROUPS, sample_weight=(GROUPS == 3).astype(float))
    failing("groups must hold strings, numbers and the like. Got unhashable", groups=np.array([[], {}] * 120, object))
    failing("groups must not be missing .* Got masked values", groups=np.ma.array(GROUPS, mask=GROUPS == 3))


@pytest.mark.parametrize("missing", [np.nan, None, "NA", "NaT", np.datetime64("NaT", "s"), float("nan")], ids=repr)
@pytest.mark.parametrize(
    "form", [list, lambda groups: np.array(groups, dtype=object), lambda groups: pd.Series(groups)]
)
def test_missing_groups(missing, form):
    groups = [int(g) for g in GROUPS]
    missing = getattr(pd, missing) if isinstance(missing, str) else missing
    groups[7] = groups[9] = missing
    failing(
        r"groups must not be missing \(nan, None\)\. Got 2 such values of 240, the first in row 7", groups=form(groups)
    )


class Splits:
    """Yield these splits."""

    def __init__(self, *splits):
        self.splits = splits

    def split(self, X, y=None, groups=None):
        return iter(self.splits)

    def get_n_splits(self, X=None, y=None, groups=None):
        return len(self.splits)


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ([], "must yield at least one split. Got none from"),
        ([(range(10), range(9, 20))], "must yield parts without rows in common. Got 1 common rows from"),
        ([(range(10), range(230, 241))], r"must yield two arrays of row numbers below n_samples=240 .* out of bounds"),
        ([(range(10), [-241])], "out of bounds"),
        ([(range(10), [True, False])], "must yield two arrays of row numbers"),
        ([(range(10), [0.5])], "must yield two arrays of row numbers"),
        ([(range(10), ["a"])], "must yield two arrays of row numbers"),
        ([range(10)], "must yield two arrays of row numbers"),
        ([(range(10), [])], "at least one row with a weight to train on and one to hold out. Got 10 and 0"),
        ([([], range(10))], "Got 0 and 10"),
    ],
)
def test_parts_that_cannot_be(splits, message):
    failing(f"hold_out .*{message}", Splits(*splits))


def test_splitters_that_do_not_fit():
    failing("hold_out must be an object that splits, not its class. Got <class .*ShuffleSplit'>; call it", ShuffleSplit)
    failing("hold_out=GroupShuffleSplit.* cannot split these rows: The 'groups' param.*routing", GroupShuffleSplit())
    failing("hold_out=StratifiedShuffleSplit.* cannot split these rows: ", StratifiedShuffleSplit())
    failing("hold_out=KFold.* cannot split these rows: Cannot have number of splits n_splits=300", KFold(300))
    for n in (100, 300):
        failing(f"hold_out=PredefinedSplit.* is for {n} rows. Got n_samples=240", PredefinedSplit(np.arange(n) % 2))
    failing("one to hold out. Got 0", KFold(2), sample_weight=np.arange(N) < N // 2)


def test_too_few_rows():
    for hold_out in ("random", "last"):
        with pytest.raises(ValueError, match="at least one row to train on and one to hold out"):
            plain_regressor(**FAST, hold_out=hold_out).fit(X[:1], Y[:1])


def test_groups_that_nothing_asks_for():
    for hold_out in ("random", "last"):
        with pytest.warns(UserWarning, match=f"The groups parameter is ignored by hold_out='{hold_out}'") as caught:
            plain_regressor(**FAST, hold_out=hold_out).fit(X, Y, groups=GROUPS)
        assert [warning.filename for warning in caught] == [__file__]
    with pytest.warns(UserWarning, match="The groups parameter is ignored by ShuffleSplit"):
        plain_regressor(**FAST, hold_out=ShuffleSplit(random_state=0)).fit(X, Y, groups=GROUPS)
    failing(r"groups must be of shape", hold_out="random", groups=GROUPS[1:])


@pytest.mark.parametrize("hold_out", ["last", KFold(2)], ids=["last", "splitter"])
def test_classes_that_are_not_trained_on(hold_out):
    """Rows sorted by class are in no order of time; who says so all the same is told which classes are not learned."""
    X, y = load_iris(return_X_y=True)
    with pytest.warns(UserWarning, match=r"The classes \[(0|2)\] have no rows to train on in a split of hold_out="):
        plain_classifier(**FAST, hold_out=hold_out, validation_fraction=0.4).fit(X, y)


def test_where_nothing_is_held_out_it_does_not_matter():
    mlp = plain_regressor(**FAST)
    for how in ("group", GroupShuffleSplit()):
        for params, data in (
            ({"early_stopping": False}, {}),
            ({"early_stopping": False}, {"groups": GROUPS}),
            ({}, {"X_val": X[:50], "y_val": Y[:50]}),
        ):
            ours, theirs = (clone(mlp).set_params(hold_out=hold_out, **params) for hold_out in (how, "random"))
            theirs.fit(X, Y, **{name: value for name, value in data.items() if name != "groups"})
            np.testing.assert_array_equal(ours.fit(X, Y, **data).predict(X), theirs.predict(X))
    mlp.set_params(hold_out="group").partial_fit(X, Y)


def test_warm_start_and_held_out_rows_that_join():
    y = X @ np.arange(1.0, 6.0)
    settings = FAST | {"lr_schedule": "cosine", "epochs": 40, "hidden_layer_sizes": (), "learning_rate": 0.1}
    for hold_out in ("last", "group"):
        mlp = plain_regressor(**settings, hold_out=hold_out, early_stopping="auto", warm_start=True)
        mlp.fit(X, y, groups=GROUPS if hold_out == "group" else None)
        assert np.isnan(mlp.history_["val_loss"][-1])
        mlp.fit(X, y, groups=GROUPS if hold_out == "group" else None)


def test_sparse_rows():
    mlp = plain_regressor(**FAST, hold_out="group")
    mlp.fit(csr_array(X), Y, groups=GROUPS)
    np.testing.assert_allclose(mlp.predict(csr_array(X)), clone(mlp).fit(X, Y, groups=GROUPS).predict(X), rtol=1e-3)


# Through pipelines, searches and cross-validation


def test_pipelines_and_meta_estimators():
    mlp = plain_regressor(**FAST, hold_out="group")
    alone = clone(mlp).fit(X, Y, groups=GROUPS).predict(X)
    pipeline = make_pipeline(StandardScaler(with_mean=False, with_std=False), mlp)
    np.testing.assert_array_equal(clone(pipeline).fit(X, Y, kerasmlpregressor__groups=GROUPS).predict(X), alone)
    target = TransformedTargetRegressor(clone(mlp)).fit(X, Y, groups=GROUPS)
    np.testing.assert_array_equal(target.predict(X), alone)
    with sklearn.config_context(enable_metadata_routing=True):
        for last in (clone(mlp), clone(mlp).set_fit_request(groups=True)):
            pipeline = make_pipeline(StandardScaler(with_mean=False, with_std=False), last)
            np.testing.assert_array_equal(pipeline.fit(X, Y, groups=GROUPS).predict(X), alone)


def test_what_asks_for_groups_by_itself():
    with sklearn.config_context(enable_metadata_routing=True):
        for estimator in (KerasMLPClassifier, KerasMLPRegressor):
            for hold_out, asks in (("random", False), ("last", False), ("group", True), (GroupShuffleSplit(), True)):
                mlp = estimator(hold_out=hold_out).set_fit_request(sample_weight=True)
                assert mlp.get_metadata_routing().fit.requests["groups"] is asks
                mlp.set_params(hold_out="group")
                assert mlp.get_metadata_routing().fit.requests["groups"] is True
                mlp.set_fit_request(groups=False)
                assert clone(mlp).get_metadata_routing().fit.requests["groups"] is False


@routing
@pytest.mark.parametrize("hold_out", ["group", GroupShuffleSplit(2, random_state=0)], ids=["group", "splitter"])
@pytest.mark.parametrize("piped", [False, True], ids=["bare", "pipeline"])
def test_searches_of_both_kinds_agree(hold_out, piped):
    mlp = plain_regressor(**FAST, hold_out=hold_out, ensemble_size=2)
    grid = {("kerasmlpregressor__" if piped else "") + "learning_rate": [1e-2, 3e-2]}
    with sklearn.config_context(enable_metadata_routing=True):
        estimator = make_pipeline(StandardScaler(), mlp) if piped else mlp
        theirs, *others = (
            search(estimator, grid, cv=GroupKFold(2), **more).fit(X, Y, groups=GROUPS)
            for search, more in (
                (GridSearchCV, {}),
                (PopulationGridSearchCV, {}),
                (PopulationRandomizedSearchCV, {"n_iter": 2, "random_state": 0}),
            )
        )
        for ours in others:
            scores = [np.sort(search.cv_results_["mean_test_score"]) for search in (ours, theirs)]
            np.testing.assert_allclose(*scores, rtol=1e-4)
            np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-3, atol=1e-4)


@routing
def test_a_search_over_ways_to_hold_out():
    grid = {
        "hold_out": ["random", "last", "group", ShuffleSplit(1, random_state=0), GroupShuffleSplit(1, random_state=0)]
    }
    with sklearn.config_context(enable_metadata_routing=True), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The groups parameter is ignored")
        mlp = plain_regressor(**FAST).set_fit_request(groups=True)
        ours, theirs = (
            search(mlp, grid, cv=KFold(2), refit=False, error_score="raise").fit(X, Y, groups=GROUPS)
            for search in (PopulationGridSearchCV, GridSearchCV)
        )
    scores = ours.cv_results_["mean_test_score"]
    np.testing.assert_allclose(scores, theirs.cv_results_["mean_test_score"], rtol=1e-4)
    assert len(np.unique(scores)) == 5


@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite")
def test_without_routing_a_search_keeps_groups_to_itself():
    """scikit-learn takes them for its splitter alone; ours says how they come through."""
    for search in (GridSearchCV, PopulationGridSearchCV):
        grid = {"hold_out": ["random", "group"]}
        with pytest.warns(FitFailedWarning, match="hold_out='group' needs groups.*enable_metadata_routing=True"):
            fitted = search(plain_regressor(**FAST), grid, cv=GroupKFold(2)).fit(X, Y, groups=GROUPS)
        np.testing.assert_array_equal(np.isnan(fitted.cv_results_["mean_test_score"]), [False, True])


@pytest.mark.parametrize("search", [GridSearchCV, PopulationGridSearchCV])
def test_without_routing_a_pipeline_in_a_search_takes_its_own(search):
    pipeline = make_pipeline(StandardScaler(), plain_regressor(**FAST, hold_out="group"))
    grid = {"kerasmlpregressor__dropout": [0.0]}
    search(pipeline, grid, cv=GroupKFold(2)).fit(X, Y, groups=GROUPS, kerasmlpregressor__groups=GROUPS)


def test_cross_validation():
    mlp = plain_regressor(**FAST, hold_out="group")
    with sklearn.config_context(enable_metadata_routing=True):
        settings = {"cv": GroupKFold(2), "params": {"groups": GROUPS}, "return_estimator": True}
        found = cross_validate(mlp, X, Y, **settings)
        assert np.isfinite(found["test_score"]).all()
        random = cross_validate(clone(mlp).set_params(hold_out="random"), X, Y, **settings)  # the splitter's alone
    folds = GroupKFold(2).split(X, Y, GROUPS)
    for (train, _), estimator in zip(folds, found["estimator"], strict=True):
        alone = clone(mlp).fit(X[train], Y[train], groups=GROUPS[train])
        np.testing.assert_array_equal(estimator.predict(X), alone.predict(X))
    assert not np.allclose(random["test_score"], found["test_score"])


def test_time_within_a_search_over_time():
    mlp = plain_regressor(**FAST, hold_out="last", validation_fraction=0.3)
    ours, theirs = (
        search(mlp, {"learning_rate": [1e-2, 3e-2]}, cv=TimeSeriesSplit(2)).fit(X, Y).cv_results_["mean_test_score"]
        for search in (PopulationGridSearchCV, GridSearchCV)
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)
