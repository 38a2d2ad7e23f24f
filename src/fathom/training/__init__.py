"""The engine, once: one loop for every kind of network and every way of training."""

from fathom.registry import Registry

__all__ = ["ADAPTERS", "AVERAGES", "OPTIMIZERS", "SCHEDULES"]

OPTIMIZERS = Registry("optimizer", "fathom.training")
SCHEDULES = Registry("schedule", "fathom.training")
AVERAGES = Registry("average", "fathom.training")
ADAPTERS = Registry("adapter", "fathom.training")
