"""
A raw table, from the frame to a score
======================================

The classifier takes a data frame with numbers, categories, dates and missing values. The table is made up: it is about
customers, and who of them cancels a subscription.
"""

# %%
import numpy as np
import pandas as pd

rng = np.random.default_rng(0)
n = 600
table = pd.DataFrame(
    {
        "age": rng.normal(45, 15, n).clip(18, 90).round(),
        "monthly_fee": rng.gamma(4, 8, n).round(2),
        "plan": pd.Categorical(rng.choice(["basic", "family", "student"], n)),
        "by_phone": rng.choice([True, False], n),
        "since": pd.Timestamp("2021-01-01")
        + pd.to_timedelta(rng.integers(0, 1500, n), "D"),
    }
)
days = (pd.Timestamp("2025-06-01") - table["since"]).dt.days
chance = 1 / (
    1
    + np.exp(
        -(
            table["monthly_fee"] / 10
            - days / 300
            + 2 * (table["plan"] == "student")
            - 0.5
        )
    )
)
y = np.where(rng.random(n) < chance, "cancels", "stays")
table.loc[rng.random(n) < 0.1, "age"] = None
table.head()

# %%
# No preparation is needed: ``fit`` learns the scales and the categories of the columns.

from sklearn.model_selection import train_test_split

from sk_mlp import KerasMLPClassifier

X_train, X_test, y_train, y_test = train_test_split(table, y, random_state=0)
classifier = KerasMLPClassifier(epochs=30, ensemble_size=4, random_state=0).fit(
    X_train, y_train
)
print(f"accuracy on rows that were not seen: {classifier.score(X_test, y_test):.3f}")
print("categories:", classifier.categories_)

# %%
# Which columns matter? scikit-learn's permutation importance shuffles one column after the other.

import matplotlib.pyplot as plt
from sklearn.inspection import permutation_importance

result = permutation_importance(
    classifier, X_test, y_test, n_repeats=10, random_state=0
)
order = result.importances_mean.argsort()
figure, ax = plt.subplots(layout="constrained")
ax.barh(
    table.columns[order],
    result.importances_mean[order],
    xerr=result.importances_std[order],
)
ax.axvline(0, color="0.7", zorder=0)
ax.set(xlabel="loss of accuracy when the column is shuffled")
plt.show()

# %%
# :doc:`/tables` says how each type of column is treated.
