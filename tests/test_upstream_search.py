"""scikit-learn's own tests of its searches, of our population searches; estimators are scikit-learn's."""

import joblib
import pytest
from upstream import global_random_seed, run_with, without  # noqa: F401

from sk_mlp.model_selection import PopulationGridSearchCV, PopulationRandomizedSearchCV

pytestmark = pytest.mark.filterwarnings("default")  # as scikit-learn's own configuration has it

OTHER_TASKS = "counts tasks of scikit-learn's callbacks: training is one of its own, tests/test_sklearn_callbacks.py"
deselection = without(
    {
        "test_search_callbacks_no_propagation": OTHER_TASKS,
        "test_search_callbacks_propagation": OTHER_TASKS,
        "test_search_callbacks_with_partial_fit_failures": OTHER_TASKS,
    }
)


@pytest.fixture(autouse=True)
def threads():
    """Where a test asks for several jobs: each process would import TensorFlow first."""
    with joblib.parallel_config(backend="threading"):
        yield


run_with(
    "sklearn.model_selection.tests.test_search",
    {"GridSearchCV": PopulationGridSearchCV, "RandomizedSearchCV": PopulationRandomizedSearchCV},
    globals(),
)
