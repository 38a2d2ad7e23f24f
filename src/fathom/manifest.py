"""The files of a saved model: their names, and the manifest that vouches for them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from fathom.errors import ModelError

__all__ = ["FORMAT", "MANIFEST", "METRICS_FILE", "NETWORK", "SCHEMA", "WEIGHTS", "as_json", "check_manifest"]

FORMAT = 1
NETWORK, SCHEMA, METRICS_FILE, MANIFEST = "network.json", "schema.json", "metrics.json", "MANIFEST.json"
WEIGHTS = "weights.safetensors"


def as_json(value: Any) -> bytes:
    """A file of JSON, one item a line."""
    return (json.dumps(value, indent=1) + "\n").encode()


def check_manifest(files: Mapping[str, bytes]) -> None:
    """Check that a model's files are there and as they were saved.

    Raises:
        ModelError: one is missing or altered, or they are of a format that this version does not read.
    """
    try:
        manifest = json.loads(files[MANIFEST])
        form, digests = manifest["format"], dict(manifest["sha256"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ModelError(f"{MANIFEST} is missing or not as fathom writes it ({error!r})") from error
    if form != FORMAT:
        newer = not isinstance(form, int) or form > FORMAT
        remedy = "pip install -U fathom-nn" if newer else "fit it again, or install the fathom-nn that wrote it"
        raise ModelError(f"this model has format {form}; this version of fathom reads {FORMAT}: {remedy}")
    for name in (NETWORK, SCHEMA, WEIGHTS, METRICS_FILE):
        if name not in files or name not in digests:
            raise ModelError(f"the model lacks {name}; copy the whole directory again")
        if sha256(files[name]).hexdigest() != digests[name]:
            raise ModelError(f"{name} is not the file that was saved (its sha256 differs); copy the directory again")
