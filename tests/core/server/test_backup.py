import io
import json
import os
import sqlite3
import sys
import tarfile
import threading
from contextlib import closing
from pathlib import Path, PurePosixPath

import pytest
from filelock import FileLock

from slicerxai.cli.main import run
from slicerxai.errors import ConflictError, InputError
from slicerxai.models.store import ModelStore, digest
from slicerxai.server.backup import belongs, make_backup
from slicerxai.server.jobs import Job, JobStore
from slicerxai.server.restore import restore_backup
from slicerxai.settings import settings

KEY = "3f" * 32


def fill(home: Path) -> None:
    files = {
        "models/tiny/model.json": '{"kind": "fast"}',
        "models/tiny/weights.pt": "weights",
        "alarms/abc/alarm.json": "{}",
        f"jobs/results/{KEY}/explanation.json": "{}",
        "audit/audit.jsonl": '{"time": "now"}\n',
        "dicom/0a/labels/final/x.nrrd": "label",
        # left out
        "dicom/0a/images/x.nii.gz": "image",
        "cohorts/a/1.nii.gz": "image",
        "sessions/s/1.nii.gz": "image",
        "scores/x.json": "{}",
        "monailabel_app/logs/app.log": "log",
        "models/.building-1/model.json": "half",
        f"jobs/results/.{KEY}-1/explanation.json": "half",
        "jobs/jobs.sqlite3.lock": "",
    }
    for name, text in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    (home / "pseudonym.key").write_bytes(b"k" * 32)
    (home / "pseudonym.key").chmod(0o600)
    store = JobStore(home / "jobs" / "jobs.sqlite3")
    store.add(Job(kind="explain", method="saliency", request={}, owner="x", id="kept", state="done", key=KEY))
    store.add(Job(kind="explain", method="saliency", request={}, owner="x", id="deleted", state="done", key="00" * 32))
    store.add(
        Job(kind="explain", method="saliency", request={}, owner="x", id="running", state="running", key="11" * 32)
    )
    store.close()


@pytest.fixture
def home(tmp_path):
    fill(tmp_path / "home")
    return tmp_path / "home"


def contents(folder: Path) -> dict[str, bytes]:
    """The files that a backup is of, but for the list of jobs, whose bytes may differ."""
    paths = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    return {
        name.as_posix(): path.read_bytes()
        for name, path in paths.items()
        if all(belongs(PurePosixPath(*name.parts[:depth])) for depth in range(1, len(name.parts) + 1))
        and name.name != "jobs.sqlite3"
    }


def test_what_was_saved_comes_back_elsewhere(home, tmp_path):
    file, other = tmp_path / "backup.tar", tmp_path / "other"
    saved = make_backup(file, home)
    assert restore_backup(file, other).files == saved.files
    assert contents(other) == contents(home)
    assert set(contents(home)) == {
        "models/tiny/model.json",
        "models/tiny/weights.pt",
        "alarms/abc/alarm.json",
        f"jobs/results/{KEY}/explanation.json",
        "audit/audit.jsonl",
        "dicom/0a/labels/final/x.nrrd",
        "pseudonym.key",
    }
    assert not (other / "cohorts").exists()
    store = JobStore(other / "jobs" / "jobs.sqlite3")
    assert {job.id for job in store.newest(10)} == {"kept", "running"}  # the result of "deleted" is nowhere
    store.close()
    assert file.stat().st_mode & 0o777 == 0o600
    assert (other / "pseudonym.key").stat().st_mode & 0o777 == 0o600
    assert not [path for folder in (home, other) for path in folder.glob(".*")]


def test_labels_and_worklists_of_the_studies(home, tmp_path):
    studies, others, file = tmp_path / "studies", tmp_path / "others", tmp_path / "backup.tar"
    for name in ("datastore_v2.json", "labels/final/a.nii.gz", "worklist/d/review/a.json", "a.nii.gz"):
        (studies / name).parent.mkdir(parents=True, exist_ok=True)
        (studies / name).write_text(name)
    others.mkdir()
    make_backup(file, home, studies)
    assert restore_backup(file, tmp_path / "without").studies_left == 3
    assert restore_backup(file, tmp_path / "with", others).studies_left == 0
    assert contents(others) == {name: data for name, data in contents(studies).items() if name != "a.nii.gz"}
    assert len(contents(others)) == 3


def test_a_backup_while_models_and_results_are_replaced_is_of_whole_ones(home, tmp_path):
    """Each model holds one number twice: a mixture of two models would show."""
    models, ended = ModelStore(home / "models"), threading.Event()

    def write() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            with models.create("tiny") as folder:
                (folder / "model.json").write_text(json.dumps({"kind": "fast", "number": number}))
                (folder / "weights.pt").write_text(str(number))
            ended.wait(0.01)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for attempt in range(10):
            file, other = tmp_path / f"{attempt}.tar", tmp_path / f"{attempt}"
            make_backup(file, home)
            restore_backup(file, other)
            model = other / "models" / "tiny"
            assert json.loads((model / "model.json").read_text()).get("number", "weights") == _number(model)
    finally:
        ended.set()
        writer.join()
    assert digest(models.folder("tiny"))


