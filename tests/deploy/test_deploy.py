"""The container file and the systemd unit, as far as they can be tested without building and booting."""

import fnmatch
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from slicerxai.cli.main import COMMANDS, run
from slicerxai.settings import Settings, settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "slicerxai.service"
MAX_EXPOSURE = 15
"""Tenths, as `systemd-analyze security` rates a unit; 0 is the best and 100 the worst."""


def instructions():
    """Instruction and arguments of the container file, continued lines joined."""
    text = re.sub(r"\\\n\s*", " ", re.sub(r"(?m)^#.*\n", "", (DEPLOY / "Containerfile").read_text()))
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]


def test_every_instruction_is_one():
    known = {"ARG", "FROM", "RUN", "WORKDIR", "COPY", "ENV", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK"}
    assert {name for name, _ in instructions()} <= known | {"ENTRYPOINT", "CMD"}


def test_what_is_copied_is_there_and_not_ignored():
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    sources = [
        source
        for name, rest in instructions()
        if name == "COPY" and not rest.startswith("--from")
        for source in shlex.split(rest)[:-1]
    ]
    assert {"constraints.txt", "pyproject.toml", "core"} <= set(sources)
    for source in sources:
        assert (ROOT / source).exists(), source
        assert any(fnmatch.fnmatch(source, pattern) for pattern in kept), source


def test_shell_commands_are_valid():
    for name, rest in instructions():
        if name == "RUN":
            subprocess.run(["sh", "-n", "-c", rest], check=True)


def test_the_process_is_nobody_s_and_ends_by_the_right_signal():
    final = [name for name, _ in instructions()][::-1].index("FROM")
    last = dict(instructions()[-final:])
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", last["USER"])
    assert last["STOPSIGNAL"] == "SIGTERM"


def test_the_container_refuses_to_serve_others_without_logins(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SLICERXAI_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MONAI_LABEL_AUTH_ENABLE", raising=False)
    settings.cache_clear()
    command = json.loads(dict(instructions())["CMD"])
    assert command[0] in COMMANDS
    assert run([str(tmp_path) if part == "/studies" else part for part in command]) == 2
    assert "MONAI_LABEL_AUTH_ENABLE" in capsys.readouterr().err
    settings.cache_clear()


def test_the_health_check_tells_well_from_ill(tmp_path):
    """Its command, against a server that answers 200 and then 503."""
    code = re.search(r'CMD (\["python".*\])', dict(instructions())["HEALTHCHECK"])[1]
    server = tmp_path / "server.py"
    server.write_text(
        "import http.server, sys\n"
        "class Handler(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        assert self.path == '/health/ready'\n"
        "        self.send_response(int(sys.argv[1])); self.end_headers()\n"
        "    def log_message(self, *_): pass\n"
        "server = http.server.HTTPServer(('127.0.0.1', 0), Handler)\n"
        "print(server.server_port, flush=True); server.handle_request()\n"
    )
    codes = []
    for status in ("200", "503"):
        with subprocess.Popen([sys.executable, server, status], stdout=subprocess.PIPE, text=True) as process:
            port = process.stdout.readline().strip()
            command = [sys.executable, *json.loads(code)[1:-1], json.loads(code)[-1].replace(":8000", f":{port}")]
            codes.append(subprocess.run(command, check=False, capture_output=True).returncode)
    assert codes == [0, 1]


@pytest.fixture
def unit(tmp_path):
    """The unit with a program that exists on this machine in place of the installed one."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    path = tmp_path / UNIT.name
    path.write_text(UNIT.read_text().replace("/opt/slicerxai/bin/slicerxai", "/bin/true"))
    return path


def test_systemd_accepts_the_unit(unit):
    verdict = subprocess.run(["systemd-analyze", "verify", unit], check=False, capture_output=True, text=True)
    assert verdict.returncode == 0, verdict.stderr
    assert unit.name not in verdict.stderr


def test_systemd_finds_the_unit_confined(unit):
    command = ["systemd-analyze", "security", "--offline=yes", "--no-pager", f"--threshold={MAX_EXPOSURE}", unit]
    verdict = subprocess.run(command, check=False, capture_output=True, text=True)
    assert verdict.returncode == 0, verdict.stdout


def test_the_unit_leaves_the_server_time_to_stop():
    stop = int(re.search(r"(?m)^TimeoutStopSec=(\d+)$", UNIT.read_text())[1])
    assert stop > 4 * Settings.model_fields["shutdown_seconds"].default


def test_the_settings_of_the_example_exist():
    from monailabel.config import Settings as MonaiLabelSettings

    names = re.findall(r"(?m)^#?([A-Z_]+)=", (DEPLOY / "environment").read_text())
    ours = {f"SLICERXAI_{name.upper()}" for name in Settings.model_fields}
    assert {"STUDIES", "BIND"} < set(names)
    assert set(names) <= ours | set(MonaiLabelSettings.model_fields) | {"STUDIES", "BIND"}
    assert {"STUDIES", "BIND"} == set(re.findall(r"\$\{(\w+)\}", UNIT.read_text()))
