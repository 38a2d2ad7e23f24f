"""Looks at data before training: what is wrong with it, and the option that settles it."""

from fathom.checks.check import CHECKS, Finding, Severity
from fathom.checks.examined import Examined
from fathom.checks.running import brief, checked_choices, run_checks

__all__ = ["CHECKS", "Examined", "Finding", "Severity", "brief", "checked_choices", "run_checks"]
