"""Keras callbacks with both engines: they see the model in training, and what they do to it takes effect."""

import keras
import numpy as np
import pytest
from plain import plain_classifier, plain_regressor
from sklearn.base import clone
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import GridSearchCV

from sk_mlp import NotCompilableError

RNG = np.random.default_rng(0)
X = RNG.standard_normal((120, 4))
TARGET = 5e3 + 1e3 * (X @ [1.0, -2.0, 3.0, 0.5] + RNG.standard_normal(120))
LABELS = np.where(TARGET > 5e3, "high", "low")
SPLIT = {"X": X[30:], "y": TARGET[30:], "X_val": X[:30], "y_val": TARGET[:30]}
ESTIMATORS = [(plain_regressor, TARGET), (plain_classifier, LABELS)]

both_engines = pytest.mark.parametrize("engine", ["compiled", "keras"])
pytestmark = pytest.mark.usefixtures("no_xla")


def regressor(**params):
    return plain_regressor(**{"hidden_layer_sizes": (8,), "epochs": 3, "random_state": 0, **params})


def classifier(**params):
    return plain_classifier(**{"hidden_layer_sizes": (8,), "epochs": 3, "random_state": 0, **params})


class Recorder(keras.callbacks.Callback):
    """Note every event of epochs; the notes survive the deep copy that a fit makes."""

    notes: list = []

    def on_train_begin(self, logs=None):
        self.notes.append(("train begins", dict(self.params), logs))

    def on_epoch_begin(self, epoch, logs=None):
        self.notes.append(("epoch begins", epoch, logs))

    def on_epoch_end(self, epoch, logs=None):
        self.notes.append(("epoch ends", epoch, dict(logs)))

    def on_train_end(self, logs=None):
        self.notes.append(("train ends", None, logs))


class BatchRecorder(keras.callbacks.Callback):
    notes: list = []

    def on_train_batch_begin(self, batch, logs=None):
        self.notes.append(("batch begins", batch))

    def on_train_batch_end(self, batch, logs=None):
        self.notes.append(("batch ends", batch, sorted(logs)))


@pytest.fixture(autouse=True)
def no_notes():
    Recorder.notes.clear()
    BatchRecorder.notes.clear()


# What a callback sees


@both_engines
def test_events_and_logs(engine):
    mlp = regressor(callbacks=[Recorder()], metrics=[keras.metrics.MeanAbsoluteError(name="mae")], engine=engine)
    mlp.fit(X, TARGET)
    notes = Recorder.notes
    events = ["train begins", *["epoch begins", "epoch ends"] * 3, "train ends"]
    assert [note[0] for note in notes] == events
    assert [note[1] for note in notes if note[0].startswith("epoch")] == [0, 0, 1, 1, 2, 2]
    assert notes[0][1]["epochs"] == 3
    assert notes[0][1]["steps"] == 4
    logs = [note[2] for note in notes if note[0] == "epoch ends"]
    assert {name: [log[name] for log in logs] for name in logs[0]} == mlp.history_
    assert set(logs[0]) == {"loss", "mae", "val_loss", "val_mae", "learning_rate"}


def test_engines_tell_callbacks_the_same():
    for engine in ("compiled", "keras"):
        regressor(callbacks=[Recorder()], engine=engine).fit(**SPLIT)
    logs = [list(note[2].values()) for note in Recorder.notes if note[0] == "epoch ends"]
    np.testing.assert_allclose(logs[:3], logs[3:], rtol=1e-4)


class ErrorOfTheModel(keras.callbacks.Callback):
    errors: list = []

    def on_epoch_end(self, epoch, logs=None):
        predicted = np.asarray(self.model(X[:30].astype(np.float32)))[:, 0]
        self.errors.append(mean_squared_error(TARGET[:30], predicted))


@both_engines
def test_model_is_that_of_the_present_epoch_and_in_units(engine):
    ErrorOfTheModel.errors.clear()
    mlp = regressor(callbacks=[ErrorOfTheModel()], learning_rate=0.05, engine=engine).fit(**SPLIT)
    np.testing.assert_allclose(
        np.array(ErrorOfTheModel.errors) / TARGET[30:].var(), mlp.history_["val_loss"], rtol=1e-4
    )


