"""fathom: from data to a neural network that can be trusted and shipped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from fathom.api import Report, Run, Tuning, check, compare, fit, load, pretrain, tune, write_report
    from fathom.data import read
    from fathom.model import Model

__all__ = [
    "Model",
    "Report",
    "Run",
    "Tuning",
    "__version__",
    "check",
    "compare",
    "fit",
    "load",
    "pretrain",
    "read",
    "tune",
    "write_report",
]

_PLACES = {
    "Report": "fathom.api",
    "Run": "fathom.api",
    "Tuning": "fathom.api",
    "check": "fathom.api",
    "compare": "fathom.api",
    "fit": "fathom.api",
    "load": "fathom.api",
    "pretrain": "fathom.api",
    "tune": "fathom.api",
    "write_report": "fathom.api",
    "read": "fathom.data",
    "Model": "fathom.model",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used, so that ``import fathom`` imports no torch."""
    if name not in _PLACES:
        raise AttributeError(f"module 'fathom' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return __all__
