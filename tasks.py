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
import tempfile
import venv
from ctypes.util import find_library
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
SYSTEM_PROGRAMS = {"chromium": "chromium"}
"""Debian packages that the tests use, by the program that shows that they are there."""
SYSTEM_LIBRARIES = {
    "EGL": "libegl1",
    "GL": "libgl1",
    "X11": "libx11-6",
    "Xcursor": "libxcursor1",
    "dbus-1": "libdbus-1-3",
    "fontconfig": "libfontconfig1",
    "glib-2.0": "libglib2.0-0",
    "xkbcommon": "libxkbcommon0",
}
"""Debian packages of the libraries that Qt and VTK load on Linux; the tests of the Slicer modules crash without."""
SOFTWARE_DRIVER = ("dri/swrast_dri.so", "libgl1-mesa-dri")
"""What draws without a graphics card, below a library folder, and its Debian package."""
SLICER_TESTS = ROOT / "tests" / "slicer"
NO_TESTS = 5
"""pytest's exit code when nothing matched, which is fine for one of two suites."""


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


def missing_system_packages() -> list[str]:
    """Debian packages for the tests that are not there."""
    missing = [package for program, package in SYSTEM_PROGRAMS.items() if not shutil.which(program)]
    if sys.platform == "linux":
        missing += [package for library, package in SYSTEM_LIBRARIES.items() if not find_library(library)]
        driver, package = SOFTWARE_DRIVER
        if not any(any(Path("/usr").glob(f"{folder}/{driver}")) for folder in ("lib", "lib64", "lib/*")):
            missing.append(package)
    return missing


def install_system_packages() -> None:
    """Debian packages for the tests; elsewhere say what is missing."""
    missing = missing_system_packages()
    if not missing:
        return
    if os.name == "posix" and shutil.which("apt-get") and os.geteuid() == 0:
        run("apt-get", "update", "-qq")
        run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing, DEBIAN_FRONTEND="noninteractive")
    else:
        print(f"Not installed (Debian's names): {', '.join(missing)}; tests that need them skip or fail.", flush=True)


def demo(arguments: list[str]) -> None:
    """From nothing to a report, see `slicerxai demo --help`."""
    install()
    run(PYTHON, "-m", "slicerxai.cli.main", "demo", *arguments)


def suites(arguments: list[str]) -> list[list[str]]:
    """The arguments of each pytest process: Qt and a scene (`tests/slicer`) never share one with the other tests.

    Named files and folders go where they belong, and options to both; without a name both run.
    """
    paths = {text: (ROOT / text.split("::")[0]).resolve() for text in arguments}
    named = {text: path for text, path in paths.items() if path.exists() and path.is_relative_to(ROOT / "tests")}
    slicer = [text for text, path in named.items() if path.is_relative_to(SLICER_TESTS)]
    chosen = []
    if len(slicer) < len(named) or not named:
        chosen.append([text for text in arguments if text not in slicer])  # pytest's settings leave tests/slicer out
    if slicer or not named or ROOT / "tests" in named.values():
        options = [text for text in arguments if text not in named or text in slicer]
        chosen.append([*options, *([] if slicer else ["tests/slicer"])])
    return chosen


def run_tests(suites: list[list[str]]) -> list[int]:
    """The exit code of each pytest process, with coverage.

    They run at the same time, as many tests wait for servers and windows, and share the cores, at most two each. The
    first one's output is shown as it comes, the other's when both are done.
    """
    threads = max(1, min(2, (os.cpu_count() or 1) // len(suites)))
    environment = {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE", "QT_QPA_PLATFORM": "offscreen"}
    with tempfile.TemporaryFile() as later:
        processes: list[subprocess.Popen[bytes]] = []
        for arguments in suites:
            command = [str(PYTHON), "-m", "coverage", "run", "-m", "pytest", *arguments]
            print("+", *command, flush=True)
            output = later if processes else None
            processes.append(
                subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stdout=output, stderr=output)
            )
        try:
            return [process.wait() for process in processes]
        finally:
            for process in processes:
                process.terminate()
            later.seek(0)
            shutil.copyfileobj(later, sys.stdout.buffer)
            sys.stdout.flush()


def test(arguments: list[str]) -> None:
    """Lint, types, import arrows, then the tests with coverage. Arguments are those of pytest."""
    install()
    install_system_packages()
    run(BIN / "ruff", "check", ".")
    run(BIN / "ruff", "format", "--check", ".")
    run(BIN / "mypy")
    run(BIN / "lint-imports")
    run(PYTHON, "-m", "coverage", "erase")
    codes = run_tests(suites(arguments))
    failed = [code for code in codes if code not in (0, NO_TESTS)]
    if failed or 0 not in codes:
        raise SystemExit(failed[0] if failed else NO_TESTS)
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
