"""The engine without estimators: against Keras `fit`, and a member of a population against the same fit alone."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from scipy.sparse import csr_array

from sk_mlp._network.build import blueprint_of_spec
from sk_mlp._network.spec import Member, NetworkSpec, Rows
from sk_mlp.engine import cohort
from sk_mlp.engine.cohort import Cohort, cohorts_of, train_cohorts
from sk_mlp.engine.compilable import why_not_compilable
from sk_mlp.engine.keras_population import KerasPopulation
from sk_mlp.engine.last_used import LastUsed
from sk_mlp.engine.padded_widths import narrowed
from sk_mlp.engine.population import CompiledPopulation, DeviceRows, epoch_order
from sk_mlp.engine.program import padded_size, program_for
from sk_mlp.engine.recipe import Parts, Recipe, optimizer_data
from sk_mlp.engine.run import Run
from sk_mlp.engine.train import train
from sk_mlp.engine.variable_groups import ELEMENTWISE
from sk_mlp.schedules import Constant, Cosine

N, VALIDATION = 500, 61  # 439 training rows: the last batch of 32 is partial
RNG = np.random.default_rng(0)
X = RNG.standard_normal((N, 8)).astype(np.float32)
Y = (X[:, :1] * 2 + np.sin(3 * X[:, 1:2]) + 0.3 * RNG.standard_normal((N, 1))).astype(np.float32)
ROWS = Rows(X, Y, np.ones(N, np.float32), np.array([5.0]), np.array([10.0]))


def mae() -> list:
    return [keras.metrics.MeanAbsoluteError(name="mae")]


def make_recipe(
    optimizer="Adam",
    batch_norm=False,
    dropout=0.0,
    shuffle=False,
    metrics=list,
    batch_size=32,
    sizes=(16, 16),
    activation="relu",
    **arguments,
):
    spec = NetworkSpec(8, 1, sizes, activation, batch_norm, dropout > 0, "linear")
    cls = getattr(keras.optimizers, optimizer)
    config = cls(**arguments).get_config()
    for name in ("name", "learning_rate", "weight_decay"):
        del config[name]
    structure = {name: value for name, value in config.items() if name not in optimizer_data(config)}
    traits = (optimizer, json.dumps(structure), metrics, bool(config.get("momentum")))
    loss = keras.losses.MeanSquaredError()
    return Recipe(blueprint_of_spec(spec, 0.5), traits, cls, config, (), loss, metrics, batch_size, shuffle)


def make_member(recipe, seed=0, learning_rate=1e-2, epochs=5, dropout=None, **changes):
    hyper = {"weight_decay": 0.0, **optimizer_data(recipe.optimizer_config)}
    if dropout is not None:
        hyper |= {"dropout/0": dropout, "dropout/1": dropout}
    hyper |= changes.pop("hyper", {})
    weights = changes.pop("weights", None)
    settings = dict(
        seed=seed,
        rows=ROWS if weights is None else dataclasses.replace(ROWS, weights=weights),
        train=np.arange(VALIDATION, N, dtype=np.int32),
        validation=np.arange(VALIDATION, dtype=np.int32),
        learning_rate=learning_rate,
        schedule=Constant(),
        hyper=hyper,
        epochs=epochs,
        patience=None,
        min_delta=0.0,
    )
    return Member(**settings | changes)


def compiled(recipe, members, n_slots=None):
    n_slots = n_slots or len(members)
    population = CompiledPopulation(recipe, DeviceRows(recipe, members), members[0].hyper, n_slots)
    runs = [Run.begin(recipe, member) for member in members]
    train(population, iter(runs))
    return [run.outcome() for run in runs]


def test_weights_that_get_worse_after_the_held_out_rows_have_joined_are_not_kept():
    recipe = make_recipe()
    run = Run.begin(recipe, make_member(recipe, epochs=9, patience=3, schedule=Cosine(), join_below=0.01))
    losses = [0.5, 0.009, 0.005, 0.008, 7.0, 1e9, np.nan]
    improved = [run.update({"loss": loss, "val_loss": loss}) for loss in losses]
    assert improved == [True, True, True, True, False, False, False]
    assert (run.best_epoch, run.stopped_by) == (3, "non-finite")
    assert run.history == {"loss": losses, "val_loss": losses[:2]}
    n_alone, n_joined = N - VALIDATION, N
    assert run.n_rows == 2 * n_alone + 5 * n_joined


def by_keras(recipe, member):
    parts, run = Parts(recipe), Run.begin(recipe, member)
    train(KerasPopulation(parts, recipe, member, []), iter([run]))
    return run.outcome()


@pytest.mark.parametrize(
    ("optimizer", "settings"),
    [
        ("Adam", {}),
        ("Adam", {"batch_norm": True, "metrics": mae}),
        ("Adam", {"global_clipnorm": 0.5}),
        ("Adam", {"beta_1": 0.8, "beta_2": 0.95}),
        ("SGD", {}),
        ("SGD", {"momentum": 0.9}),
        ("SGD", {"momentum": 0.9, "nesterov": True}),
        ("RMSprop", {}),
        ("Nadam", {}),
        ("Adagrad", {}),
    ],
)
def test_losses_equal_those_of_keras_fit(optimizer, settings):
    recipe = make_recipe(optimizer, **settings)
    weights = np.random.default_rng(1).uniform(0.5, 1.5, N).astype(np.float32)
    member = make_member(recipe, weights=weights, hyper={"weight_decay": 0.1})
    (ours,), theirs = compiled(recipe, [member]), by_keras(recipe, member)
    assert set(ours.history) == set(theirs.history) >= {"loss", "val_loss", "learning_rate"}
    for name, values in theirs.history.items():
        assert len(values) == 5
        np.testing.assert_allclose(ours.history[name], values, rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(ours.state.floats, theirs.state.floats, rtol=1e-3, atol=1e-4)


def test_a_member_does_not_depend_on_its_population():
    recipe = make_recipe(batch_norm=True, dropout=0.2, shuffle=True)
    members = [
        make_member(
            recipe,
            seed=m,
            learning_rate=10 ** -(2 + m / 4),
            epochs=2 + m % 3,
            dropout=m / 20,
            train=np.arange(m, N, 2 if m % 2 else 1, dtype=np.int32),
            weights=np.random.default_rng(m).uniform(0.5, 1.5, N).astype(np.float32),
            hyper={"weight_decay": m / 10, "beta_1": 0.8 + m / 100, "1 - beta_1": 0.2 - m / 100},
        )
        for m in range(8)
    ]
    for m, (together, member) in enumerate(zip(compiled(recipe, members), members, strict=True)):
        (alone,) = compiled(recipe, [member])
        assert len(together.history["loss"]) == member.epochs
        for name, values in alone.history.items():
            np.testing.assert_allclose(together.history[name], values, rtol=1e-5, err_msg=f"{name} of member {m}")
        np.testing.assert_allclose(together.state.floats, alone.state.floats, rtol=1e-4, atol=1e-5)


def runs_of_three_lengths(recipe):
    rates = np.geomspace(1e-3, 3e-2, 7)
    return [
        Run.begin(
            recipe, make_member(recipe, seed=m, learning_rate=rate, epochs=[2, 3, 12][m % 3], train=np.arange(m, N))
        )
        for m, rate in enumerate(rates)
    ]


def assert_equal_runs(runs, others):
    for run, other in zip(runs, others, strict=True):
        assert (run.stopped_by, run.epoch, run.best_epoch) == (other.stopped_by, other.epoch, other.best_epoch)
        np.testing.assert_allclose(run.history["loss"], other.history["loss"], rtol=1e-4)
        np.testing.assert_allclose(run.kept.floats, other.kept.floats, rtol=1e-3, atol=1e-4)


@pytest.fixture(scope="module")
def one_by_one():
    recipe = make_recipe(shuffle=True)
    runs = runs_of_three_lengths(recipe)
    train_cohorts([Cohort(recipe, runs)], n_threads=1)
    return runs


@pytest.mark.parametrize("idle_seconds", [0.0, np.inf], ids=["the last ones leave", "to the end"])
def test_more_runs_than_a_program_has_members(one_by_one, monkeypatch, idle_seconds):
    """Runs enter as others end; and the last ones may go on in a program of one member."""
    monkeypatch.setattr(cohort, "IDLE_SECONDS", idle_seconds)
    recipe = make_recipe(shuffle=True)
    runs = runs_of_three_lengths(recipe)
    together = Cohort(recipe, runs)
    together.n_slots = 3
    train_cohorts([together], n_threads=2)
    assert together.n_slots == (1 if idle_seconds == 0 else 3)
    assert_equal_runs(runs, one_by_one)


@pytest.mark.parametrize("n_slots", [1, 3])
def test_results_do_not_depend_on_the_number_of_threads(monkeypatch, n_slots):
    monkeypatch.setattr(cohort, "IDLE_SECONDS", np.inf)  # by time, the last runs may go on in a smaller program
    recipe = make_recipe(shuffle=True)
    results = []
    for n_threads in (1, 3):
        runs = runs_of_three_lengths(recipe)
        together = Cohort(recipe, runs)
        together.n_slots = n_slots
        train_cohorts([together], n_threads=n_threads)
        results.append([run.outcome() for run in runs])
    for one, other in zip(*results, strict=True):
        assert one.history == other.history
        assert one.state.equals(other.state)


def test_runs_pause_and_go_on(one_by_one):
    recipe = make_recipe(shuffle=True)
    runs = runs_of_three_lengths(recipe)
    for until in (1, 5, np.inf):
        for run in runs:
            run.until = until
        train_cohorts([Cohort(recipe, runs)])
        assert all(run.stopped_by or run.epoch == until for run in runs)
    assert_equal_runs(runs, one_by_one)


def test_an_error_in_one_thread_stops_all():
    def report(run):
        raise RuntimeError("enough")

    recipe = make_recipe(shuffle=True)
    runs = runs_of_three_lengths(recipe)
    with pytest.raises(RuntimeError, match="enough"):
        train_cohorts([Cohort(recipe, runs[:4]), Cohort(recipe, runs[4:])], report=report, n_threads=2)
    assert sum(run.epoch for run in runs) <= 2


@pytest.mark.parametrize(
    ("settings", "hyper"),
    [
        ({"batch_norm": True, "dropout": 0.2, "shuffle": True, "activation": "silu"}, {"weight_decay": 0.1}),
        ({"optimizer": "Nadam", "activation": "leaky_relu"}, {}),
        ({"optimizer": "SGD", "momentum": 0.9, "global_clipnorm": 0.5, "activation": "tanh", "metrics": mae}, {}),
    ],
)
def test_a_network_does_not_depend_on_a_wider_one_that_it_trains_with(settings, hyper):
    dropout = settings.get("dropout")
    runs = [
        Run.begin(recipe, make_member(recipe, seed=m, hyper=hyper, dropout=dropout and dropout / (m + 1)))
        for m, recipe in enumerate(make_recipe(**settings, sizes=sizes) for sizes in [(5, 9), (16, 4), (16, 4)])
    ]
    (together,) = cohorts_of(runs)
    assert together.recipe.blueprint.spec.hidden_layer_sizes == (16, 9)
    together.n_slots = 2
    for run in runs:
        run.until = 3
    train_cohorts([together])
    assert all(run.state.finite and run.epoch == 3 for run in runs)
    for run in runs:
        run.until = np.inf
    train_cohorts([together])
    for run in runs:
        trained = run.outcome()
        (alone,) = compiled(run.recipe, [run.member])
        assert alone.layout == trained.layout
        for name, values in alone.history.items():
            np.testing.assert_allclose(trained.history[name], values, rtol=2e-5, err_msg=name)
        np.testing.assert_allclose(trained.state.floats, alone.state.floats, rtol=1e-4, atol=1e-5)


def test_which_networks_train_as_parts_of_a_wider_one():
    def n_cohorts(*sizes, epochs=1, share=1.0, **settings):
        recipes = [make_recipe(**settings, sizes=each) for each in sizes]
        runs = [Run.begin(recipe, make_member(recipe, epochs=epochs, dropout=None)) for recipe in recipes]
        cohorts = cohorts_of(runs, share)
        assert sorted(id(run) for cohort in cohorts for run in cohort.runs) == sorted(map(id, runs))
        return len(cohorts)

    assert n_cohorts((5, 9), (16, 4), (4, 4)) == 1
    assert n_cohorts((5, 9), (16,), ()) == 3, "of different depth"
    assert n_cohorts((5,), (16,), activation="sigmoid") == 2, "0.5 at 0"
    assert n_cohorts((5,), (16,), optimizer="Lamb") == 2, "its rule looks at whole layers"
    assert n_cohorts((5,), (16,), epsilon=0.0) == 2, "0 / 0, for neurons without a gradient"
    assert n_cohorts((4,), (8,), (500,), (510,), epochs=1_000_000) == 4, "much to train"
    assert n_cohorts((4,), (8,), (500,), (510,), epochs=20_000) == 2
    assert n_cohorts((4,), (8,), (500,), (510,), epochs=20_000, share=0.001) == 1


@pytest.mark.parametrize("optimizer", sorted(cls.__name__ for cls in ELEMENTWISE))
def test_a_narrower_network_begins_within_a_wide_one_as_it_begins_alone(optimizer):
    def of_sizes(*sizes):
        spec = NetworkSpec(8, 2, sizes, "selu", True, True, "linear", aux_output=True, parametric_activation=True)
        recipe = make_recipe(optimizer, metrics=mae, use_ema=True, **{"momentum": 0.9} if optimizer == "SGD" else {})
        return dataclasses.replace(recipe, blueprint=blueprint_of_spec(spec, 0.5))

    wide, recipe = Parts(of_sizes(9, 7, 6)), of_sizes(4, 7, 1)
    inside, alone, member = narrowed(wide, recipe), Parts(recipe), make_member(recipe, seed=3)
    assert inside.layout == alone.layout
    assert inside.start(member, None).equals(alone.start(member, None))
    assert wide.layout == Parts(of_sizes(9, 7, 6)).layout, "it has stayed as it was"


@pytest.mark.slow
def test_a_member_of_any_architecture_does_not_depend_on_its_population():
    spec = NetworkSpec(
        n_features=8,
        n_outputs=1,
        hidden_layer_sizes=(16, 16),
        activation="relu",
        batch_norm=True,
        dropout=True,
        output_activation="linear",
        skip_connection=True,
        wide_columns=(0, 1),
        deep_columns=(2, 3, 4, 5),
        aux_output=True,
    )
    recipe = dataclasses.replace(
        make_recipe(batch_norm=True, dropout=0.2, shuffle=True, metrics=mae),
        blueprint=blueprint_of_spec(spec, 0.5),
        row_nonzeros=8,
        frozen=(0, 1),
    )
    rows = dataclasses.replace(ROWS, X=csr_array(np.where(np.abs(X) > 1, X, 0)))
    kernel = np.random.default_rng(1).standard_normal((4, 16)).astype(np.float32)
    members = [
        make_member(
            recipe,
            seed=m,
            dropout=0.1 * m,
            epochs=3 - m % 2,
            hyper={"aux_loss_weight": 0.1 + 0.3 * m},
            frozen_epochs=[0, 1, np.inf][m],
            initial={0: kernel * (m + 1)},
            rows=rows,
        )
        for m in range(3)
    ]
    population = compiled(recipe, members)
    for m, (together, member) in enumerate(zip(population, members, strict=True)):
        (alone,) = compiled(recipe, [member])
        assert {"loss", "output_loss", "aux_output_loss", "val_aux_output_loss", "mae"} < set(alone.history)
        for name, values in alone.history.items():
            np.testing.assert_allclose(together.history[name], values, rtol=1e-4, err_msg=f"{name} of member {m}")
        np.testing.assert_allclose(together.state.floats, alone.state.floats, rtol=1e-3, atol=1e-4)
        first = together.layout.unpack(together.state)[0]
        assert np.array_equal(first, kernel * (m + 1)) == (m == 2), "the last one is frozen"


def test_a_diverging_member_does_not_disturb_its_neighbour():
    recipe = make_recipe("SGD", shuffle=True)
    good, bad = make_member(recipe, learning_rate=1e-2), make_member(recipe, seed=1, learning_rate=1e8)
    ours, theirs = compiled(recipe, [good, bad])
    assert theirs.stopped_by == "non-finite"
    assert theirs.state.finite
    (alone,) = compiled(recipe, [good])
    np.testing.assert_allclose(ours.history["val_loss"], alone.history["val_loss"], rtol=1e-5)


BY_MEMBER = [  # rows to train on, rows to hold out; the rest belongs to nobody, and row 0 too
    (np.arange(10, 211), np.arange(300, 361)),
    (np.arange(60, 140), np.arange(300, 330)),  # has fewer batches than the others
    (np.arange(100, 300), np.arange(0)),
]


def rows_with_filler(filler, member, is_sparse):
    """Rows, of which those that the member does not use hold the filler in X, y and weights."""
    unused = np.setdiff1d(np.arange(N), np.concatenate([member.train, member.validation]))
    x, y, weights = np.where(np.abs(X) > 0.5, X, 0) if is_sparse else X.copy(), Y.copy(), np.ones(N, np.float32)
    for array in (x, y, weights):
        array[unused] = filler
    return dataclasses.replace(ROWS, X=csr_array(x) if is_sparse else x, y=y, weights=weights)


@pytest.mark.parametrize("filler", [np.nan, np.inf, 3e38])
@pytest.mark.parametrize(("together", "is_sparse"), [(False, False), (True, False), (False, True)])
def test_a_row_that_a_member_does_not_use_changes_nothing(filler, together, is_sparse):
    recipe = make_recipe(batch_norm=True, shuffle=True, metrics=mae)
    if is_sparse:
        recipe = dataclasses.replace(recipe, row_nonzeros=8, traits=(*recipe.traits, "sparse"))

    def results(filler):
        members = [
            make_member(recipe, seed=m, epochs=2, train=train.astype(np.int32), validation=held_out.astype(np.int32))
            for m, (train, held_out) in enumerate(BY_MEMBER)
        ]
        members = [dataclasses.replace(one, rows=rows_with_filler(filler, one, is_sparse)) for one in members]
        if together:
            return compiled(recipe, members, n_slots=4)  # one of which is empty
        return [outcome for member in members for outcome in compiled(recipe, [member])]

    for one, other in zip(results(0.0), results(filler), strict=True):
        assert one.stopped_by == "epochs"
        assert one.history == other.history
        assert one.state.equals(other.state)


def test_the_same_seed_gives_bitwise_the_same_model():
    recipe = make_recipe(dropout=0.2, shuffle=True)
    (first,), (second,) = (compiled(recipe, [make_member(recipe, seed=3, dropout=0.2)]) for _ in range(2))
    (other,) = compiled(recipe, [make_member(recipe, seed=4, dropout=0.2)])
    assert first.state.equals(second.state)
    assert not first.state.equals(other.state)


def test_dropout_rate_is_data_and_acts():
    recipe = make_recipe(dropout=0.5, shuffle=True)
    losses = [compiled(recipe, [make_member(recipe, dropout=rate)])[0].history["loss"][-1] for rate in (0.0, 0.1, 0.6)]
    assert losses[0] < losses[1] < losses[2]
    (none,) = compiled(make_recipe(shuffle=True), [make_member(recipe)])
    np.testing.assert_allclose(losses[0], none.history["loss"][-1], rtol=1e-5)


def test_programs_are_shared_by_structure():
    cache = LastUsed(size=2)
    first, second = make_recipe(), make_recipe(beta_1=0.5)
    names = tuple(make_member(first).hyper)
    program = program_for(cache, first, names, 1)
    assert program_for(cache, second, names, 1) is program
    assert program_for(cache, first, names, 2) is not program
    assert program_for(cache, make_recipe(batch_size=64), names, 1) is not program
    assert program_for(cache, first, names, 1) is not program, "the cache is bounded"


def test_padded_size_takes_few_values_and_little_memory():
    sizes = [padded_size(n) for n in range(1, 100_000)]
    assert all(size >= n for n, size in enumerate(sizes, start=1))
    assert len(set(sizes)) < 60
    assert all(size <= n * 1.13 for n, size in enumerate(sizes, start=1) if n > 4096)


def test_epoch_order_is_a_permutation_that_depends_on_seed_and_epoch():
    member = make_member(make_recipe(), seed=5)
    first, second = (epoch_order(member, epoch, shuffle=True) for epoch in (0, 1))
    assert sorted(first) == sorted(second) == member.train.tolist()
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, epoch_order(member, 0, shuffle=True))
    np.testing.assert_array_equal(epoch_order(member, 0, shuffle=False), member.train)


def losses(*validation, training=None):
    training = training or validation
    return [{"val_loss": float(v), "loss": float(t)} for v, t in zip(validation, training, strict=True)]


def run_rule(member, logs):
    run = Run.begin(make_recipe(), member)
    for figures in logs:
        run.update(figures)
        if run.stopped_by:
            return run.stopped_by, run.best_epoch, run.epoch
    raise AssertionError("the run never stopped")


@pytest.mark.parametrize(
    ("changes", "logs", "expected"),
    [
        ({"patience": 2}, losses(3, 2, 2.5, 2.1, 1), ("patience", 1, 4)),
        ({"patience": 2, "min_delta": 0.5}, losses(3, 2.8, 2.6, 1), ("patience", 0, 3)),
        ({"patience": 9, "epochs": 3}, losses(3, 2, 2.5), ("epochs", 1, 3)),
        ({"patience": None, "epochs": 3}, losses(3, 2, 2.5), ("epochs", 2, 3)),
        ({"patience": 9, "ideal": 0.0}, losses(3, 0.0, 1), ("perfect", 1, 2)),
        ({"patience": 9}, losses(3, np.nan, 1), ("non-finite", 0, 2)),
        ({"patience": None}, losses(1, 1, training=[1, np.inf]), ("non-finite", 0, 2)),
        ({"patience": None}, losses(np.inf), ("non-finite", -1, 1)),
    ],
)
def test_stop_rule(changes, logs, expected):
    assert run_rule(make_member(make_recipe(), epochs=changes.pop("epochs", 99), **changes), logs) == expected


def test_what_the_compiled_engine_leaves_to_keras():
    recipe = make_recipe()
    quiet = keras.callbacks.ModelCheckpoint("x.keras")
    busy = keras.callbacks.ModelCheckpoint("x.keras", save_freq=10)
    assert why_not_compilable(recipe, [quiet, keras.callbacks.EarlyStopping()]) is None
    assert "ModelCheckpoint" in why_not_compilable(recipe, [quiet, busy])
    assert "loss_scale_factor" in why_not_compilable(make_recipe(loss_scale_factor=2.0), [])
