"""Packages that only an extra brings."""


def check_matplotlib(caller: str) -> None:
    """See that there is matplotlib.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"{caller} requires matplotlib. Install it with the extra 'plot': pip install 'sk_mlp[plot]'"
        ) from error
