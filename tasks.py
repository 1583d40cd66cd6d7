"""Task runner: `python tasks.py demo [IMAGE]` and `python tasks.py test`, with nothing but Python ≥ 3.11 installed.

Each makes `.venv` in this folder on first use, installs the exact versions of `constraints.txt`, and goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
SYSTEM_PROGRAMS = {"chromium": ["chromium"]}
"""Debian packages that the tests use, by the program that shows that they are there."""


def run(*command: str | Path, **environment: str) -> None:
    """Run a command; a failure ends this program with the same exit code."""
    print("+", *command, flush=True)
    code = subprocess.call([str(part) for part in command], cwd=ROOT, env={**os.environ, **environment})
    if code:
        raise SystemExit(code)


def install() -> None:
    """Make the virtual environment, or bring it up to date when the pinned versions have changed."""
    if not (3, 11) <= sys.version_info[:2] <= (3, 12):
        raise SystemExit(f"Python 3.11 or 3.12 is needed, this is {sys.version.split()[0]}")
    stamp = VENV / "installed"
    wanted = hashlib.sha256(
        (ROOT / "constraints.txt").read_bytes() + (ROOT / "pyproject.toml").read_bytes()
    ).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print(f"Installing into {VENV} (several minutes and about 8 GB the first time)", flush=True)
    venv.create(VENV, with_pip=True)
    # torch first: one dependency is compiled against it, and without isolation it is not downloaded twice
    pip: list[str | Path] = [
        PYTHON,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-c",
        "constraints.txt",
    ]
    run(*pip, "setuptools", "wheel", "torch", "torchvision")
    run(*pip, "--no-build-isolation", "--editable", ".[dev]", SAM2_BUILD_CUDA="0")
    stamp.write_text(wanted)


def install_system_programs() -> None:
    """Debian packages for the tests; elsewhere say what is missing (the tests that need it skip with a reason)."""
    missing = [name for program, names in SYSTEM_PROGRAMS.items() if not shutil.which(program) for name in names]
    if not missing:
        return
    if os.name == "posix" and shutil.which("apt-get") and os.geteuid() == 0:
        run("apt-get", "update", "-qq")
        run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing, DEBIAN_FRONTEND="noninteractive")
    else:
        print(f"Not installed: {', '.join(missing)}; tests that need it will be skipped.", flush=True)


def demo(arguments: list[str]) -> None:
    """From nothing to a report, see `slicerxai demo --help`."""
    install()
    run(PYTHON, "-m", "slicerxai.cli.main", "demo", *arguments)


def test(arguments: list[str]) -> None:
    """Lint, types, import arrows, then the tests with coverage of `core/`."""
    install()
    install_system_programs()
    run(BIN / "ruff", "check", ".")
    run(BIN / "ruff", "format", "--check", ".")
    run(BIN / "mypy")
    run(BIN / "lint-imports")
    limits = {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE"}
    run(PYTHON, "-m", "coverage", "erase")
    run(PYTHON, "-m", "coverage", "run", "-m", "pytest", *arguments, **limits)
    run(PYTHON, "-m", "coverage", "combine", "--quiet")
    run(PYTHON, "-m", "coverage", "report", "--skip-covered", "--sort=cover")


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="task", required=True)
    commands.add_parser("install", help="make .venv and install everything into it")
    commands.add_parser("demo", help=demo.__doc__, add_help=False)
    commands.add_parser("test", help=test.__doc__, add_help=False)
    known, rest = parser.parse_known_args()
    if known.task == "install":
        install()
    elif known.task == "demo":
        demo(rest)
    else:
        test(rest)


if __name__ == "__main__":
    main()
