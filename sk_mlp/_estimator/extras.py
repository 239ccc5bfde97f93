"""Optional packages, and the extras that bring them."""

from importlib import import_module

NEEDED = {"matplotlib": "plot", "onnx": "onnx"}  # packages, and the extra that brings each


def check_installed(package: str, caller: str) -> None:
    """Raise an error where a package is not installed.

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
    """Raise an error where matplotlib is not installed."""
    check_installed("matplotlib", caller)