def test_a_model_whose_folder_has_the_number_of_a_deleted_one_is_not_mixed_with_it(home, tmp_path, monkeypatch):
    """File systems give the inode of a deleted folder to the next one, some at once; not while someone has it open."""
    models, link, replaced, kept = ModelStore(home / "models"), os.link, [], []

    def write(number: int) -> None:
        with models.create("tiny") as folder:
            (folder / "model.json").write_text(json.dumps({"kind": "fast", "number": number}))
            (folder / "weights.pt").write_text(str(number))

    def linked(source: Path, target: Path) -> None:
        link(source, target)
        if Path(source).name == "model.json" and not replaced:
            replaced.extend(range(2, 12))
            for number in replaced:
                write(number)
            if sys.platform == "linux":
                opened = [os.path.realpath(path) for path in Path("/proc/self/fd").iterdir()]
                kept.append(any(".retired-" in path and "(deleted)" in path for path in opened))

    write(1)
    monkeypatch.setattr(os, "link", linked)
    make_backup(tmp_path / "backup.tar", home)
    restore_backup(tmp_path / "backup.tar", tmp_path / "other")
    model = tmp_path / "other" / "models" / "tiny"
    assert replaced
    assert all(kept)
    assert json.loads((model / "model.json").read_text())["number"] == _number(model) == 11


def _number(model: Path) -> object:
    text = (model / "weights.pt").read_text()
    return int(text) if text.isdecimal() else text


def test_nothing_is_overwritten_unasked(home, tmp_path):
    file = tmp_path / "backup.tar"
    make_backup(file, home)
    with pytest.raises(ConflictError, match="--force"):
        make_backup(file, home)
    make_backup(file, home, force=True)
    before = contents(home)
    with pytest.raises(ConflictError, match=r"there already: .*--force"):
        restore_backup(file, home)
    assert contents(home) == before
    (home / "models" / "later").mkdir()
    (home / "models" / "later" / "model.json").write_text("{}")
    (kept,) = restore_backup(file, home, force=True).replaced
    assert contents(home) == before
    assert (kept / "models" / "later" / "model.json").is_file()
    assert (home / "cohorts" / "a" / "1.nii.gz").is_file()


def test_a_server_that_runs_is_not_pulled_away(home, tmp_path):
    file = tmp_path / "backup.tar"
    make_backup(file, home)
    (home / "jobs" / "servers").mkdir()
    with FileLock(home / "jobs" / "servers" / "a.lock"), pytest.raises(ConflictError, match="stop it first"):
        restore_backup(file, home, force=True)


def test_when_renaming_fails_all_is_as_before(home, tmp_path, monkeypatch):
    file = tmp_path / "backup.tar"
    make_backup(file, home)
    before, rename, count = contents(home), Path.rename, 0

    def failing(self: Path, target: Path) -> Path:
        nonlocal count
        count += 1
        if count == 5:
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="No space"):
        restore_backup(file, home, force=True)
    assert count > 5
    assert contents(home) == before


@pytest.mark.parametrize("where", [0.1, 0.5, 0.9])
def test_a_damaged_backup_changes_nothing(home, tmp_path, where):
    file, other = tmp_path / "backup.tar", tmp_path / "other"
    make_backup(file, home)
    content = bytearray(file.read_bytes())
    file.write_bytes(content[: int(len(content) * where)])
    with pytest.raises(InputError, match="no usable backup"):
        restore_backup(file, other)
    assert not list(other.iterdir())


def test_a_changed_file_is_named(home, tmp_path):
    file = tmp_path / "backup.tar"
    make_backup(file, home)
    file.write_bytes(file.read_bytes().replace(b"weights", b"WEIGHTS"))
    with pytest.raises(InputError, match=r"1 files are not as they were saved|no usable backup"):
        restore_backup(file, tmp_path / "other")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("../outside", tarfile.REGTYPE),
        ("home/../../outside", tarfile.REGTYPE),
        ("/etc/outside", tarfile.REGTYPE),
        ("home/models\\..\\outside", tarfile.REGTYPE),
        ("home/.ssh/outside", tarfile.REGTYPE),
        ("elsewhere/outside", tarfile.REGTYPE),
        ("home", tarfile.REGTYPE),
        ("home/models/outside", tarfile.SYMTYPE),
        ("home/models/outside", tarfile.LNKTYPE),
        ("home/models/outside", tarfile.FIFOTYPE),
        ("home/models/outside", tarfile.CHRTYPE),
    ],
)
def test_a_hostile_backup_writes_nothing(tmp_path, name, kind):
    file, home = tmp_path / "evil.tar", tmp_path / "in" / "home"
    with tarfile.open(file, "w") as archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, "/etc/passwd"
        if kind == tarfile.REGTYPE:
            info.size = 4
        archive.addfile(info, io.BytesIO(b"evil"))
    with pytest.raises(InputError, match="which no backup has"):
        restore_backup(file, home)
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == [file]


def test_a_backup_of_an_older_version_comes_back_at_todays(tmp_path):
    home, file = tmp_path / "home", tmp_path / "backup.tar"
    fill(home)
    old = Path(__file__).parent / "data" / "jobs_1.sql"
    (home / "jobs" / "jobs.sqlite3").unlink()
    with closing(sqlite3.connect(home / "jobs" / "jobs.sqlite3")) as connection:
        connection.executescript(old.read_text())
    make_backup(file, home)
    restore_backup(file, home, force=True)
    store = JobStore(home / "jobs" / "jobs.sqlite3")
    assert store.get(f"{1:032x}").state == "done"
    store.close()


def test_both_commands(home, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SLICERXAI_HOME", str(home))
    settings.cache_clear()
    try:
        file = str(tmp_path / "backup.tar")
        assert run(["backup", file]) == 0
        assert "saved 8 files" in capsys.readouterr().out
        assert run(["backup", file]) == 2
        assert run(["restore", file]) == 2
        assert run(["restore", file, "--force"]) == 0
        assert "what was there before is in" in capsys.readouterr().out
    finally:
        settings.cache_clear()
