import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from slicerxai.server import logs, worker
from slicerxai.server.jobs import Job, JobStore
from slicerxai.server.pseudonyms import pseudonym
from slicerxai.server.redaction import Redaction
from slicerxai.settings import settings

JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJqYW5lIn0.c2lnbmF0dXJl"


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("SLICERXAI_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def redact():
    redaction = Redaction()
    redaction.hide_files_of([Path("/data/studies"), Path("/data/studies/deeper")])
    redaction.learn(["Doe_Jane_1970", "Doe_Jane_1970_T1", "x1"])
    return redaction


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {JWT}",
        f"token={JWT}&x=1",
        "POST /auth/token password=hunter2-long&x=1",
        '{"client_secret": "hunter2-long"}',
        "{'password': 'hunter2-long'}",
        "https://admin:hunter2-long@pacs.example.org/dicom-web",
        "Authorization: Basic aHVudGVyMi1sb25n",
    ],
)
def test_secrets_are_taken_out(redact, text):
    clean = redact(text)
    assert not any(secret in clean for secret in (JWT, "hunter2", "aHVudGVyMi1sb25n", "c2lnbmF0dXJl"))


@pytest.mark.parametrize(
    "text",
    [
        "cannot read /data/studies/Doe_Jane_1970.nii.gz: truncated",
        "[Errno 2] No such file: '/data/studies/Doe, Jane.nii.gz'",
        '[Errno 2] No such file: "/data/studies/O\'Doe Jane.nii.gz"',
        "/data/studies/deeper/Doe Jane/T1.nii.gz",
        "image Doe_Jane_1970 failed",
        "images: ['Doe_Jane_1970_T1', 'Doe_Jane_1970']",
        "PatientName: Doe^Jane^M",
        "PatientName: Doe Miller^Jane",
    ],
)
def test_names_of_patients_are_taken_out(redact, text):
    assert not re.search("doe|jane|1970", redact(text), re.IGNORECASE)


def test_what_follows_a_path_stays(redact):
    assert redact("cannot read /data/studies/a.nii.gz: truncated").endswith("]: truncated")


def test_an_image_keeps_one_pseudonym(redact):
    first, second = redact("image Doe_Jane_1970 failed"), redact("scoring Doe_Jane_1970")
    assert first == f"image {pseudonym('Doe_Jane_1970')} failed"
    assert pseudonym("Doe_Jane_1970") in second
    assert pseudonym("Doe_Jane_1970") != pseudonym("Doe_Jane_1971")


def test_the_pseudonym_needs_the_key(monkeypatch, tmp_path):
    here = pseudonym("Doe")
    assert (tmp_path / "home" / "pseudonym.key").stat().st_mode & 0o777 == 0o600
    monkeypatch.setenv("SLICERXAI_HOME", str(tmp_path / "other"))
    settings.cache_clear()
    assert pseudonym("Doe") != here


def test_uids_of_dicom_become_pseudonyms_and_addresses_stay(redact):
    uid = "1.2.840.113619.2.5.1762583153"
    assert redact(f"series {uid} from 192.168.10.7, torch 2.6.0, 0.25 s") == (
        f"series {pseudonym(uid)} from 192.168.10.7, torch 2.6.0, 0.25 s"
    )


def test_ordinary_lines_stay_as_they_are(redact):
    text = "training 'lesions' (fast) on 12 labelled images; x1; /home/x/.slicerxai/models/lesions"
    assert redact(text) == text


def test_a_list_that_changes_is_followed(redact):
    names = ["first-image"]
    redact.follow(lambda: names)
    assert "first-image" not in redact("first-image")


@pytest.fixture
def log(tmp_path):
    """Lines that were logged, as JSON."""
    root, file = logging.getLogger(), tmp_path / "logs" / "app.log"
    before, level = list(root.handlers), root.level
    logs.configure(file, (Path("/data/studies"),))
    yield lambda: [json.loads(line) for line in file.read_text().splitlines()]
    for handler in root.handlers:
        if handler not in before:
            handler.close()
    root.handlers[:] = before
    root.setLevel(level)
    os.environ.pop(logs.FILE_VARIABLE, None)


