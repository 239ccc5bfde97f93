"""What the compiled engine cannot run, known before it tries."""

import keras

from sk_mlp.engine.recipe import Recipe, has_data

BATCH_EVENTS = (
    "on_batch_begin",
    "on_batch_end",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_test_begin",
    "on_test_end",
    "on_test_batch_begin",
    "on_test_batch_end",
)
# Keras' own callbacks with methods for batches that do nothing while this holds.
WITHOUT_BATCHES = {
    keras.callbacks.BackupAndRestore: lambda callback: callback.save_freq == "epoch",
    keras.callbacks.ModelCheckpoint: lambda callback: callback.save_freq == "epoch",
    keras.callbacks.TensorBoard: lambda callback: callback.update_freq == "epoch" and not callback._stop_batch,
}
# Keras' optimizers that only apply their rule in `fit`; others keep two sets of weights or look at whole matrices.
RULES = {
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "Lamb",
    "Lion",
    "Nadam",
    "RMSprop",
    "SGD",
}
STEPS = ("train_step", "test_step", "compute_loss", "compute_metrics")  # of a model, which Keras' `fit` calls
# Settings of an optimizer that make Keras' `fit` do more than apply the rule.
OUTSIDE_THE_RULE = ("ema_overwrite_frequency", "gradient_accumulation_steps", "loss_scale_factor")


def wants_batches(callback: keras.callbacks.Callback) -> bool:
    """Whether a callback acts at batches or evaluations: the compiled engine sends no events of these."""
    for cls, is_quiet in WITHOUT_BATCHES.items():
        if type(callback) is cls:
            return not is_quiet(callback)
    methods = {event: getattr(callback, event) for event in BATCH_EVENTS}
    return any(
        getattr(method, "__func__", None) is not getattr(keras.callbacks.Callback, event)
        for event, method in methods.items()
    )


def why_not_compilable(recipe: Recipe, callbacks: list[keras.callbacks.Callback]) -> str | None:
    """The reason why a fit needs Keras' own `fit`, or None."""
    for callback in callbacks:
        if wants_batches(callback):
            return f"the callback {type(callback).__name__} wants to be called at every batch"
    if recipe.metric_of_whole_batches:
        return f"the metric {recipe.metric_of_whole_batches!r} needs whole batches, which are filled up with other rows"
    for name in STEPS:
        method = getattr(type(recipe.blueprint.sample), name, None)
        if method and not str(method.__module__).startswith("keras."):
            return f"the model's own {name} needs Keras' fit"
    optimizer = recipe.optimizer_class
    if has_data(optimizer) and optimizer.__name__ not in RULES:
        return f"the optimizer {optimizer.__name__} needs Keras' fit"
    for name in OUTSIDE_THE_RULE:
        if recipe.optimizer_config.get(name):
            return f"optimizer__{name}={recipe.optimizer_config[name]!r} needs Keras' fit"
    if recipe.loss.reduction not in ("sum_over_batch_size", "mean"):
        return f"the loss's reduction {recipe.loss.reduction!r} needs Keras' fit"
    return None
