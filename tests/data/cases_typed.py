"""Dirty sources of the formats that know their types: every case, gathered from the files beside."""

from __future__ import annotations

from tests.data.cases_archives import ZIPS
from tests.data.cases_arrays import IDX, NPZ
from tests.data.cases_folders import FOLDERS, IMAGES
from tests.data.cases_json import JSON, PARQUET

CASES = [*JSON, *PARQUET, *NPZ, *IDX, *IMAGES, *FOLDERS, *ZIPS]