def test_epochs_of_partial_fit_are_numbered_on():
    mlp = regressor(callbacks=[Recorder()])
    for _ in range(2):
        mlp.partial_fit(X, TARGET)
    assert [note[1] for note in Recorder.notes if note[0] == "epoch ends"] == [0, 1]


# Stock callbacks


@both_engines
def test_early_stopping_with_restored_weights(engine):
    params = {"learning_rate": 0.3, "epochs": 40 if engine == "compiled" else 8, "engine": engine}
    stop = keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True)
    mlp = regressor(**params, early_stopping=False, callbacks=[stop]).fit(**SPLIT)
    own = regressor(**params, early_stopping=True, patience=2).fit(**SPLIT)
    assert mlp.n_iter_ == own.n_iter_ < params["epochs"]
    assert mlp.history_["val_loss"] == own.history_["val_loss"]
    np.testing.assert_array_equal(mlp.predict(X), own.predict(X))


@both_engines
def test_restored_weights_are_averages_where_they_are_taken(engine):
    params = {"learning_rate": 0.3, "epochs": 8, "engine": engine, "ema_momentum": 0.8}
    stop = keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True)
    mlp = regressor(**params, early_stopping=False, callbacks=[stop]).fit(**SPLIT)
    own = regressor(**params, early_stopping=True, patience=2).fit(**SPLIT)
    np.testing.assert_allclose(mlp.history_["val_loss"], own.history_["val_loss"], rtol=1e-6)
    np.testing.assert_allclose(mlp.predict(X), own.predict(X), rtol=1e-5)
    assert mlp.best_epoch_ < mlp.n_iter_ - 1


def test_best_epoch_is_that_of_the_restored_weights():
    stop = keras.callbacks.EarlyStopping(patience=2, restore_best_weights=True)
    mlp = regressor(learning_rate=0.3, epochs=40, early_stopping=False, callbacks=[stop]).fit(**SPLIT)
    assert mlp.best_epoch_ == np.argmin(mlp.history_["val_loss"]) < mlp.n_iter_ - 1


def test_early_stopping_without_restored_weights():
    params = {"learning_rate": 0.3, "early_stopping": False}
    stop = keras.callbacks.EarlyStopping(patience=2)
    mlp = regressor(**params, epochs=40, callbacks=[stop]).fit(**SPLIT)
    assert mlp.n_iter_ < 40
    assert mlp.best_epoch_ == mlp.n_iter_ - 1
    last = regressor(**params, epochs=mlp.n_iter_).fit(**SPLIT)
    np.testing.assert_array_equal(mlp.predict(X), last.predict(X))


@both_engines
def test_reduce_learning_rate_on_plateau(engine):
    reduce = keras.callbacks.ReduceLROnPlateau(monitor="loss", factor=0.5, patience=1, min_delta=100, min_lr=2e-3)
    mlp = regressor(learning_rate=0.01, epochs=6, callbacks=[reduce], engine=engine, early_stopping=False)
    mlp.fit(X, TARGET)
    rates = [0.01, 0.01, 0.005, 0.0025, 0.002, 0.002]
    np.testing.assert_allclose(mlp.history_["learning_rate"], rates, rtol=1e-6)
    if engine == "keras":
        return
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch: rates[epoch])
    scheduled = regressor(epochs=6, callbacks=[schedule], engine=engine, early_stopping=False).fit(X, TARGET)
    np.testing.assert_allclose(mlp.predict(X), scheduled.predict(X), rtol=1e-6)


@both_engines
def test_learning_rate_scheduler(engine):
    decay = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5)
    mlp = regressor(learning_rate=0.02, callbacks=[decay], engine=engine).fit(X, TARGET)
    np.testing.assert_allclose(mlp.history_["learning_rate"], [0.01, 0.005, 0.0025], rtol=1e-6)


def test_scheduled_constant_is_the_learning_rate():
    constant = keras.callbacks.LearningRateScheduler(lambda epoch: 0.02)
    mlp = regressor(learning_rate=0.5, callbacks=[constant]).fit(X, TARGET)
    np.testing.assert_allclose(mlp.predict(X), regressor(learning_rate=0.02).fit(X, TARGET).predict(X), rtol=1e-6)


