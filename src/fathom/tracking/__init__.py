"""A run followed by other programs' logs: one file a tracker.

A tracker is registered with the ``package`` that it needs, the ``extra`` that brings it, the ``files`` that it leaves
in the run's directory, and, where it cannot do without that directory, ``kept=True``. What nobody asks for is not
imported.
"""

from fathom.tracking.following import Followers, followed, require
from fathom.tracking.tracker import TRACKED, TRACKERS, Followed, Tracker

__all__ = ["TRACKED", "TRACKERS", "Followed", "Followers", "Tracker", "followed", "require"]
