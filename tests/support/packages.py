"""Packages that are installed, but cannot be imported."""

from pathlib import Path


def break_package(directory: Path, name: str, source: str = "raise ImportError('undefined symbol: PyX')") -> str:
    """Make a broken package, and return the directory to put on the module path."""
    path = directory / "broken"
    path.mkdir()
    (path / f"{name}.py").write_text(source)
    return str(path)