MSE = keras.metrics.MeanSquaredError(name="mse")


@pytest.mark.parametrize(("engine", "metrics"), [("compiled", None), ("compiled", [MSE]), ("keras", [MSE])])
@pytest.mark.parametrize(("estimator", "y"), ESTIMATORS)
def test_model_checkpoint(estimator, y, metrics, engine, tmp_path):
    path = tmp_path / "best.keras"
    checkpoint = keras.callbacks.ModelCheckpoint(path, save_best_only=True)
    mlp = estimator(hidden_layer_sizes=(8,), epochs=4, learning_rate=0.3, random_state=0, engine=engine)
    mlp.set_params(callbacks=[checkpoint], metrics=metrics).fit(X, y)
    output = keras.models.load_model(path).predict(X, verbose=0)[:, 0]
    expected = mlp.predict(X) if estimator is plain_regressor else mlp.predict_proba(X)[:, 1]
    np.testing.assert_allclose(output, expected, rtol=1e-5)


def test_model_checkpoint_of_every_epoch(tmp_path):
    checkpoint = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch:02d}-{val_loss:.3f}.keras")
    mlp = regressor(callbacks=[checkpoint]).fit(X, TARGET)
    names = [f"{epoch:02d}-{loss:.3f}.keras" for epoch, loss in enumerate(mlp.history_["val_loss"], start=1)]
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_model_checkpoint_of_weights(tmp_path):
    path = tmp_path / "last.weights.h5"
    checkpoint = keras.callbacks.ModelCheckpoint(path, save_weights_only=True)
    mlp = regressor(callbacks=[checkpoint], early_stopping=False).fit(X, TARGET)
    model = keras.models.clone_model(mlp.model_)
    model.load_weights(path)
    np.testing.assert_allclose(model.predict(X, verbose=0)[:, 0], mlp.predict(X), rtol=1e-5)


def own_loss(y_true, y_pred):
    return keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)


def test_model_checkpoint_with_an_own_loss(tmp_path):
    path = tmp_path / "last.keras"
    checkpoint = keras.callbacks.ModelCheckpoint(path)
    mlp = regressor(callbacks=[checkpoint], loss=own_loss, early_stopping=False).fit(X, TARGET)
    model = keras.models.load_model(path, compile=False)
    np.testing.assert_allclose(model.predict(X, verbose=0)[:, 0], mlp.predict(X), rtol=1e-5)


@both_engines
@pytest.mark.parametrize("arguments", [{}, {"histogram_freq": 1}, {"update_freq": "batch"}], ids=str)
def test_tensorboard(arguments, engine, tmp_path):
    pytest.importorskip("tensorboard")
    mlp = regressor(callbacks=[keras.callbacks.TensorBoard(tmp_path, **arguments)], engine=engine)
    if engine == "compiled" and "update_freq" in arguments:
        with pytest.raises(NotCompilableError, match="TensorBoard"):
            mlp.fit(X, TARGET)
        return
    mlp.fit(X, TARGET)
    for part in ("train", "validation"):
        (events,) = tmp_path.glob(f"fit-*/{part}/events.out.tfevents.*")
        assert events.read_bytes().count(b"epoch_loss") >= 3
    (events,) = tmp_path.glob("fit-*/train/events.out.tfevents.*")
    assert (b"/histogram" in events.read_bytes()) == ("histogram_freq" in arguments)


def test_tensorboard_has_a_folder_for_each_fit_of_a_search(tmp_path):
    pytest.importorskip("tensorboard")
    mlp = regressor(callbacks=[keras.callbacks.TensorBoard(tmp_path)])
    GridSearchCV(mlp, {"learning_rate": [1e-3, 1e-2]}, cv=2).fit(X, TARGET)
    mlp.fit(X, TARGET)
    assert len([folder for folder in tmp_path.iterdir() if list(folder.glob("validation/events*"))]) == 2 * 2 + 1 + 1
    assert mlp.callbacks[0].log_dir == str(tmp_path)


@both_engines
def test_csv_logger(engine, tmp_path):
    path = tmp_path / "log.csv"
    mlp = regressor(callbacks=[keras.callbacks.CSVLogger(path)], engine=engine).fit(X, TARGET)
    table = np.genfromtxt(path, delimiter=",", names=True)
    assert table.dtype.names == ("epoch", "learning_rate", "loss", "val_loss")
    np.testing.assert_allclose(table["val_loss"], mlp.history_["val_loss"], rtol=1e-6)


