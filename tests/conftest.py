"""Fixtures that every test may ask for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fathom.checks.labels import FEWEST_ROWS
from fathom.heads import HEADS
from fathom.kinds import KINDS
from fathom.nets import NETS
from fathom.registry import Entry, Registry

BESIDE_THE_REPOSITORY = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def data_directory() -> Path:
    """Return the folder of real data sets; the test is skipped where it is not there."""
    place = Path(os.environ.get("FATHOM_DATA", BESIDE_THE_REPOSITORY))
    if not place.is_dir():
        pytest.skip(f"no real data at {place}; set FATHOM_DATA to the folder that holds it")
    return place


OWN: dict[str, list[tuple[Registry, Entry]]] = {}
"""What each test module registers: taken out of the registries when the module has been imported."""


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    report = yield
    if isinstance(collector, pytest.Module) and report.passed:
        name = collector.obj.__name__
        entries = [(registry, entry) for registry in (KINDS, NETS, HEADS) for entry in registry._entries.values()]
        OWN[name] = [(registry, entry) for registry, entry in entries if entry.factory.__module__ == name]
        for registry, entry in OWN[name]:
            del registry._entries[entry.name]
    return report


@pytest.fixture(autouse=True, scope="module")
def own_registrations(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let what a test module registers exist for its own tests alone: contract tests look at the house's things."""
    with pytest.MonkeyPatch.context() as patch:
        for registry, entry in OWN.get(request.module.__name__, ()):
            patch.setitem(registry._entries, entry.name, entry)
        yield


@pytest.fixture(scope="session", autouse=True)
def no_pages() -> Iterator[pytest.MonkeyPatch]:
    """Let runs of tests write no page, which would cost each of them a quarter of a second; see ``pages``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fathom.api.fitting.keep_report", lambda *given, **options: None)
        yield patch


@pytest.fixture(scope="session", autouse=True)
def no_light_models() -> Iterator[None]:
    """Let runs of tests look for no wrong labels, which takes half the time of a small run; see ``light_models``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fathom.checks.labels.FEWEST_ROWS", 10**9)
        yield


@pytest.fixture(scope="module")
def light_models(no_light_models: None) -> Iterator[None]:
    """Let the runs of one module's tests look for wrong labels, as runs do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fathom.checks.labels.FEWEST_ROWS", FEWEST_ROWS)
        yield


@pytest.fixture
def pages(no_pages: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the runs of one test write their pages, as runs do."""
    from fathom.api.reporting import keep_report

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fathom.api.fitting.keep_report", keep_report)
        yield
