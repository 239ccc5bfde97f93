"""Packages that only an extra brings."""

from importlib import import_module

NEEDED = {"matplotlib": "plot", "onnx": "onnx"}  # packages, and the extra that brings each


def check_installed(package: str, caller: str) -> None:
    """See that a package is there.

    Raises
    ------
    ImportError
        If it is not installed.
    """
    try:
        import_module(package)
    except ImportError as error:
        extra = NEEDED[package]
        raise ImportError(
            f"{caller} requires {package}. Install it with the extra {extra!r}: pip install 'sk_mlp[{extra}]'"
        ) from error


def check_matplotlib(caller: str) -> None:
    """See that there is matplotlib, as `check_installed` does."""
    check_installed("matplotlib", caller)
