"""Columns from Python with a date, a set of labels and something missing; kept on disk, and loaded again."""

import sys
from datetime import date, timedelta

import numpy as np

import fathom

random = np.random.default_rng(0)
days = [date(2026, 1, 1) + timedelta(days=int(day)) for day in random.integers(0, 365, 400)]
tags = [[tag for tag in ("sale", "school", "rain") if random.random() < 0.3] for _ in days]
weekend, sale = np.array([day.weekday() > 4 for day in days]), np.array(["sale" in tag for tag in tags])
visitors = 300 + 90 * weekend + 120 * sale + random.normal(0, 20, 400)
staff = [None if random.random() < 0.1 else int(count // 50) for count in visitors]

place = sys.argv[1] if len(sys.argv) > 1 else "runs/visitors"
rows = {"day": days, "tags": tags, "staff": staff, "visitors": visitors}
run = fathom.fit(rows, "visitors", net="mlp", valid=0.15, budget="20epochs", out=place, overwrite=True)
r2 = run.metrics["visitors"]["r2"]
print(f"R² {r2.value:.2f}, a linear model {r2.linear:.2f}")

again = fathom.load(place)
print(again.predict({"day": [date(2026, 7, 4)], "tags": [["sale"]], "staff": [8]})["visitors"].to_pylist())
