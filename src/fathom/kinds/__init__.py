"""Columns gain meaning: one file per kind; statistics in, tensors out, and back."""

from fathom.kinds.kind import KINDS, UNSEEN, Claim, Kind, Statistics

__all__ = ["KINDS", "UNSEEN", "Claim", "Kind", "Statistics"]