@both_engines
def test_backup_and_restore(engine, tmp_path):
    mlp = regressor(callbacks=[keras.callbacks.BackupAndRestore(tmp_path / "backup")], engine=engine)
    np.testing.assert_array_equal(mlp.fit(X, TARGET).predict(X), regressor(engine=engine).fit(X, TARGET).predict(X))


def test_terminate_on_nan():
    mlp = regressor(callbacks=[keras.callbacks.TerminateOnNaN()]).fit(X, TARGET)
    assert mlp.n_iter_ == 3


# Callbacks of the user's own


class SetWeights(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            self.model.set_weights([np.full_like(weights, 0.25) for weights in self.model.get_weights()])


@both_engines
def test_weights_that_a_callback_sets_are_trained_on(engine):
    mlp = regressor(callbacks=[SetWeights()], engine=engine, epochs=2, early_stopping=False).fit(X, TARGET)
    hidden = np.maximum(X.sum(axis=1, keepdims=True) * 0.25 + 0.25, 0) * np.ones(8)
    expected = (hidden.sum(axis=1) * 0.25 + 0.25) * TARGET.std() + TARGET.mean()
    np.testing.assert_allclose(mlp.predict(X), expected, rtol=1e-5)
    np.testing.assert_allclose(mlp.model_.predict(X, verbose=0)[:, 0], expected, rtol=1e-5)
    on = regressor(callbacks=[SetWeights()], engine=engine, epochs=3, early_stopping=False).fit(X, TARGET)
    assert np.abs(on.predict(X) - expected).max() < 2 * TARGET.std()


class StopAtOnce(keras.callbacks.Callback):
    def __init__(self, event):
        super().__init__()
        self.event = event

    def on_epoch_begin(self, epoch, logs=None):
        self.model.stop_training |= self.event == "begin" and epoch == 1

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training |= self.event == "end" and epoch == 1


@pytest.mark.parametrize(("estimator", "y"), ESTIMATORS)
@both_engines
@pytest.mark.parametrize("event", ["begin", "end"])
def test_callback_that_stops(event, engine, estimator, y):
    mlp = estimator(hidden_layer_sizes=(8,), epochs=5, random_state=0, engine=engine, callbacks=[StopAtOnce(event)])
    assert mlp.fit(X, y).n_iter_ == 2


class StopAtBatch(BatchRecorder):
    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, logs)
        if batch == 1:
            self.model.stop_training = True


@pytest.mark.parametrize(("estimator", "y"), ESTIMATORS)
def test_callback_that_stops_in_an_epoch(estimator, y):
    mlp = estimator(hidden_layer_sizes=(8,), epochs=5, random_state=0, callbacks=[StopAtBatch()]).fit(X, y)
    assert mlp.n_iter_ == 1
    assert [note[1] for note in BatchRecorder.notes if note[0] == "batch ends"] == [0, 1]


# How callbacks are given


def patient(**params):
    """A regressor that a callback of patience 2 stops after 3 epochs."""
    return regressor(early_stopping=False, epochs=9, **params)


STOP = {"monitor": "loss", "min_delta": 1e6}


@pytest.mark.parametrize(
    "params",
    [
        {"callbacks": [keras.callbacks.EarlyStopping(patience=2, **STOP)]},
        {"callbacks": keras.callbacks.EarlyStopping(patience=2, **STOP)},
        {"callbacks": (keras.callbacks.EarlyStopping(patience=2, **STOP),)},
        {"callbacks": {"stop": keras.callbacks.EarlyStopping(patience=2, **STOP)}},
        {"callbacks": keras.callbacks.EarlyStopping, "callbacks__patience": 2},
        {"callbacks": [keras.callbacks.EarlyStopping], "callbacks__patience": np.int64(2)},
        {"callbacks": [keras.callbacks.EarlyStopping], "callbacks__0__patience": 2},
        {"callbacks": {"stop": keras.callbacks.EarlyStopping}, "callbacks__stop__patience": 2},
        {"callbacks": [Recorder, keras.callbacks.EarlyStopping], "callbacks__1__patience": 2},
    ],
    ids=["list", "object", "tuple", "dict", "class", "list of class", "by number", "by name", "two"],
)
def test_forms_of_callbacks(params):
    prefixes = [name.removesuffix("patience") for name in params if name.endswith("patience")]
    params = {**params, **{prefix + name: value for prefix in prefixes for name, value in STOP.items()}}
    assert patient(**params).fit(X, TARGET).n_iter_ == 3


