"""The form of y and of the output that each of Keras' metrics is defined for."""

import inspect
from typing import Any

from sk_mlp._keras.inner import to_snake_case
from sk_mlp.losses import function_of

# The form that each metric of Keras is defined for, by the names of its class and function.
# - "columns": 0 and 1, and probabilities, by column: that of class 1 for two classes, of each class for more, of each
#   label for several.
# - "one-hot": a column a class, two for two classes. No layout for several labels.
# - "numbers": numbers of the classes, and a column of probabilities a class. Not for several labels.
# - "rows": as "one-hot", or a column a label, for metrics that compare whole rows.
# - "labels": true and predicted numbers of classes, or 0 and 1 for each of several labels.
# - "decided": as "rows", with what is predicted: the more probable of two classes, or labels above the threshold.
# - "overlap": as "labels" or "one-hot", whichever the metric is set to.
# - "none": for no classes.
FORMS = {
    **dict.fromkeys(["accuracy"], "labels"),
    **dict.fromkeys(
        [
            "categorical_accuracy",
            "categorical_crossentropy",
            "categorical_focal_crossentropy",
            "categorical_hinge",
            "kl_divergence",
            "top_k_categorical_accuracy",
        ],
        "one-hot",
    ),
    **dict.fromkeys(
        [
            "categorical_generalized_cross_entropy",
            "sparse_categorical_accuracy",
            "sparse_categorical_crossentropy",
            "sparse_top_k_categorical_accuracy",
        ],
        "numbers",
    ),
    **dict.fromkeys(
        [
            "auc",
            "binary_accuracy",
            "false_negatives",
            "false_positives",
            "precision",
            "precision_at_recall",
            "recall",
            "recall_at_precision",
            "sensitivity_at_specificity",
            "specificity_at_sensitivity",
            "true_negatives",
            "true_positives",
        ],
        "columns",
    ),
    **dict.fromkeys(
        [
            "binary_crossentropy",
            "binary_focal_crossentropy",
            "hinge",
            "huber",
            "log_cosh",
            "log_cosh_error",
            "mean_absolute_error",
            "mean_squared_error",
            "mean_squared_logarithmic_error",
            "poisson",
            "r2_score",
            "root_mean_squared_error",
            "squared_hinge",
        ],
        "columns",
    ),
    **dict.fromkeys(["concordance_correlation", "cosine_similarity", "pearson_correlation"], "rows"),
    **dict.fromkeys(["f1_score", "f_beta_score"], "decided"),
    **dict.fromkeys(["io_u", "mean_io_u", "one_hot_io_u", "one_hot_mean_io_u", "binary_io_u"], "overlap"),
    **dict.fromkeys(["mean_absolute_percentage_error"], "none"),
}
# Metrics of these that also mean something for numbers, as in regression.
OF_NUMBERS = {
    "binary_crossentropy",
    "concordance_correlation",
    "cosine_similarity",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "log_cosh_error",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "pearson_correlation",
    "poisson",
    "r2_score",
    "root_mean_squared_error",
    "squared_hinge",
}
OF_SEVERAL_NUMBERS = {"concordance_correlation", "cosine_similarity", "kl_divergence", "pearson_correlation"}


def keras_name(metric: Any) -> str | None:
    """Name of the class or function of Keras that a metric is, or derives from; None for a user's own."""
    function = function_of(metric)
    if inspect.isfunction(function) and str(function.__module__).startswith("keras."):
        return function.__name__ if function.__name__ in FORMS else None
    for cls in type(metric).__mro__:
        if cls.__module__.startswith("keras.") and to_snake_case(cls.__name__) in FORMS:
            return to_snake_case(cls.__name__)
    return None