def test_a_line_is_one_object(log):
    token = logs.REQUEST.set("a-request")
    try:
        try:
            raise FileNotFoundError(2, "No such file", "/data/studies/Doe_Jane.nii.gz")
        except FileNotFoundError:
            logging.getLogger("slicerxai.x").exception("broken\nin two lines", extra={"seconds": 0.5, "route": "/a"})
    finally:
        logs.REQUEST.reset(token)
    (line,) = log()
    assert line["level"] == "ERROR"
    assert (line["logger"], line["message"]) == ("slicerxai.x", "broken\nin two lines")
    assert (line["request"], line["seconds"], line["route"]) == ("a-request", 0.5, "/a")
    assert "Traceback" in line["exception"]
    assert "Doe" not in json.dumps(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line["time"])


def test_monai_label_s_chatter_is_left_out_and_its_warnings_are_not(log):
    logger = logging.getLogger("monailabel.endpoints.infer")
    logger.info("Infer Request: {'image': 'Doe_Jane'}")
    logger.warning("something is wrong")
    assert [line["message"] for line in log()] == ["something is wrong"]


def test_handlers_of_the_stock_start_write_nothing_any_more(tmp_path, log, capsys):
    """It gives the loggers of tasks files of their own, past the root logger."""
    task = logging.getLogger("task_scoring_of_this_test")
    task.setLevel(logging.INFO)
    task.propagate = False
    task.addHandler(logging.FileHandler(tmp_path / "task.log"))
    logs.configure(tmp_path / "logs" / "app.log", (Path("/data/studies"),))
    task.info("image /data/studies/Doe_Jane.nii.gz: 0.5")
    assert "Doe" not in (tmp_path / "task.log").read_text()
    assert [line["logger"] for line in log()] == [task.name]
    assert "Doe" not in json.dumps(log())


def test_the_file_is_private(log, tmp_path):
    logging.getLogger("slicerxai").info("x")
    assert (tmp_path / "logs" / "app.log").stat().st_mode & 0o777 == 0o600


def test_a_full_disk_stops_nobody(log, monkeypatch, capsys):
    def full(*_):
        raise OSError(28, "No space left on device")

    handler = next(one for one in logging.getLogger().handlers if isinstance(one, logs.SharedFile))
    monkeypatch.setattr(handler, "_follow", full)
    for _ in range(3):
        logging.getLogger("slicerxai").info("Doe_Jane")
    said = capsys.readouterr().err
    assert said.count("cannot be written: No space left on device") == 1
    assert "Doe" not in said


def test_processes_share_a_file_that_is_rotated(tmp_path):
    """No line is lost or broken when three processes write while the file is rotated under them."""
    code = (
        "import logging, sys; from pathlib import Path; from slicerxai.server import logs;"
        "logs.FILE_BYTES = 20_000; logs.FILES_KEPT = 20; logs.configure(Path(sys.argv[1]), ());"
        "[logging.getLogger('x').info('%s %d', sys.argv[2], n) for n in range(200)]"
    )
    file = tmp_path / "app.log"
    writers = [subprocess.Popen([sys.executable, "-c", code, str(file), str(number)]) for number in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    lines = [
        line for path in tmp_path.glob("app.log*") if path.suffix != ".lock" for line in path.read_text().splitlines()
    ]
    said = [json.loads(line)["message"] for line in lines]
    assert sorted(said) == sorted(f"{number} {n}" for number in range(3) for n in range(200))
    assert len(list(tmp_path.glob("app.log.*"))) > 2


def test_lines_of_a_worker_name_job_and_request(log, tmp_path):
    store = JobStore(tmp_path / "jobs.sqlite3")
    job = Job(kind="explain", method="saliency", request={}, owner="x", request_id="from-a-client")
    store.add(job)
    failure = worker.execute(store.path, job.computation, _fail, ("/data/studies/Doe_Jane.nii.gz",))
    assert isinstance(failure, worker.Failure)
    line = next(line for line in log() if "exception" in line)
    assert (line["job"], line["request"]) == (job.computation, "from-a-client")
    assert "Doe" not in json.dumps(log())
    assert logs.JOB.get() == logs.REQUEST.get() == ""
    store.close()


def _fail(progress, path):
    raise RuntimeError(f"{path}: no such thing")
