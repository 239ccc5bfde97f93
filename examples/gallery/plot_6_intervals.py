"""
Intervals instead of one number
===============================

If the spread of y differs from row to row, a mean says too little. One network can learn several quantiles at once.
Its intervals are corrected with the rows that were held out.
"""

# %%
import numpy as np

from sk_mlp import KerasMLPRegressor

rng = np.random.default_rng(0)
X = rng.uniform(0, 10, (600, 1))
y = np.sin(X[:, 0]) + 0.06 * X[:, 0] * rng.normal(size=600)
X_train, X_test, y_train, y_test = X[:400], X[400:], y[:400], y[400:]

regressor = KerasMLPRegressor(
    loss="quantile",
    loss__quantile=[0.05, 0.5, 0.95],
    ensemble_size=4,
    epochs=60,
    early_stopping=True,
    random_state=0,
).fit(X_train, y_train)

# %%
# ``predict`` returns a column for each quantile, ``predict_interval`` the two limits.

lower, upper = regressor.predict_interval(X_test, coverage=0.9)
inside = (lower <= y_test) & (y_test <= upper)
print(f"{inside.mean():.0%} of rows that were not seen lie within their interval")

# %%
# The interval is wide where y is noisy.

import matplotlib.pyplot as plt

grid = np.linspace(0, 10, 300)[:, None]
lower, upper = regressor.predict_interval(grid, coverage=0.9)
figure, ax = plt.subplots(layout="constrained")
ax.plot(X_test[:, 0], y_test, ".", color="0.5", label="rows that were not seen")
ax.fill_between(grid[:, 0], lower, upper, alpha=0.3, label="90 % interval")
ax.plot(grid[:, 0], regressor.predict(grid)[:, 1], label="median")
ax.set(xlabel="x", ylabel="y")
ax.legend(loc="lower left")
plt.show()

# %%
# :doc:`/uncertainty` says what such intervals promise, and what they do not.
