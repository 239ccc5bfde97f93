"""What `fit` has learned of the columns of X."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sk_mlp._tables.categories import Categories
from sk_mlp._tables.dates import Dates


@dataclass(frozen=True, eq=False)
class Table:
    """The columns of X, as `fit` has seen them.

    Attributes
    ----------
    n_features : int
    names : tuple of str or None
        None where X had none.
    categories : dict of int to tuple
        Values of each categorical column, by its number, in the order of their codes.
    dates : dict of int to DateColumn
    allows_missing : bool
        Whether numbers may be missing.
    is_dense : bool
        Whether the network takes dense X only.
    """

    n_features: int
    names: tuple[str, ...] | None
    categories: Categories
    dates: Dates
    allows_missing: bool
    is_dense: bool = False

    @property
    def is_mixed(self) -> bool:
        """Whether there are columns of other things than numbers."""
        return bool(self.categories or self.dates)

    def attributes(self) -> dict[str, Any]:
        """``n_features_in_``, and ``feature_names_in_`` if columns have names."""
        names = {} if self.names is None else {"feature_names_in_": np.array(self.names, dtype=object)}
        return {"n_features_in_": self.n_features, **names}

    @property
    def labels(self) -> Sequence:
        """Names of the columns, or their numbers if they have none."""
        return range(self.n_features) if self.names is None else self.names

    @property
    def matrix_names(self) -> list[str]:
        """Names of the matrix's columns, if X's have any; features of a date have its name."""
        names = list(self.names or ())
        return names + [names[number] for number, date in self.dates.items() for _ in date.features[1:] if names]
