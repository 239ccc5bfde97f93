"""Routes arguments named destination__argument to their objects, checked by name, in Keras' types."""

import functools
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from sk_mlp._estimator.messages import did_you_mean
from sk_mlp._keras.compat import route_params, unflatten_params

Leaf = tuple[tuple[str, ...], Any]
# Arguments that optimizers of earlier versions of Keras had.
EARLIER_ARGUMENTS = {
    "optimizer__lr": "optimizer__learning_rate, or learning_rate",
    "optimizer__decay": "lr_schedule, or a schedule of Keras as learning_rate",
}


def plain(value: Any) -> Any:
    """A numpy scalar, as searches draw it, as the Python number that Keras needs."""
    return value.item() if isinstance(value, np.generic) else value


def routed_to(params: Mapping[str, Any], destination: str) -> dict[str, Any]:
    """The parameters named ``destination__...``, without that prefix."""
    return {name: plain(value) for name, value in route_params(params, destination, pass_filter=set()).items()}


def classes_without_arguments(module: Any, base: type) -> dict[str, Any]:
    """A Keras module's classes that can be made without arguments, by name."""
    found = {name: cls for name, cls in vars(module).items() if inspect.isclass(cls) and issubclass(cls, base)}
    return {
        name: cls
        for name, cls in found.items()
        if cls is not base
        and all(
            p.default is not p.empty or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
            for p in inspect.signature(cls).parameters.values()
        )
    }


@functools.lru_cache(maxsize=128)
def arguments_of(cls: type) -> tuple[dict[str, inspect.Parameter], bool]:
    """Named arguments of a class, and of its bases where it passes them on; and whether it takes any name.

    Keras' classes take ``**kwargs`` for their bases, which refuse unknown names.
    """
    found: dict[str, inspect.Parameter] = {}
    passes_on, last = False, cls
    for base in cls.__mro__:
        if "__init__" not in vars(base) or base is object:
            continue
        parameters = list(inspect.signature(vars(base)["__init__"]).parameters.values())[1:]
        for p in parameters:
            if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
                found.setdefault(p.name, p)
        passes_on, last = any(p.kind is p.VAR_KEYWORD for p in parameters), base
        if not passes_on or base is keras.metrics.MeanMetricWrapper:  # it passes them to its function
            return found, passes_on
    return found, passes_on and not last.__module__.startswith("keras.")


