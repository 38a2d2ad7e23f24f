"""What the machine gives: its memory, and where files go that can be made again."""

from __future__ import annotations

import platform
import pwd
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from fathom import runtime
from fathom.errors import ConfigError
from fathom.runtime import cache_directory, in_parallel, memory_limit_bytes


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/user/app\n", {"user/app/memory.max": "max", "user/memory.max": "5000", "memory.max": "9000"}, 5000),
        ("4:memory:/a/b\n0::/\n", {"memory/a/memory.limit_in_bytes": "700", "memory.max": "max"}, 700),
        ("2:cpu:/a\n0::/gone\n", {"cpu/a/memory.max": "1", "memory.max": "800"}, 800),
        ("0::/\n", {}, None),
    ],
)
def test_the_tightest_control_group_counts(tmp_path, groups, files, expected):
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(groups)
    for name, content in files.items():
        path = tmp_path / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n")
    assert min(runtime._group_limits(tmp_path), default=None) == expected


def test_where_there_are_no_control_groups_there_is_no_limit(tmp_path):
    assert runtime._group_limits(tmp_path) == []


@pytest.mark.parametrize("kind", [resource.RLIMIT_DATA, resource.RLIMIT_AS])
def test_a_limit_of_the_process_counts(monkeypatch, kind):
    real = resource.getrlimit
    monkeypatch.setattr(resource, "getrlimit", lambda asked: (12345, -1) if asked == kind else real(asked))
    assert memory_limit_bytes() == 12345


def test_the_memory_is_no_more_than_the_machine_has():
    total_kb = int(Path("/proc/meminfo").read_text().split("MemTotal:")[1].split()[0])
    assert 0 < memory_limit_bytes() <= 1024 * total_kb + 4096


def test_the_cache_is_where_it_is_said_to_be(tmp_path, monkeypatch):
    monkeypatch.delenv("FATHOM_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_directory() == Path.home() / ".cache" / "fathom"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_directory() == tmp_path / "fathom"
    monkeypatch.setenv("FATHOM_CACHE", str(tmp_path / "own"))
    assert cache_directory() == tmp_path / "own"


@pytest.mark.parametrize("place", [None, "~/somewhere"])
def test_without_a_home_the_cache_is_asked_for_in_one_line(monkeypatch, place):
    for name in ("HOME", "XDG_CACHE_HOME", "FATHOM_CACHE"):
        monkeypatch.delenv(name, raising=False)
    if place is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", place)
    monkeypatch.setattr(pwd, "getpwuid", lambda number: {}[number])
    with pytest.raises(ConfigError, match=r"no home directory.*set FATHOM_CACHE"):
        cache_directory()
    monkeypatch.setenv("FATHOM_CACHE", "/somewhere")
    assert cache_directory() == Path("/somewhere")


def test_work_in_parallel_keeps_its_order_and_takes_little_ahead():
    taken: list[int] = []
    made = in_parallel(str, (taken.append(n) or n for n in range(1000)))
    assert next(made) == "0"
    assert len(taken) < 100
    assert list(made) == [str(n) for n in range(1, 1000)]


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has other ways")
@pytest.mark.parametrize("kept", [False, True])
def test_memory_that_was_freed_is_not_fetched_anew(kept):
    told = subprocess.run([sys.executable, "-c", FETCHED, *["kept"] * kept], capture_output=True, text=True, check=True)
    assert int(told.stdout) < 20_000 if kept else int(told.stdout) > 80_000


FETCHED = """
import resource
import sys
import torch
from fathom.runtime import keep_freed_memory

torch.set_num_threads(1)
if len(sys.argv) > 1:
    keep_freed_memory()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for size in range(100):  # each larger than any before, of which the C library could have learned
    torch.ones(2**18 + size * 2**14)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
