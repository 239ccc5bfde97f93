"""The ONNX model of a fitted estimator."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import onnx

from sk_mlp._network.spec import NetworkSpec
from sk_mlp._onnx.graph import Graph
from sk_mlp._onnx.network import Weights, network_output
from sk_mlp._onnx.outputs import add_class_outputs, add_number_output, probabilities_of
from sk_mlp._onnx.table import MATRIX, Table, matrix_of
from sk_mlp._targets.base import Targets
from sk_mlp._targets.labels import LabelTargets
from sk_mlp._targets.numbers import NumberTargets
from sk_mlp._version import __version__

if TYPE_CHECKING:
    from sk_mlp._estimator.base import BaseKerasMLP

OPSETS = {"": 17, "ai.onnx.ml": 3}  # operators and format of 2022, which all runtimes since then read
IR_VERSION = 8
OF_CLASSIFIERS, OF_REGRESSORS = ["label", "probabilities"], ["variable"]  # names of outputs, as in skl2onnx


@dataclass(frozen=True, eq=False)
class Source:
    """All that is read from a fitted estimator.

    Attributes
    ----------
    name : str
        Of the estimator's class.
    table : Table
    spec : NetworkSpec
    weights : dict of str to ndarray
        By layer and variable, float64, with a leading axis of members.
    targets : Targets
    loss_of_logits, loss_of_margins : bool
        As in `sk_mlp._network.spec.Fitted`.
    """

    name: str
    table: Table
    spec: NetworkSpec
    weights: Weights
    targets: Targets
    loss_of_logits: bool
    loss_of_margins: bool


def source_of(estimator: "BaseKerasMLP") -> Source:
    """Read a fitted estimator with the built-in network."""
    fitted = estimator._fitted
    members = [fitted.named_weights(m) for m in range(len(fitted.states))]
    seen = fitted.table
    table = Table(
        n_columns=seen.n_features,
        names=None if seen.names is None else tuple(map(str, seen.names)),
        categories=seen.categories,
        dates=seen.dates,
        shift=np.zeros(fitted.spec.n_features) if fitted.shift is None else fitted.shift,
    )
    return Source(
        name=type(estimator).__name__,
        table=table,
        spec=fitted.spec,
        weights={name: np.stack([weights[name] for weights in members]).astype(np.float64) for name in members[0]},
        targets=fitted.targets,
        loss_of_logits=fitted.loss_of_logits,
        loss_of_margins=fitted.loss_of_margins,
    )


def model_of(source: Source) -> onnx.ModelProto:
    """The model: the table's inputs, the network, and the outputs that `sk_mlp.to_onnx` describes."""
    inputs = [MATRIX] if source.table.is_matrix else list(source.table.column_names)
    check_names(inputs)
    targets = source.targets
    is_classifier = isinstance(targets, LabelTargets)
    outputs = [free_name(name, inputs) for name in (OF_CLASSIFIERS if is_classifier else OF_REGRESSORS)]
    graph = Graph(reserved=[*inputs, *outputs])
    output = network_output(source.spec, source.weights, matrix_of(graph, source.table))
    if isinstance(targets, LabelTargets):
        links = source.loss_of_logits, source.loss_of_margins
        probabilities = probabilities_of(targets, output, source.spec.n_outputs, *links)
        add_class_outputs(graph, targets, probabilities, outputs)
    else:
        add_number_output(graph, cast(NumberTargets, targets), output, *outputs)
    columns = described(source.table)
    model = graph.model(
        source.name,
        OPSETS,
        IR_VERSION,
        producer_name="sk_mlp",
        producer_version=__version__,
        doc_string=f"{source.name} of sk_mlp {__version__}. Columns of X: {'; '.join(map(words_of, columns))}.",
    )
    onnx.helper.set_model_props(model, {"estimator": source.name, "columns": json.dumps(columns, ensure_ascii=False)})
    return model


def check_names(names: list[str]) -> None:
    """Raise an error where names of columns cannot be names of inputs."""
    repeated = sorted({name for name in names if names.count(name) > 1 or not name})
    if repeated:
        raise ValueError(f"Names of columns must differ and not be empty, as those of inputs. Got {repeated}.")


def free_name(name: str, taken: list[str]) -> str:
    """A name for an output that no column has."""
    return name if name not in taken else free_name(f"output_{name}", taken)


def described(table: Table) -> list[dict[str, Any]]:
    """What each column of X holds, as JSON."""
    types = {np.float32: "float32", np.float64: "float64", object: "string"}
    return [
        {
            "name": name,
            "kind": table.kind(number),
            "type": types[table.matrix_dtype if table.is_matrix else table.dtype(number)],
            **({"time zone": table.dates[number].zone or None} if number in table.dates else {}),
        }
        for number, name in enumerate(table.column_names)
    ]


def words_of(column: dict[str, Any]) -> str:
    """A column's description as a part of a sentence."""
    unit = ", seconds since 1970-01-01 00:00 by its clock" if column["kind"] == "date" else ""
    return f"{column['name']} ({column['kind']}, {column['type']}{unit})"
