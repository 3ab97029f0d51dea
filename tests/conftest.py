"""Fixtures shared by all tests."""

from pathlib import Path

import pytest
from hypothesis import settings

# Times are noisy on small machines; a slow example is no failure.
settings.register_profile("da2k", deadline=None)
settings.load_profile("da2k")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real photographs, networks and reference outputs, kept outside the repository."""
    if not (SHARED / "data").is_dir():
        pytest.skip("needs the folder of real data, ../shared, which is not here")
    return SHARED
