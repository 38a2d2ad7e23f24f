"""The package starts light: what is heavy is loaded by the function that needs it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src"
HEAVY = frozenset(
    {"torch", "numpy", "pyarrow", "sklearn", "scipy", "pandas", "PIL", "safetensors", "matplotlib", "jinja2"}
)
HELP = ("-m", "fathom.cli", "--help")
HELP_LIMIT_S = 0.3


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run this Python on the source of this checkout."""
    path = os.pathsep.join(filter(None, [str(SOURCE), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def heavy_imports(*arguments: str) -> set[str]:
    """Return the heavy packages that Python loads when run with arguments."""
    report = python("-X", "importtime", *arguments).stderr
    # Each line: `import time: <own µs> | <cumulative µs> | <indented name>`.
    loaded = {line.rpartition("|")[2].strip() for line in report.splitlines() if line.startswith("import time:")}
    return {name.partition(".")[0] for name in loaded} & HEAVY


def best_time_s(*arguments: str, runs: int = 7) -> float:
    """Return the shortest wall time of several runs: the one that other work on the machine delayed least."""

    def time_s() -> float:
        start = time.perf_counter()
        python(*arguments)
        return time.perf_counter() - start

    return min(time_s() for _ in range(runs))


def test_import_loads_nothing_heavy():
    assert heavy_imports("-c", "import fathom") == set()


def test_help_loads_nothing_heavy():
    assert heavy_imports(*HELP) == set()


def test_what_draws_pages_is_loaded_by_a_page_alone():
    assert heavy_imports("-c", "import fathom.cli.commands, fathom.api") & {"matplotlib", "jinja2"} == set()


def test_help_says_how_fathom_is_used():
    assert "Usage" in python(*HELP).stdout


def test_help_answers_at_once():
    assert best_time_s(*HELP) <= HELP_LIMIT_S


def test_a_heavy_import_is_noticed():
    assert "numpy" in heavy_imports("-c", "import numpy.linalg")


def test_a_slow_start_is_noticed():
    assert best_time_s("-c", f"import time; time.sleep({HELP_LIMIT_S})", runs=1) > HELP_LIMIT_S
