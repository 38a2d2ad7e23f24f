"""Sources become Arrow tables."""

from fathom.data.readers import READERS, read
from fathom.data.source import Source

__all__ = ["READERS", "Source", "read"]
