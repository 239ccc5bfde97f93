"""Names that several modules share: those of the built-in network's layers, and of a member's numbers.

Layers of a depth are numbered from 1. A variable's name is its layer's, a slash and its own: ``"hidden_1/kernel"``.
"""

COLUMNS, WIDE_COLUMNS = "columns", "wide_columns"  # layers that encode the columns of each path
OUTPUT, AUX_OUTPUT = "output", "aux_output"
HIDDEN, BATCH_NORM, ACTIVATION, DROPOUT = "hidden", "batch_norm", "activation", "dropout"
DEEP = (HIDDEN, BATCH_NORM, ACTIVATION)  # kinds of layers with variables, of each depth

Y_MEAN, Y_SCALE = "y_mean", "y_scale"  # of a member's numbers, one a column of y


def at_depth(kind: str, depth: int) -> str:
    """Name of a layer: ``hidden_1`` of ``hidden`` at depth 1."""
    return f"{kind}_{depth}"


def depth_of(layer: str) -> tuple[str, int]:
    """The kind and depth in a name that `at_depth` has made; depth 0 for a layer without one."""
    kind, _, depth = layer.rpartition("_")
    return (kind, int(depth)) if depth.isdigit() else (layer, 0)


def variable(layer: str, name: str) -> str:
    """Name of a layer's variable."""
    return f"{layer}/{name}"


def variables_of(layer: str, names: dict) -> dict:
    """The items of one layer, by the variables' own names, of a dict by the variables' full names."""
    return {name.removeprefix(f"{layer}/"): value for name, value in names.items() if name.startswith(f"{layer}/")}


def dropout_rate(number: int) -> str:
    """Name of the rate of a member's dropout layer, numbered from 0."""
    return f"dropout/{number}"


def dropout_rates(hyper: dict) -> dict:
    """The rates of a member's dropout layers, by their numbers."""
    return {int(name.partition("/")[2]): rate for name, rate in hyper.items() if is_dropout_rate(name)}


def is_dropout_rate(name: str) -> bool:
    """Whether a member's number is a dropout rate."""
    return name.startswith("dropout/")


def of_column(name: str, column: int) -> str:
    """Name of a member's number for a column of y: ``y_mean/0``."""
    return f"{name}/{column}"


def n_columns_of(hyper: dict) -> int:
    """How many columns of y a member knows the units of; 0 where its loss does not depend on them."""
    return sum(name.startswith(f"{Y_SCALE}/") for name in hyper)
