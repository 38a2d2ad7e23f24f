"""How long to train: steps, epochs, wall time, or until validation stops improving."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from fathom.errors import ConfigError

__all__ = ["Budget"]

DEFAULT_SECONDS = 600.0
LARGEST = 1e15  # of any unit; no run gets there, and more would overflow
SHORTEST_S = 1e-3
SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Budget:
    """At most one of these is set; none means until validation stops improving, at most DEFAULT_SECONDS."""

    steps: int | None = None
    epochs: float | None = None
    seconds: float | None = None

    @classmethod
    def parse(cls, text: str | None) -> Budget:
        """Read ``"5000steps"``, ``"20epochs"``, ``"90s"``, ``"2m"``, ``"1h"``, or None.

        Raises:
            ConfigError: the text is none of these, not above zero, or beyond all bounds.
        """
        if text is None:
            return cls()
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(steps?|epochs?|s|m|h)\s*", str(text))
        if match is None or not 0 < float(match[1]) < LARGEST or (match[2].startswith("step") and "." in match[1]):
            raise ConfigError(f"budget {text!r} is not understood (allowed: 90s, 2m, 1h, 20epochs, 5000steps)")
        amount, unit = float(match[1]), match[2]
        if unit.startswith("step"):
            return cls(steps=int(amount))
        return cls(epochs=amount) if unit.startswith("epoch") else cls(seconds=amount * SECONDS[unit])

    def less(self, spent_s: float) -> Budget:
        """What is left of it after seconds that were spent before training; only a clock knows of them."""
        return self if self.seconds is None else replace(self, seconds=max(SHORTEST_S, self.seconds - spent_s))

    @property
    def open_ended(self) -> bool:
        """Whether validation decides when to stop."""
        return self.steps is None and self.epochs is None and self.seconds is None