def checked_arguments(owner: str, cls: Any, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments, with numbers in the types of the class's defaults.

    Parameters
    ----------
    owner : str
        The parameter that names or holds the class.
    cls : type
    arguments : mapping of str to any

    Raises
    ------
    ValueError
        For a name that it does not take, and for what is no number where it wants one.
    """
    known, takes_any = arguments_of(cls)
    for name in arguments:
        if name not in known and not takes_any:
            raise unknown_argument(owner, [cls], name, arguments)
    return {
        name: _as_default(f"{owner}__{name}", known[name].default, value) if name in known else value
        for name, value in arguments.items()
    }


def unknown_argument(owner: str, classes: list, name: str, arguments: Mapping[str, Any]) -> ValueError:
    """The error for an argument that none of the classes takes."""
    known = sorted(set().union(*(arguments_of(cls)[0] for cls in classes)))
    if owner == "optimizer":  # its other numbers are the estimator's own parameters
        known = [name for name in known if name not in ("learning_rate", "weight_decay", "name")]
    earlier = EARLIER_ARGUMENTS.get(f"{owner}__{name}")
    hint = f" In this Keras it is {earlier}." if earlier else did_you_mean(name, known)
    of_whom = " or ".join(dict.fromkeys(cls.__name__ for cls in classes))
    return ValueError(
        f"{_possessive(owner)} arguments {dict(arguments)} are not valid: {of_whom} takes no {name!r}, but {known}."
        f"{hint}"
    )


def _possessive(owner: str) -> str:
    return f"The {owner}'" if owner.endswith("s") and not owner.endswith("ss") else f"The {owner}'s"


def _as_default(name: str, default: Any, value: Any) -> Any:
    """A number in the type of the argument's default: Keras refuses a momentum of 0 that is not a float."""
    value = plain(value)
    if isinstance(default, bool):
        if isinstance(value, str) or (isinstance(value, (int, float)) and value not in (0, 1)):
            raise ValueError(f"The {name!r} parameter must be True or False. Got {value!r} instead.")
        return bool(value) if isinstance(value, (int, float)) else value
    if isinstance(default, float):
        if isinstance(value, str):
            raise ValueError(f"The {name!r} parameter must be a number. Got {value!r} instead.")
        return float(value) if isinstance(value, int) else value
    return value


def made(owner: str, cls: Any, arguments: Mapping[str, Any]) -> Any:
    """An object of the class.

    Raises
    ------
    ValueError
        For arguments that the class does not take.
    """
    checked = checked_arguments(owner, cls, arguments)
    try:
        return cls(**checked)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{_possessive(owner)} arguments {dict(arguments)} are not valid: {error}") from error


def leaves_of(items: Any, path: tuple[str, ...] = ()) -> Iterator[Leaf]:
    """The items of a parameter, alone, in lists or in dicts, with the keys and numbers that lead to each."""
    if isinstance(items, Mapping):
        for key, item in items.items():
            yield from leaves_of(item, (*path, str(key)))
    elif isinstance(items, (list, tuple)):
        for number, item in enumerate(items):
            yield from leaves_of(item, (*path, str(number)))
    else:
        yield path, items


def routed_arguments(owner: str, leaves: list[Leaf], routed: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The arguments that are routed to each item of a parameter.

    ``owner__argument`` is for all classes that take it, ``owner__key__argument`` and ``owner__0__argument`` are for
    one. An argument that is a class itself may have arguments: ``owner__argument__its``.

    Parameters
    ----------
    owner : str
        The parameter's name.
    leaves : list
        As of `leaves_of`.
    routed : mapping of str to any
        Arguments without the parameter's name before.

    Raises
    ------
    ValueError
        For a key or number that is not there, an argument that no class takes, and one for an object.
    """
    found: list[dict[str, Any]] = [{} for _ in leaves]
    by_depth = sorted(routed.items(), key=lambda pair: _depth(leaves, pair[0]))
    for name, value in by_depth:
        segments, depth = name.split("__"), _depth(leaves, name)
        path, argument = tuple(segments[:depth]), segments[depth:]
        meant = [i for i, (place, _) in enumerate(leaves) if place[:depth] == path]
        makes = [i for i in meant if inspect.isclass(leaves[i][1])]
        if not makes:
            raise ValueError(
                f"{owner}__{name}={value!r} needs a class or a name, from which an object is made. Got "
                f"{owner}={[item for _, item in leaves]}."
            )
        takes = [i for i in makes if argument[0] in arguments_of(leaves[i][1])[0] or arguments_of(leaves[i][1])[1]]
        if not takes:
            raise _nobody_takes(owner, leaves, makes, name, argument, value)
        for i in takes:
            found[i]["__".join(argument)] = value
    return [_nested(owner, own) for own in found]


def _depth(leaves: list[Leaf], name: str) -> int:
    """How many segments of the name say which items are meant."""
    segments = tuple(name.split("__"))
    return max(n for n in range(len(segments)) if n == 0 or any(place[:n] == segments[:n] for place, _ in leaves))


def _nobody_takes(
    owner: str, leaves: list[Leaf], makes: list[int], name: str, argument: list[str], value: Any
) -> ValueError:
    keys = list(dict.fromkeys(place[0] for place, _ in leaves if place))
    if len(argument) > 1:
        return ValueError(
            f"{owner}__{name}={value!r} is for {argument[0]!r}, but {owner!r} holds {keys or 'one object'} only."
            f"{did_you_mean(argument[0], keys)}"
        )
    return unknown_argument(owner, [leaves[i][1] for i in makes], argument[0], {argument[0]: value})


def _nested(owner: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments by name, those that are classes made with their own."""
    named = {name: value for name, value in arguments.items() if "__" not in name}
    for name, value in arguments.items():
        if "__" in name and name.split("__")[0] not in named:
            raise ValueError(
                f"{owner}__{name}={value!r} is an argument of {name.split('__')[0]!r}, which must be given too."
            )
    return {name: unflatten_params(value, routed_to(arguments, name)) for name, value in named.items()}