def test_routed_arguments_can_be_searched():
    mlp = patient(callbacks=[keras.callbacks.EarlyStopping], callbacks__monitor="loss", callbacks__min_delta=1e6)
    counts = [clone(mlp).set_params(callbacks__patience=n).fit(X, TARGET).n_iter_ for n in (1, 2, 4)]
    assert counts == [2, 3, 5]


def test_each_fit_has_its_own_copy():
    stop = keras.callbacks.EarlyStopping(patience=2, **STOP)
    before = dict(vars(stop))
    mlp = patient(callbacks=[stop])
    first = mlp.fit(X, TARGET)
    assert (first.n_iter_, vars(stop)) == (3, before)
    assert stop.model is None
    assert mlp.fit(X, -TARGET).n_iter_ == 3  # nothing is carried over from the fit before
    assert clone(mlp).fit(X, TARGET).n_iter_ == 3


# Which engine


@pytest.mark.parametrize("callback", [BatchRecorder()], ids=["own"])
def test_batch_callbacks_need_keras(callback, capsys):
    name = type(callback).__name__
    with pytest.raises(NotCompilableError, match=f"engine='compiled' cannot train this: .*{name}.* at every batch"):
        regressor(callbacks=[callback], engine="compiled").fit(X, TARGET)
    regressor(callbacks=[callback]).fit(X, TARGET)
    assert capsys.readouterr().out == ""
    regressor(callbacks=[callback], verbose=1).fit(X, TARGET)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.endswith(f"(engine='keras', because the callback {name} wants to be called at every batch)")


@pytest.mark.parametrize("engine", ["auto", "keras"])
def test_batch_callback_is_called_for_every_batch(engine):
    mlp = regressor(callbacks=[BatchRecorder()], engine=engine, early_stopping=False).fit(X, TARGET)
    batches = [note for batch in range(4) for note in (("batch begins", batch), ("batch ends", batch, ["loss"]))]
    assert BatchRecorder.notes == batches * 3
    same = regressor(engine="keras", early_stopping=False).fit(X, TARGET)
    np.testing.assert_array_equal(mlp.predict(X), same.predict(X))


def test_lambda_callback_of_batches():
    batches = []
    callback = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: batches.append(batch))
    with pytest.raises(NotCompilableError, match="LambdaCallback"):
        regressor(callbacks=[callback], engine="compiled").fit(X, TARGET)
    regressor(callbacks=[callback], early_stopping=False).fit(X, TARGET)
    assert batches == [0, 1, 2, 3] * 3


def test_lambda_callback_of_epochs():
    losses = []
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: losses.append(logs["loss"]))
    mlp = regressor(callbacks=[callback], engine="compiled").fit(X, TARGET)
    assert losses == mlp.history_["loss"]


class EvaluationRecorder(BatchRecorder):
    def on_test_begin(self, logs=None):
        self.notes.append("evaluation begins")

    def on_test_batch_end(self, batch, logs=None):
        self.notes.append(("evaluation batch", batch))

    def on_test_end(self, logs=None):
        self.notes.append("evaluation ends")


def test_evaluation_events_reach_a_callback():
    regressor(callbacks=[EvaluationRecorder()], epochs=1).fit(X, TARGET)
    assert BatchRecorder.notes.count("evaluation begins") == 1
    assert BatchRecorder.notes.count("evaluation ends") == 1
    assert ("evaluation batch", 0) in BatchRecorder.notes


def test_epoch_callbacks_are_compiled(capsys):
    callbacks = [keras.callbacks.EarlyStopping(), keras.callbacks.ReduceLROnPlateau(), Recorder()]
    regressor(callbacks=callbacks, verbose=1).fit(X, TARGET)
    assert "keras" not in capsys.readouterr().out
