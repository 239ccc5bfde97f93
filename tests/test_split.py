"""Which rows are held out."""

import numpy as np
import pytest

from sk_mlp._estimator.split import hold_out, hold_outs


def test_every_row_is_on_one_side():
    train, validation = hold_out(100, 0.2, seed=0, codes=None)
    assert sorted([*train, *validation]) == list(range(100))
    assert len(validation) == 20


def test_classes_are_held_out_in_proportion():
    codes = np.repeat([0, 1, 2], [60, 30, 10])
    _, validation = hold_out(100, 0.2, seed=0, codes=codes)
    np.testing.assert_array_equal(np.bincount(codes[validation]), [12, 6, 2])


def test_a_class_of_one_row_is_trained_on():
    codes = np.array([0] * 20 + [1] * 20 + [2])
    for seed in range(20):
        train, validation = hold_out(41, 0.3, seed=seed, codes=codes)
        assert 40 in train
        assert len(validation) == 12


def test_more_classes_than_rows_held_out():
    codes = np.repeat(np.arange(30), 2)
    for seed in range(20):
        train, validation = hold_out(60, 0.1, seed=seed, codes=codes)
        assert (len(train), len(validation)) == (54, 6)
        assert len(np.unique(codes[train])) == 30, "every class is seen in training"


def test_the_seed_decides():
    first, again, other = (hold_out(50, 0.2, seed=seed, codes=None)[1] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(("n", "codes"), [(1, None), (3, np.array([0, 1, 2])), (1, np.array([0]))])
def test_too_few_rows(n, codes):
    with pytest.raises(ValueError, match=f"n_samples={n} with validation_fraction=0.1"):
        hold_out(n, 0.1, seed=0, codes=codes)


def test_large_fraction_leaves_a_row_to_train_on():
    train, validation = hold_out(3, 0.9, seed=0, codes=None)
    assert len(train) >= 1 <= len(validation)


def test_members_whose_classes_cannot_be_split_again_begin_anew():
    codes = np.array([0, 0, *range(1, 29)])
    for _, validation in hold_outs(30, 0.1, [0, 1, 2, 3], codes):
        assert len(validation) == 1
        assert validation[0] < 2
