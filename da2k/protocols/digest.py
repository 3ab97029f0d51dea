"""What names a record's content."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def digest_of(record: Mapping[str, Any]) -> str:
    """SHA-256 of a record of plain values; the order of its fields does not change it."""
    canonical = json.dumps(record, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
