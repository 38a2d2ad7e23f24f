"""The pace of a run is how fast it is of late, once enough steps were made to tell."""

from __future__ import annotations

import pytest

from fathom.training.clock import Clock


def test_a_few_steps_tell_no_pace():
    clock = Clock(0.0, 0)
    assert clock.tick(1.0, 49) is None
    assert clock.tick(1.1, 50) == pytest.approx(1.1 / 50)


def test_a_run_that_slows_down_is_as_slow_as_it_is_of_late():
    clock = Clock(0.0, 0)
    for step in range(50, 1001, 50):
        clock.tick(step * 0.001, step)
    paces = [clock.tick(1.0 + count * 0.5, 1000 + count * 50) for count in range(1, 21)]
    assert paces[-1] == pytest.approx(0.01)


def test_steps_before_a_resume_count_as_one_stretch():
    clock = Clock(10.0, 100)
    assert clock.tick(10.2, 120) is None
    assert clock.tick(11.0, 200) == pytest.approx(0.01)
