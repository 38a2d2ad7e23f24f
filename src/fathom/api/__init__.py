"""fit, load and Run: the stages wired, and the face over what they made."""

from fathom.api.checking import Report, check
from fathom.api.fitting import fit
from fathom.api.run import Run, load, plain_scores

__all__ = ["Report", "Run", "check", "fit", "load", "plain_scores"]
