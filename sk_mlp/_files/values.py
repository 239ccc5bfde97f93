"""Turns values into JSON and .npy, and back: only types from a list, each of which has a name.

None, bool, int, str, finite float and lists are themselves. All else is an object of a single key, the type's name.
"""

import dataclasses
import functools
import math
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from numpy.typing import NDArray

from sk_mlp._files.forms import FORMS, READERS, NotKept, kind_of, short
from sk_mlp._files.matching import matches
from sk_mlp.exceptions import ModelFileError

# Classes of this package whose objects a file may hold: their names in files, and where they are now. A class that is
# moved or renamed keeps its name in files. A field that a file lacks has its default.
CLASSES = {
    "NetworkSpec": "sk_mlp._network.spec.NetworkSpec",
    "Fitted": "sk_mlp._network.spec.Fitted",
    "HeldOut": "sk_mlp._targets.intervals.HeldOut",
    "State": "sk_mlp._network.layout.State",
    "StateLayout": "sk_mlp._network.layout.StateLayout",
    "ColumnPlan": "sk_mlp._tables.plan.ColumnPlan",
    "DateColumn": "sk_mlp._tables.dates.DateColumn",
    "Table": "sk_mlp._tables.table.Table",
    "BinaryTargets": "sk_mlp._targets.labels.BinaryTargets",
    "MulticlassTargets": "sk_mlp._targets.labels.MulticlassTargets",
    "DummyTargets": "sk_mlp._targets.labels.DummyTargets",
    "MultilabelTargets": "sk_mlp._targets.labels.MultilabelTargets",
    "NumberTargets": "sk_mlp._targets.numbers.NumberTargets",
    "Compiled": "sk_mlp._network.compiled.Compiled",
}

NAMES = {place: name for name, place in CLASSES.items()}
DEPTH = 100  # of values within each other


@dataclass
class Writer:
    """Turns values into JSON, and collects arrays and named things, which JSON cannot hold.

    Attributes
    ----------
    arrays : list of ndarray
        In the order of the numbers by which the JSON names them.
    named : dict of str to any
        The user's functions and classes, which whoever reads the file must give.
    """

    arrays: list[NDArray] = field(default_factory=list)
    named: dict[str, Any] = field(default_factory=dict)

    def name(self, name: str, value: Any) -> str:
        """Note that readers must give something of this name; ``value`` is None where only the name is known."""
        known = self.named.get(name)
        if known is not None and value is not None and known is not value:
            raise NotKept(f"two different things have the name {name!r}")
        self.named[name] = value if known is None else known
        return name

    def of(self, value: Any, depth: int = 0) -> Any:
        """A value as JSON."""
        kind = type(value)
        if value is None or kind in (bool, int, str) or (kind is float and math.isfinite(value)):
            return value
        if depth > DEPTH:
            raise NotKept("values within values without end")
        of = functools.partial(self.of, depth=depth + 1)
        if kind is list:
            return [of(item) for item in value]
        for found in FORMS:
            if found.holds(value):
                return {found.name: found.write(value, self, of)}
        if name := NAMES.get(kind_of(value)):
            return {name: {f.name: of(getattr(value, f.name)) for f in dataclasses.fields(kind)}}
        return self._of_object(value, of)

    def _of_object(self, value: Any, of: Callable) -> Any:
        if is_of_keras(value):
            from sk_mlp._files import keras_values  # which imports Keras

            return keras_values.written(value, self, of)
        if isinstance(value, (type, types.FunctionType)):
            if value.__name__ == "<lambda>":
                raise NotKept("a lambda has no name by which it could be given again: use a function with a name")
            return {"named": self.name(value.__name__, value)}
        instead = "; use a function or a class, which is kept by its name" if callable(value) else ""
        raise NotKept(f"{short(value)} of type {kind_of(value)} cannot be kept{instead}")


@dataclass(frozen=True)
class Reader:
    """Turns JSON back into values.

    Attributes
    ----------
    arrays : list of ndarray
    custom_objects : mapping of str to any
        The user's functions and classes by name.
    """

    arrays: list[NDArray]
    custom_objects: Mapping[str, Any] = field(default_factory=dict)

    def of(self, value: Any) -> Any:
        """The value that JSON holds."""
        if value is None or type(value) in (bool, int, float, str):
            return value
        if type(value) is list:
            return [self.of(item) for item in value]
        if type(value) is not dict or len(value) != 1:
            raise ModelFileError("It is damaged: it has an object of no known type.")
        ((name, inner),) = value.items()
        if name in READERS:
            return READERS[name](inner, self)
        if name in CLASSES:
            return self._of_class(name, inner)
        if name == "named":
            return self.given(inner)
        if name in ("keras", "keras_name", "keras_model", "keras_maker"):
            from sk_mlp._files import keras_values  # which imports Keras

            return keras_values.read(name, inner, self)
        raise ModelFileError(f"It holds a value of the type {name[:80]!r}, which this version of sk_mlp does not know.")

    def _of_class(self, name: str, inner: Any) -> Any:
        module, _, own = CLASSES[name].rpartition(".")
        cls = getattr(import_module(module), own)
        fields = {f.name: f for f in dataclasses.fields(cls)}
        values = {key: self.of(item) for key, item in inner.items()}
        if not fields.keys() >= values.keys():
            raise ModelFileError(f"It holds fields of {name} that this version of sk_mlp does not know.")
        for key, item in values.items():
            if not matches(item, fields[key].type):
                raise ModelFileError(f"It is damaged: {name}.{key} is {short(item)}.")
        return cls(**values)

    def given(self, name: str) -> Any:
        """What the caller has given by this name."""
        if name not in self.custom_objects:
            raise ModelFileError(missing([name]))
        return self.custom_objects[name]


def missing(names: list[str]) -> str:
    """The message for names that are not given."""
    shown = ", ".join(f"{name!r}: {name.rpartition('>')[2]}" for name in names)
    return f"It needs functions or classes of your own: pass custom_objects={{{shown}}}."


def is_of_keras(value: Any) -> bool:
    """Whether a value is of Keras or this package, or an object of a subclass of Keras' classes."""
    if isinstance(value, (type, types.FunctionType)):
        return value.__module__.partition(".")[0] in ("keras", "sk_mlp")
    return any(base.__module__.partition(".")[0] == "keras" for base in type(value).__mro__) or (
        type(value).__name__ == "ModelOfConfig"
    )
