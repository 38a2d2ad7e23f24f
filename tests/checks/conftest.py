"""What the tests of the checks share: tables are looked at as a training would look at them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fathom.checks import Examined, Finding, run_checks
from fathom.schema import Schema


@pytest.fixture(scope="module", autouse=True)
def all_checks(light_models: None) -> None:
    """Whatever is looked for is tested here."""


Look = Callable[..., list[Finding]]


def as_table(data: Any) -> pa.Table:
    return data if isinstance(data, pa.Table) else pa.table({name: pa.array(cells) for name, cells in data.items()})


@pytest.fixture(scope="session")
def examine() -> Callable[..., Examined]:
    """Infer what the columns of a dict of lists are, and make it ready to be looked at."""

    def examined(
        data: Any, target: str | None = None, parts: Mapping[str, Any] | None = None, **roles: str
    ) -> Examined:
        table = as_table(data)
        others = {name: as_table(part) for name, part in (parts or {}).items()}
        schema = Schema.infer(pa.concat_tables([table, *others.values()]), [target] if target else [], roles=roles)
        return Examined(table, schema, others)

    return examined


@pytest.fixture(scope="session")
def look(examine: Callable[..., Examined]) -> Look:
    """Run the cheap checks, or the one that is named, on a dict of lists."""

    def found(data: Any, target: str | None = None, only: str | None = None, **given: Any) -> list[Finding]:
        limit_s = 1e9 if only in ("labels", "pictures") else 0.0
        findings = run_checks(examine(data, target, **given), limit_s=limit_s)
        return [finding for finding in findings if only is None or finding.check == only]

    return found


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)
