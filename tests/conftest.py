"""Fixtures that every test may ask for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

BESIDE_THE_REPOSITORY = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def data_directory() -> Path:
    """Return the folder of real data sets; the test is skipped where it is not there."""
    place = Path(os.environ.get("FATHOM_DATA", BESIDE_THE_REPOSITORY))
    if not place.is_dir():
        pytest.skip(f"no real data at {place}; set FATHOM_DATA to the folder that holds it")
    return place
