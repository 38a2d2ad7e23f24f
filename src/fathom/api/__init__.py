"""fit, load and Run: the stages wired, and the face over what they made."""

from fathom.api.checking import Report, check
from fathom.api.comparing import compare
from fathom.api.fitting import fit
from fathom.api.pretraining import pretrain
from fathom.api.reporting import write_report
from fathom.api.run import Run, load, plain_scores
from fathom.api.tuned import Tuning
from fathom.api.tuning import tune

__all__ = [
    "Report",
    "Run",
    "Tuning",
    "check",
    "compare",
    "fit",
    "load",
    "plain_scores",
    "pretrain",
    "tune",
    "write_report",
]
