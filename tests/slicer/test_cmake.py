"""The extension's CMake files: real `cmake` configures, builds and packages them against a stand-in for Slicer's.

Only scripts are packaged, so that neither a compiler nor make is needed: `cmake` and `ninja` are wheels.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

cmake = pytest.importorskip("cmake", reason="the wheel `cmake` is not installed")
ninja = pytest.importorskip("ninja", reason="the wheel `ninja` is not installed")

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
FOLDERS = "SlicerXAIExtension"
INSTALLED = Path("lib/Slicer-5.8/qt-scripted-modules")


def tool(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run cmake or cpack; both of its streams are in `stdout`."""
    program = shutil.which(name, path=cmake.CMAKE_BIN_DIR)
    assert program
    command = [program, *map(str, arguments)]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.run(command, **streams, check=False, text=True, timeout=120)


def succeed(step: subprocess.CompletedProcess[str]) -> None:
    assert step.returncode == 0, step.stdout


def configure(source: Path, build: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Configure without a compiler: CMake is told one and not to try it."""
    compiler = [
        f"-DCMAKE_{language}_COMPILER{name}"
        for language in ("C", "CXX")
        for name in (f"={Path(sys.executable).as_posix()}", "_FORCED=ON", "_ID_RUN=ON")
    ]
    make = shutil.which("ninja", path=ninja.BIN_DIR)
    slicer = f"-DSlicer_DIR={(HERE / 'fake_slicer').as_posix()}"
    return tool(
        "cmake", "-S", source, "-B", build, "-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={make}", slicer, *compiler, *more
    )


def packaged(source: Path, folder: Path) -> Path:
    """Configure, build and package an extension; the folder that users' modules are loaded from, out of the package."""
    build = folder / "build"
    succeed(configure(source, build))
    succeed(tool("cmake", "--build", build))
    succeed(tool("cpack", "--config", build / "CPackConfig.cmake", "-B", folder / "package"))
    shutil.unpack_archive(folder / "package" / "ExplainableAI.tar.gz", folder / "unpacked")
    return folder / "unpacked" / "ExplainableAI" / INSTALLED


def files(folder: Path) -> dict[str, bytes]:
    """What a folder holds, apart from hidden files, caches and CMake's own."""
    names = {path.relative_to(folder): path for path in sorted(folder.rglob("*")) if path.is_file()}
    return {
        name.as_posix(): path.read_bytes()
        for name, path in names.items()
        if not any(part in {"CMakeLists.txt", "__pycache__"} or part.startswith(".") for part in name.parts)
    }


def wanted(extension: Path) -> dict[str, bytes]:
    """What the package of a source tree must hold: modules' files side by side, a shared library in its own folder."""
    content: dict[str, bytes] = {}
    for folder in (path for path in (extension / FOLDERS).iterdir() if (path / "CMakeLists.txt").exists()):
        prefix = f"{folder.name}/" if (folder / "__init__.py").exists() else ""
        content |= {prefix + name: text for name, text in files(folder).items()}
    return content


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the extension's source tree to spoil."""
    source = tmp_path / "source"
    shutil.copytree(ROOT / FOLDERS, source / FOLDERS, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for name in ("CMakeLists.txt", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    return source


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of this very tree, unpacked."""
    return packaged(ROOT, tmp_path_factory.mktemp("extension"))


def without_line(path: Path, text: str) -> None:
    lines = path.read_text().splitlines(keepends=True)
    kept = [line for line in lines if text not in line]
    assert len(kept) == len(lines) - 1, f"{path} must name {text} once"
    path.write_text("".join(kept))


def test_every_file_is_in_the_package_and_nothing_else(package: Path) -> None:
    expected, found = wanted(ROOT), files(package)
    assert sorted(found) == sorted(expected)
    assert found == expected


def test_self_tests_of_all_modules_are_registered(tmp_path: Path) -> None:
    result = configure(ROOT, tmp_path / "build", "-DBUILD_TESTING=ON")
    succeed(result)
    modules = {path.stem for path in (ROOT / FOLDERS).glob("*/XAI*.py") if path.stem == path.parent.name}
    assert set(re.findall(r"self test: (\w+)\.py", result.stdout)) == modules


def test_a_folder_that_is_not_added_is_missed(copy: Path, tmp_path: Path) -> None:
    without_line(copy / "CMakeLists.txt", "add_subdirectory(SlicerXAIExtension/XAILib)")
    missed = set(wanted(copy)) - set(files(packaged(copy, tmp_path)))
    assert missed == {f"XAILib/{name}" for name in files(copy / FOLDERS / "XAILib")}


@pytest.mark.parametrize(
    ("folder", "line", "name"),
    [
        ("XAILib", "  client.py", "client.py"),
        ("XAISaliency", "${MODULE_NAME}Lib/widget.py", "XAISaliencyLib/widget.py"),
        ("XAISaliency", "Resources/UI/${MODULE_NAME}.ui", "Resources/UI/XAISaliency.ui"),
    ],
)
def test_a_file_left_out_of_the_list_is_flagged_by_name(
    copy: Path, tmp_path: Path, folder: str, line: str, name: str
) -> None:
    without_line(copy / FOLDERS / folder / "CMakeLists.txt", line)
    result = configure(copy, tmp_path / "build")
    assert result.returncode != 0
    assert re.findall(r"does not\s+list\s+(\S+)", result.stdout) == [name]
    assert f"{folder}/CMakeLists.txt" in result.stdout


def test_a_listed_file_that_does_not_exist_is_flagged_by_name(copy: Path, tmp_path: Path) -> None:
    (copy / FOLDERS / "XAILib" / "client.py").unlink()
    result = configure(copy, tmp_path / "build")
    assert result.returncode != 0
    assert re.findall(r"lists\s+(\S+),\s+which", result.stdout) == ["client.py"]


def test_missing_metadata_is_flagged_by_name(copy: Path, tmp_path: Path) -> None:
    without_line(copy / "CMakeLists.txt", "EXTENSION_ICONURL")
    result = configure(copy, tmp_path / "build")
    assert result.returncode != 0
    assert "EXTENSION_ICONURL is not set" in result.stdout


def test_the_installed_module_finds_the_shared_library(package: Path, tmp_path: Path) -> None:
    pytest.importorskip("slicer", reason="slicer-core is not installed")
    code = """
import sys
from pathlib import Path
installed, double = sys.argv[1:]
sys.path.insert(0, double)
import slicer_double
slicer_double.install()
sys.path.append(installed)  # as Slicer does for every folder of modules
import XAISaliency, XAIShift, XAILib, XAIPanels, XAISaliencyLib.widget, XAIShiftLib.widget, XAIReviewLib.widget
for module in (XAISaliency, XAIShift, XAILib, XAIPanels, XAISaliencyLib, XAIShiftLib, XAIReviewLib):
    assert Path(module.__file__).is_relative_to(installed), module.__file__
print("found")
"""
    command = [sys.executable, "-c", code, str(package), str(HERE)]
    result = subprocess.run(command, check=False, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert "found" in result.stdout, result.stderr


def test_description_for_the_extension_index_agrees_with_cmake() -> None:
    text = (ROOT / "CMakeLists.txt").read_text()
    values = dict(re.findall(r'set\(EXTENSION_(\w+) "([^"]+)"\)', text))
    entry = json.loads((ROOT / "ExplainableAI.json").read_text())
    assert re.findall(r"project\((\w+)\)", text) == ["ExplainableAI"]
    assert entry["category"] == values["CATEGORY"]
    assert (entry["build_dependencies"] or "NA") == values["DEPENDS"]
    assert entry["scm_url"] == values["HOMEPAGE"] + ".git"
    raw = values["HOMEPAGE"].replace("github.com", "raw.githubusercontent.com") + f"/{entry['scm_revision']}/"
    for url in (values["ICONURL"], *values["SCREENSHOTURLS"].split()):
        assert url.startswith(raw)
        assert (ROOT / url.removeprefix(raw)).is_file(), url
