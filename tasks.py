"""Task runner: `python tasks.py demo [IMAGE]`, `… docs` and `… test`, with nothing but Python ≥ 3.11 installed.

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
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from ctypes.util import find_library
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
SYSTEM_PROGRAMS = {"chromium": "chromium", "Orthanc": "orthanc", "dciodvfy": "dicom3tools"}
"""Debian packages that the tests use, by the program that shows that they are there."""
SYSTEM_FILES = {"/usr/share/orthanc/plugins/libOrthancDicomWeb.so": "orthanc-dicomweb"}
"""The same, by a file that shows it."""
SERVICES = {"orthanc": "orthanc"}
"""Services that installing a package would start, by the package; the tests start their own."""
POLICY = Path("/usr/sbin/policy-rc.d")
"""Debian's packages ask this program whether to start what they install; 101 forbids it."""
PROGRAM_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"])
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
OWN_PROCESSES = ("tests/slicer", "tests/viewer")
"""Qt and a scene of Slicer, and a browser beside one: never in one process with other tests or one another."""
PARTS = (
    ("tests/core/cluster", "tests/core/server", "tests/core/shift"),
    ("tests/benchmarks", "tests/deploy", "tests/dicom", "tests/docs", "tests/integration"),
    ("tests/holes", "tests/monailabel_app"),
)
"""Tests in processes of their own, the longest first, so that all end at about the same time."""
NO_TESTS = 5
"""pytest's exit code when nothing matched, which is fine for one of several suites."""


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
    missing = [package for program, package in SYSTEM_PROGRAMS.items() if not shutil.which(program, path=PROGRAM_PATH)]
    missing += [package for file, package in SYSTEM_FILES.items() if not Path(file).exists()]
    if sys.platform == "linux":
        missing += [package for library, package in SYSTEM_LIBRARIES.items() if not find_library(library)]
        driver, package = SOFTWARE_DRIVER
        if not any(any(Path("/usr").glob(f"{folder}/{driver}")) for folder in ("lib", "lib64", "lib/*")):
            missing.append(package)
    return missing


@contextmanager
def no_service_starts(policy: Path) -> Iterator[None]:
    """Meanwhile packages install their services without starting them. A policy that is there already stays."""
    try:
        with policy.open("x") as file:
            file.write("#!/bin/sh\nexit 101\n")
    except FileExistsError:
        yield
        return
    try:
        policy.chmod(0o755)
        yield
    finally:
        policy.unlink()


def install_system_packages() -> None:
    """Debian packages for the tests; elsewhere say what is missing."""
    missing = missing_system_packages()
    if not missing:
        return
    if os.name == "posix" and shutil.which("apt-get") and os.geteuid() == 0:
        run("apt-get", "update", "-qq")
        with no_service_starts(POLICY):
            run(
                *("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing),
                DEBIAN_FRONTEND="noninteractive",
            )
        for service in (SERVICES[package] for package in missing if package in SERVICES):
            run("update-rc.d", service, "disable")  # nor at the next boot
    else:
        print(f"Not installed (Debian's names): {', '.join(missing)}; tests that need them skip or fail.", flush=True)


def demo(arguments: list[str]) -> None:
    """From nothing to a report, see `slicerxai demo --help`."""
    install()
    run(PYTHON, "-m", "slicerxai.cli.main", "demo", *arguments)


def docs(arguments: list[str]) -> None:
    """The documentation site, into build/docs, without a network. A warning is a failure. Arguments are Sphinx's."""
    install()
    out = ROOT / "build"
    options = ["-W", "--keep-going", "-q", "-b", "html", "-d", str(out / "docs-read"), *arguments]
    run(PYTHON, "-m", "sphinx", *options, "docs", out / "docs", OMP_NUM_THREADS="1")
    print(f"Site: {out / 'docs' / 'index.html'}")


def suites(arguments: list[str]) -> list[list[str]]:
    """The arguments of each pytest process: those of `OWN_PROCESSES` are apart from one another and from the others.

    Named files and folders go where they belong, and options to all; without a name all run.
    """
    paths = {text: (ROOT / text.split("::")[0]).resolve() for text in arguments}
    named = {text: path for text, path in paths.items() if path.exists() and path.is_relative_to(ROOT / "tests")}
    if not named:
        others = [*arguments, *(f"--ignore={folder}" for part in PARTS for folder in part)]
        alone = ([*arguments, folder] for folder in OWN_PROCESSES)
        return [others, *alone, *([*arguments, *part] for part in PARTS)]
    own = {
        folder: [text for text, path in named.items() if path.is_relative_to(ROOT / folder)] for folder in OWN_PROCESSES
    }
    apart = {text for texts in own.values() for text in texts}
    chosen = []
    if len(apart) < len(named):
        chosen.append([text for text in arguments if text not in apart])  # pytest's settings leave the others out
    for folder, texts in own.items():
        if texts or ROOT / "tests" in named.values():
            options = [text for text in arguments if text not in named or text in texts]
            chosen.append([*options, *([] if texts else [folder])])
    return chosen


def run_tests(suites: list[list[str]]) -> list[int]:
    """The exit code of each pytest process, with coverage.

    One more than there are cores run at a time: many tests wait for servers and windows. They share the cores, at most
    two each. The first one's output is shown as it comes, the others' when all are done.
    """
    cores = os.cpu_count() or 1
    together = min(len(suites), cores + 1)
    threads = max(1, min(2, cores // together))
    environment = {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE", "QT_QPA_PLATFORM": "offscreen"}
    started: list[subprocess.Popen[bytes]] = []
    with ExitStack() as files, ThreadPoolExecutor(together) as pool:
        later = [files.enter_context(tempfile.TemporaryFile()) for _ in suites[1:]]

        def finished(arguments: list[str], output: Any) -> int:
            command = [str(PYTHON), "-m", "coverage", "run", "-m", "pytest", *arguments]
            sys.stdout.write(" ".join(["+", *command, "\n"]))  # at once: the other threads write, too
            sys.stdout.flush()
            started.append(
                subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stdout=output, stderr=output)
            )
            return started[-1].wait()

        try:
            return list(pool.map(finished, suites, [None, *later]))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in started:
                process.terminate()
            for output in later:
                output.seek(0)
                shutil.copyfileobj(output, sys.stdout.buffer)
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
    commands.add_parser("docs", help=docs.__doc__, add_help=False)
    commands.add_parser("test", help=test.__doc__, add_help=False)
    known, rest = parser.parse_known_args()
    if known.task == "install":
        install()
    elif known.task == "demo":
        demo(rest)
    elif known.task == "docs":
        docs(rest)
    else:
        test(rest)


if __name__ == "__main__":
    main()
