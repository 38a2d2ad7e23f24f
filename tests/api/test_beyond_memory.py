"""A process with less memory than its table: what ``benchmarks/beyond_memory.py`` measures, at a smaller size."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
LIMIT_MB, TIMES, EPOCHS = 512, 2, 2
READ_CSV = """
import resource, sys
resource.setrlimit(resource.RLIMIT_DATA, ({limit}, {limit}))
{without}
from fathom.data import read
source = read(sys.argv[1])
print(source.parts["train"].num_rows)
"""


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    own = {
        "PYTHONPATH": str(REPOSITORY / "src"),
        "FATHOM_CACHE": str(folder / "cache"),
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "MALLOC_ARENA_MAX": "1",
    }
    return subprocess.run(
        [sys.executable, *arguments], env=os.environ | own, capture_output=True, text=True, timeout=1800, check=False
    )


@pytest.mark.slow
def test_a_table_beyond_memory_trains_nearly_as_fast_with_flat_memory(tmp_path):
    asked = ["--limit-mb", str(LIMIT_MB), "--times", str(TIMES), "--epochs", str(EPOCHS), "--folder", str(tmp_path)]
    done = python(tmp_path, str(REPOSITORY / "benchmarks" / "beyond_memory.py"), "--json", *asked)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    files, memory = found["files"], found["memory"]
    # The benchmark tells the ratio; here it has room for a neighbour on the same disk and processor.
    assert files["samples_per_s"] >= 0.5 * memory["samples_per_s"]
    assert files["skill"] == pytest.approx(memory["skill"], abs=0.01)
    anonymous = [epoch["anonymous_mb"] for epoch in files["epochs"]]
    assert max(anonymous[1:]) < anonymous[0] + 10
    assert files["peak_mb"] < LIMIT_MB < memory["peak_mb"]
    encoded_mb = LIMIT_MB * TIMES / 2  # float64 becomes float32
    if files["can_empty_cache"]:  # not where files are in memory themselves, as in some containers
        assert sum(epoch["read_mb"] for epoch in files["epochs"]) > 0.9 * encoded_mb * EPOCHS, "the cache was not empty"


@pytest.mark.slow
def test_a_csv_is_read_in_less_memory_than_it_has_bytes(tmp_path):
    path, limit = tmp_path / "big.csv", 512 << 20
    lines = "".join(f"{n},{n / 7:.6f},some words about row {n}\n" for n in range(100_000))
    with path.open("w") as file:
        file.write("n,share,words\n")
        for _ in range(150):
            file.write(lines)
    assert path.stat().st_size > 1.1 * limit
    done = python(tmp_path, "-c", READ_CSV.format(limit=limit, without=""), str(path))
    assert (done.returncode, done.stdout) == (0, "15000000\n"), done.stderr
    without = "from fathom.data import delimited; delimited.is_large_file = lambda *a: False"
    assert python(tmp_path, "-c", READ_CSV.format(limit=limit, without=without), str(path)).returncode != 0
