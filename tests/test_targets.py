"""Labels and targets to arrays and back."""

import numpy as np
import pytest

from sk_mlp._targets.labels import BinaryTargets, DummyTargets, MulticlassTargets, MultilabelTargets, label_targets
from sk_mlp._targets.numbers import NumberTargets, _typical, number_targets

KINDS = [BinaryTargets, MulticlassTargets, DummyTargets, MultilabelTargets, NumberTargets]


def test_binary():
    y = np.array(["no", "yes", "no"])
    targets = label_targets(y)
    assert (targets.kind, targets.n_outputs, targets.classes.tolist()) == ("binary", 1, ["no", "yes"])
    np.testing.assert_array_equal(targets.encode(y, width=1, layout="binary"), [[0], [1], [0]])
    probabilities = targets.probabilities(np.array([[0.2], [0.7]]), from_logits=False)
    np.testing.assert_allclose(probabilities, [[0.8, 0.2], [0.3, 0.7]])
    assert targets.labels(probabilities).tolist() == ["no", "yes"]


def test_multiclass():
    y = np.array([30, 10, 20, 10])
    targets = label_targets(y)
    np.testing.assert_array_equal(targets.encode(y, 3, layout="sparse"), [[2], [0], [1], [0]])
    np.testing.assert_array_equal(targets.encode(y, 3, layout="one-hot"), np.eye(3)[[2, 0, 1, 0]])
    logits = np.array([[0.0, 1.0, 2.0], [5.0, 0.0, 0.0]])
    probabilities = targets.probabilities(logits, from_logits=True)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert targets.labels(probabilities).tolist() == [30, 10]


def test_one_class():
    targets = label_targets(np.array(["a", "a"]))
    probabilities = targets.probabilities(np.array([[0.1], [0.9]]), from_logits=False)
    assert probabilities.tolist() == [[1.0], [1.0]]
    assert targets.labels(probabilities).tolist() == ["a", "a"]


def test_multilabel():
    y = np.array([[1, 0, 1], [0, 0, 1]])
    targets = label_targets(y)
    assert (targets.kind, targets.n_outputs) == ("multilabel", 3)
    np.testing.assert_array_equal(targets.encode(y, 3, layout="one-hot"), y)
    np.testing.assert_array_equal(targets.labels(np.array([[0.9, 0.1, 0.6]])), [[1, 0, 1]])


def test_announced_classes():
    targets = label_targets(np.array([1, 1]), classes=np.array([2, 1, 0]))
    assert targets.kind == "multiclass"
    with pytest.raises(ValueError, match=r"y must hold only the classes \[0, 1, 2\]. Got \[3\] as well"):
        targets.check(np.array([3]))


def test_unseen_labels_in_y_val():
    with pytest.raises(ValueError, match=r"y_val must hold only the classes \['a', 'b'\]. Got \['c'\] as well"):
        label_targets(np.array(["a", "b"])).check(np.array(["a", "c"]), "y_val")


def test_regression_round_trip_in_large_units():
    y = 1e9 + np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 50.0]])
    targets = number_targets(y, np.ones(3), standardise=True)
    encoded = targets.encode(y)
    np.testing.assert_allclose(encoded.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(encoded.std(axis=0), 1, rtol=1e-6)
    np.testing.assert_allclose(targets.decode(encoded), y, rtol=0, atol=1e-5)


def test_weights_repeat_rows():
    y, weights = np.array([1.0, 5.0, 9.0]), np.array([1.0, 2.0, 3.0])
    weighted = number_targets(y, weights, standardise=True)
    repeated = number_targets(np.repeat(y, [1, 2, 3]), np.ones(6), standardise=True)
    np.testing.assert_allclose([weighted.mean, weighted.scale], [repeated.mean, repeated.scale])


def test_constant_target_keeps_scale_one():
    targets = number_targets(np.full(7, 0.1), np.ones(7), standardise=True)
    assert targets.scale == 1
    np.testing.assert_allclose(targets.decode(np.zeros((2, 1))), 0.1)


@pytest.mark.parametrize("number", [1e17 + 16, 1e300, -1.7e308])
def test_a_constant_of_any_size_is_nearly_0(number):
    targets = number_targets(np.full(7, number), np.linspace(0.1, 1, 7), standardise=True)
    np.testing.assert_allclose(targets.encode(np.full((7, 1), number)), 0, atol=1)
    np.testing.assert_allclose(targets.decode(np.full((2, 1), 0.1)), number)


def test_ratios_of_integers_of_any_type():
    small = np.where(np.arange(60) % 2, -128, 100)[:, None]
    expected = _typical("mean_absolute_percentage_error", small, np.ones(60))
    of_int8 = _typical("mean_absolute_percentage_error", small.astype(np.int8), np.ones(60))
    np.testing.assert_array_equal(of_int8, expected)


def test_not_standardised():
    targets = number_targets(np.array([1.0, 3.0]), np.ones(2), standardise=False)
    assert not targets.is_standardised
    np.testing.assert_array_equal(targets.encode(np.array([[1.0], [3.0]])), [[1], [3]])


@pytest.mark.parametrize(
    "kind",
    [BinaryTargets, MulticlassTargets, DummyTargets, MultilabelTargets, NumberTargets],
    ids=lambda cls: cls.__name__,
)
def test_each_kind_is_final_and_overrides_nothing_that_is_there(kind):
    assert not kind.__abstractmethods__
    assert not kind.__subclasses__()
    for base in kind.__mro__[1:-2]:
        methods = {name for name, value in vars(base).items() if callable(value) and not name.startswith("_")}
        concrete = methods - getattr(base, "__abstractmethods__", set())
        assert not concrete & vars(kind).keys()
