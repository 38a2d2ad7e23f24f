"""One page that tells all of a run: what was asked, what came of it, what it cost, and how to repeat it."""
