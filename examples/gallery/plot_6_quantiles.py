"""
Quantiles instead of one number
===============================

Where the spread of y changes, a mean says too little. ``loss="quantile:0.9"`` learns the value below which nine in ten
targets lie.
"""

# %%
import numpy as np

from sk_mlp import PLAIN_MLP, KerasMLPRegressor

rng = np.random.default_rng(0)
X = rng.uniform(0, 10, (500, 1))
y = np.sin(X[:, 0]) + 0.05 * X[:, 0] * rng.normal(size=500)

plain = PLAIN_MLP | {
    "input_scaling": "standard",
    "n_hidden": 2,
    "n_neurons": 48,
    "learning_rate": 5e-3,
    "epochs": 80,
}
quantiles = (0.1, 0.5, 0.9)
fits = [
    KerasMLPRegressor(**plain, loss=f"quantile:{quantile}", random_state=0).fit(X, y)
    for quantile in quantiles
]

# %%
# The outer two hold about eight in ten rows between them, and widen where y does.

import matplotlib.pyplot as plt

grid = np.linspace(0, 10, 300)[:, None]
low, middle, high = (mlp.predict(grid) for mlp in fits)
figure, ax = plt.subplots(layout="constrained")
ax.plot(X[:, 0], y, ".", color="0.6", label="rows")
ax.fill_between(
    grid[:, 0], low, high, alpha=0.3, label="from the 10 % to the 90 % quantile"
)
ax.plot(grid[:, 0], middle, label="median")
ax.set(xlabel="x", ylabel="y")
ax.legend()
plt.show()

inside = (fits[0].predict(X) <= y) & (y <= fits[2].predict(X))
print(f"between the two: {inside.mean():.0%} of the rows")
