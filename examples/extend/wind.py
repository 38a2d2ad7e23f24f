"""Write a small table in which the wind's direction matters: what it says is an angle."""

from pathlib import Path

import numpy as np

random = np.random.default_rng(0)
direction = random.integers(0, 360, 400)
speed = random.gamma(4, 2, 400).round(1)
power = speed * (1.5 + np.cos(np.radians(direction - 20))) + random.normal(0, 1.5, 400)
rows = [f"{d},{s},{max(0.0, p):.1f}" for d, s, p in zip(direction, speed, power, strict=True)]
Path("wind.csv").write_text("\n".join(["direction,speed,power", *rows, ""]))
