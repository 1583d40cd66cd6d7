import sys
from pathlib import Path

import pytest

# spawned workers get this process's path and import what the tests submit from here
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def home(tmp_path):
    from small_server import make_home

    return make_home(tmp_path / "home")


@pytest.fixture
def studies(tmp_path):
    """Two images, which stand-ins never read."""
    folder = tmp_path / "studies"
    folder.mkdir()
    (folder / "case1.nii.gz").write_bytes(b"one")
    (folder / "case2.nii.gz").write_bytes(b"two")
    return folder
