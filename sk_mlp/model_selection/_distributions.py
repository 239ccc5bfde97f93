"""Distributions of hyperparameters that scipy lacks."""

from typing import Any


class OneMinus:
    """Distribution of 1 - x, for x of another distribution. Made by `one_minus`.

    Parameters
    ----------
    distribution : scipy.stats frozen distribution
    """

    def __init__(self, distribution: Any):
        self.distribution = distribution

    def rvs(self, *args: Any, **kwargs: Any) -> Any:
        """Draw 1 - x.

        Parameters
        ----------
        *args, **kwargs
            As of the distribution's own ``rvs`` (``size``, ``random_state``).

        Returns
        -------
        float or ndarray
        """
        return 1 - self.distribution.rvs(*args, **kwargs)

    def __repr__(self) -> str:
        frozen = getattr(self.distribution, "dist", None)  # scipy's: their own words are an address
        words = f"{frozen.name}{self.distribution.args}" if frozen else repr(self.distribution)
        return f"one_minus({words})"


def one_minus(distribution: Any) -> OneMinus:
    """Distribution of 1 - x, for decay rates whose distance from 1 is what counts.

    From 0.9 to 0.99 and from 0.99 to 0.999 are equal steps for a momentum or an Adam beta, for it averages over some
    1 / (1 - beta) steps. ``one_minus(loguniform(1e-3, 1e-1))`` draws from 0.9 to 0.999 accordingly.

    Parameters
    ----------
    distribution : scipy.stats frozen distribution
        Of 1 - beta.

    Returns
    -------
    OneMinus
        With the method ``rvs``, which is what scikit-learn's searches ask for.

    Raises
    ------
    TypeError
        If the distribution has no method ``rvs``.

    See Also
    --------
    CoarseToFineSearchCV : Shrinks such a range around the best candidate.

    Examples
    --------
    >>> from scipy.stats import loguniform
    >>> from sk_mlp.model_selection import one_minus
    >>> betas = one_minus(loguniform(1e-3, 1e-1)).rvs(size=5, random_state=0)
    >>> bool((betas > 0.9).all() and (betas < 0.999).all())
    True
    """
    if not hasattr(distribution, "rvs"):
        raise TypeError(
            f"distribution must have a method 'rvs', as scipy.stats distributions have. Got {distribution!r}."
        )
    return OneMinus(distribution)
