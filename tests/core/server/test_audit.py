import json
import threading

import anyio
import httpx
import pytest
from starlette.responses import PlainTextResponse, StreamingResponse

from slicerxai.cli.main import run
from slicerxai.server import access
from slicerxai.server.access import ROUTE_KEY, Route, Rule
from slicerxai.server.audit import Audit, note_study
from slicerxai.server.audit_log import CURRENT, AuditLog, entries
from slicerxai.server.identity import STATE_KEY, Identity
from slicerxai.server.pseudonyms import pseudonym
from slicerxai.settings import settings


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("SLICERXAI_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "home" / "audit"


def lines(folder):
    return [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]


def test_a_line_is_on_the_disk_and_its_owners_alone(folder):
    log = AuditLog(folder, 1000)
    log.write({"user": "Ä\n"})
    assert (folder / CURRENT).read_text() == '{"user": "\\u00c4\\n"}\n'
    assert [path.stat().st_mode & 0o777 for path in (folder, folder / CURRENT)] == [0o700, 0o600]


def test_full_files_are_kept_under_other_names(folder):
    log = AuditLog(folder, 50)
    for number in range(20):
        log.write({"number": number})
    assert sorted(line["number"] for line in lines(folder)) == list(range(20))
    assert all(path.stat().st_size <= 50 + 15 for path in folder.glob("*.jsonl"))
    assert len(list(folder.glob("audit-*.jsonl"))) >= 4


def test_threads_and_processes_lose_no_line_to_one_another(folder):
    logs = [AuditLog(folder, 700) for _ in range(2)]  # each with a descriptor of its own, as two processes have

    def write(writer):
        for number in range(40):
            logs[writer % 2].write({"writer": writer, "number": number})

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted((line["writer"], line["number"]) for line in lines(folder)) == [
        (writer, number) for writer in range(6) for number in range(40)
    ]


def test_a_line_cut_short_does_not_swallow_the_next(folder):
    folder.mkdir()
    (folder / CURRENT).write_text('{"user": "ad')
    AuditLog(folder, 1000).write({"user": "grace"})
    assert (folder / CURRENT).read_text().splitlines()[1] == '{"user": "grace"}'


def test_entries_are_read_in_order_without_torn_lines(folder):
    log = AuditLog(folder, 60)
    for number in range(12):
        log.write({"number": number})
    with (folder / CURRENT).open("a") as file:
        file.write('{"number": 1')
    log.write({"number": 12})
    numbers = [entry["number"] for entry in entries(folder)]
    assert sorted(numbers) == list(range(13))
    assert numbers[-1] == 12


def test_the_command_finds_what_was_done_with_a_study(folder, capsys):
    log = AuditLog(folder, 10**6)
    for user, study in (("ada", "Doe"), ("grace", "Doe"), ("ada", "Roe")):
        log.write({"user": user, "studies": [pseudonym(study)]})

    def users(*arguments):
        assert run(["audit", *arguments]) == 0
        return [json.loads(line)["user"] for line in capsys.readouterr().out.splitlines()]

    assert users() == ["ada", "grace", "ada"]
    assert users("Doe") == ["ada", "grace"]
    assert users("Doe", "--user", "ada") == ["ada"]
    assert users("nobody") == []


def test_a_home_that_went_away_is_not_made_anew(folder):
    folder.parent.rmdir()
    with pytest.raises(FileNotFoundError):
        AuditLog(folder, 1000).write({"user": "ada"})
    assert not folder.parent.exists()


def test_a_removed_file_begins_anew(folder):
    log = AuditLog(folder, 1000)
    log.write({"number": 1})
    (folder / CURRENT).unlink()
    log.write({"number": 2})
    assert lines(folder) == [{"number": 2}]


def full_disk(folder):
    folder.mkdir()
    (folder / CURRENT).symlink_to("/dev/full")


def test_a_full_disk_is_an_error(folder):
    full_disk(folder)
    with pytest.raises(OSError, match="No space"):
        AuditLog(folder, 1000).write({"user": "ada"})


def test_lines_that_did_not_reach_the_disk_are_errors(folder, monkeypatch):
    log = AuditLog(folder, 1000)

    def broken(descriptor):
        raise OSError(5, "broken")

    monkeypatch.setattr("os.fsync", broken)
    with pytest.raises(OSError, match="does not reach"):
        log.write({"user": "ada"})
    monkeypatch.undo()
    log.write({"user": "grace"})


# the middleware

ADA = Identity("ada", frozenset({"monailabel-user"}), authenticated=True)


def ask(app, folder, method="GET", url="/", *, template="/datastore/image", required=True, **scope):
    """The answer of an audited route."""

    async def routed(inner, receive, send):
        state = {ROUTE_KEY: Route(template, access.rule_of(method, template)), STATE_KEY: ADA}
        await Audit(app, log=AuditLog(folder, 10**6), required=required)(
            inner | {"state": state} | scope, receive, send
        )

    async def run():
        transport = httpx.ASGITransport(routed, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, url, headers={"Authorization": "Bearer SECRET"})

    return anyio.run(run)


async def answering(scope, receive, send):
    note_study("Doe^Jane-2")
    await PlainTextResponse("image of a patient", headers={"Location": "/x/explain/jobs/job-7"})(scope, receive, send)


def test_who_read_what_without_saying_whose_it_is(folder):
    answer = ask(answering, folder, url="/datastore/image?image=Doe%5EJane&image=Doe%5EJane-3")
    assert answer.text == "image of a patient"
    (line,) = lines(folder)
    names = ["Doe^Jane", "Doe^Jane-2", "Doe^Jane-3"]
    assert line["studies"] == sorted(map(pseudonym, names))
    assert (line["user"], line["method"], line["route"]) == ("ada", "GET", "/datastore/image")
    assert (line["event"], line["status"], line["job"]) == ("answered", 200, "job-7")
    assert 0 <= line["seconds"] < 60
    assert line["time"].endswith("+00:00")
    written = (folder / CURRENT).read_text()
    assert "Doe" not in written
    assert "SECRET" not in written


@pytest.mark.parametrize(
    ("path_params", "expected"),
    [
        ({"image": "Doe"}, ["Doe"]),
        ({"session_id": "Doe"}, ["Doe"]),
        ({"cohort": "Doe", "case": "1"}, ["Doe/1"]),
        ({"cohort": "Doe"}, ["Doe"]),
        ({"model": "regions"}, []),
    ],
)
def test_studies_of_paths(folder, path_params, expected):
    async def app(scope, receive, send):
        scope["path_params"] = path_params  # as the router does
        await PlainTextResponse("")(scope, receive, send)

    ask(app, folder)
    assert lines(folder)[0]["studies"] == [pseudonym(name) for name in expected]


def test_what_changes_something_is_noted_before_and_after(folder):
    order = []

    async def app(scope, receive, send):
        order.extend(line["event"] for line in lines(folder))
        await answering(scope, receive, send)

    ask(app, folder, "PUT")
    before, after = lines(folder)
    assert order == ["asked"]
    assert (before["event"], after["event"]) == ("asked", "answered")
    assert before["request"] == after["request"]


def test_an_unforeseen_error_is_noted(folder):
    async def app(scope, receive, send):
        raise ZeroDivisionError

    assert ask(app, folder).status_code == 500
    assert lines(folder)[0]["status"] == 500


def test_what_clients_poll_is_not_noted(folder):
    ask(answering, folder, template="/info/")
    ask(answering, folder, template="/docs")
    assert not folder.exists()


def test_an_undecided_route_is_noted(folder):
    ask(answering, folder, template="/new")
    assert lines(folder)[0]["route"] == "/new"


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_nothing_leaves_without_a_line_where_lines_are_required(folder, method):
    ran = []

    async def app(scope, receive, send):
        ran.append(1)
        await StreamingResponse(iter(["image ", "of a patient"]))(scope, receive, send)

    full_disk(folder)
    answer = ask(app, folder, method)
    assert answer.status_code == 503
    assert "audit log" in answer.json()["detail"]
    assert "patient" not in answer.text
    assert bool(ran) is (method == "GET")
    assert ask(app, folder, method, required=False).text == "image of a patient"


def test_a_key_that_cannot_be_made_is_a_line_that_cannot_be_written(folder, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SLICERXAI_HOME", str(tmp_path / "file" / "home"))
    settings.cache_clear()
    assert ask(answering, folder, url="/?image=Doe").status_code == 503
    assert not folder.exists()


def test_every_route_with_data_is_audited():
    unaudited = {template for (_, template), rule in access.TABLE.items() if not rule.audited}
    named = ("image", "label", "session", "cohort", "case", "result", "report", "infer/", "dataset", "worklist")
    assert [template for template in unaudited if any(name in template for name in named)] == []
    assert all(rule.audited for (method, _), rule in access.TABLE.items() if method in {"PUT", "DELETE"})
    assert isinstance(access.TABLE["GET", "/datastore/image"], Rule)
