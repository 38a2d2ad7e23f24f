"""Columns gain meaning: one file per kind; statistics in, tensors out, and back."""

from fathom.kinds.kind import KINDS, Claim, Kind, Statistics

__all__ = ["KINDS", "Claim", "Kind", "Statistics"]
