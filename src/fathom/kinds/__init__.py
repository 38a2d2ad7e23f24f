"""Columns gain meaning: one file per kind; statistics in, tensors out, and back."""

from fathom.kinds.kind import KINDS, LEFT_OUT, UNSEEN, Claim, Kind, Statistics

__all__ = ["KINDS", "LEFT_OUT", "UNSEEN", "Claim", "Kind", "Statistics"]
