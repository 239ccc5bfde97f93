"""Learning rates over time."""

import numpy as np
import pytest

from sk_mlp.schedules import Plateau, resolve_schedule

TIMES = np.array([0.0, 0.5, 4.5, 5.0, 9.0, 10.0])


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        (None, {}, [1, 1, 1, 1, 1, 1]),
        ("step", {"factor": 0.1, "every": 5}, [1, 1, 1, 0.1, 0.1, 0.01]),
        ("exponential", {"factor": 0.01, "over": 10}, [1, 10**-0.1, 10**-0.9, 0.1, 10**-1.8, 0.01]),
        ("cosine", {}, [1, 0.993844, 0.578217, 0.5, 0.024472, 0]),
        ("one_cycle", {"start": 0.1, "peak": 0.5, "final": 0.0}, [0.1, 0.19, 0.91, 1, 0.1, 0]),
        (lambda epoch: 1 / (1 + epoch), {}, [1, 1, 0.2, 1 / 6, 0.1, 1 / 11]),
    ],
)
def test_factors(name, arguments, expected):
    np.testing.assert_allclose(resolve_schedule(name, arguments, 10).factors(TIMES), expected, atol=1e-6)


def test_plateau_falls_after_patience():
    schedule = Plateau(factor=0.5, patience=2)
    seen = []
    for value in (3.0, 2.0, 2.5, 2.1, 1.9, 2.0, 2.0):
        schedule.observe(value)
        seen.append(schedule.factors(np.zeros(1))[0])
    assert seen == [1, 1, 1, 0.5, 0.5, 0.5, 0.25]


@pytest.mark.parametrize(
    ("schedule", "arguments", "message"),
    [
        ("cosin", {}, "Got 'cosin' instead. Did you mean 'cosine'"),
        ("cosine", {"finl": 1}, r"The arguments {'finl': 1} of lr_schedule='cosine' are not valid"),
        (lambda epoch: np.nan, {}, "finite factors of at least 0. Got nan in epoch 0"),
        (lambda epoch: 1 - epoch, {}, r"finite factors of at least 0. Got -1.0 in epoch 2"),
        (abs, {"x": 1}, "takes no further arguments"),
        ("one_cycle", {"final": -5.0}, r"finite factors of at least 0. Got -\d.\d+ in epoch 4"),
        ("cosine", {"final": -0.01}, r"finite factors of at least 0. Got -0.0\d+ in epoch 4"),
        ("step", {"factor": -1.0}, r"lr_schedule__factor must be a finite number of at least 0. Got -1.0"),
        ("exponential", {"factor": np.nan}, "lr_schedule__factor must be a finite number of at least 0. Got nan"),
        ("plateau", {"factor": -1.0}, r"lr_schedule__factor must be a finite number of at least 0. Got -1.0"),
        ("plateau", {"factor": "a"}, r"The arguments {'factor': 'a'} of lr_schedule='plateau' are not valid"),
        ("plateau", {"patience": 0}, "lr_schedule__patience must be a number of at least 1. Got 0"),
        ("plateau", {"patience": "5"}, r"The arguments {'patience': '5'} of lr_schedule='plateau' are not valid"),
    ],
)
def test_bad_schedules(schedule, arguments, message):
    with pytest.raises(ValueError, match=message):
        resolve_schedule(schedule, arguments, 5)


def test_epochs_beyond_those_of_the_fit_are_checked():
    with pytest.raises(ValueError, match=r"finite factors of at least 0. Got -1.0 in epoch 6"):
        resolve_schedule(lambda epoch: 5 - epoch, {}, 5, last_epoch=7)
