"""State to answer: loss, prediction, metrics; one file per kind of answer."""

from fathom.heads.head import HEADS, METRICS, Head

__all__ = ["HEADS", "METRICS", "Head"]
