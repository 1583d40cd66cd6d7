"""The audit hook that notes what a process writes outside of its folders."""

import os
import subprocess
import sys
from pathlib import Path

WATCH = Path(__file__).parents[2] / "benchmarks" / "file_watch"
SCRIPT = """
import os, pathlib, sqlite3, subprocess, sys
inside, outside = map(pathlib.Path, sys.argv[1:])
(inside / "fine").write_text("x")
(outside / "secret").read_text()
(outside / "written").write_text("x")
(outside / "made").mkdir()
(inside / "fine").rename(outside / "moved")
sqlite3.connect(outside / "base").close()
subprocess.run([sys.executable, "-c", f"open({str(outside / 'child')!r}, 'w')"], check=True)
"""


def test_writing_outside_is_noted_and_inside_is_not(tmp_path):
    inside, outside, log = tmp_path / "inside", tmp_path / "outside", tmp_path / "log"
    inside.mkdir()
    outside.mkdir()
    (outside / "secret").write_text("x")
    own = {
        "PYTHONPATH": str(WATCH),
        "PYTHONDONTWRITEBYTECODE": "1",
        "FILE_WATCH_LOG": str(log),
        "FILE_WATCH_ALLOWED": str(inside),
        "FILE_WATCH_SECRETS": str(outside / "secret"),
    }
    command = [sys.executable, "-c", SCRIPT, str(inside), str(outside)]
    subprocess.run(command, env=os.environ | own, check=True, timeout=60)
    seen = [line.split("\t") for line in log.read_text().splitlines()]
    noted = {(event, Path(path.strip("'")).name) for event, path in seen}
    assert {("read", "secret"), ("open", "written"), ("os.mkdir", "made"), ("os.rename", "moved")} <= noted
    assert {("sqlite3.connect", "base"), ("open", "child")} <= noted
    assert not any(name == "fine" for _, name in noted)
