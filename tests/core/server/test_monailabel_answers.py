"""What MONAI Label's routes answer, without the server's paths."""

import pytest
from starlette.responses import PlainTextResponse

from slicerxai.errors import InputError, NotFoundError
from slicerxai.server.monailabel import answers
from slicerxai.server.monailabel.image_files import inside


@pytest.fixture
def studies(tmp_path, monkeypatch):
    folder = tmp_path / "studies"
    folder.mkdir()
    monkeypatch.setattr(answers.monailabel_settings, "MONAI_LABEL_STUDIES", str(folder))
    return folder


def test_places_are_told_from_the_folder_on(studies):
    told = answers.without_paths(
        {"id": "one", "path": f"{studies}/one.nii.gz", "log": [f"read {studies}/one.nii.gz", str(studies), 3, None]}
    )
    assert told == {"id": "one", "log": ["read one.nii.gz", ".", 3, None]}


def test_what_others_wrote_stays(studies):
    kept = {"path": "a path of a user's own", "comment": "/etc", "deep": [{"path": 3}, (1, "x")]}
    assert answers.without_paths(kept) == kept | {"deep": [{"path": 3}, [1, "x"]]}


def test_responses_pass(studies):
    response = PlainTextResponse(str(studies))
    assert answers.without_paths(response) is response


def test_the_log_is_text_without_folders(studies, tmp_path):
    log = tmp_path / "app.log"
    log.write_text("".join(f"{number} <b> {studies}/x\n" for number in range(30)))
    shown = answers.show_log(str(log), 2, True, False, 0)
    assert shown.media_type == "text/plain"
    assert shown.body == b"28 <b> x\n29 <b> x\n"
    assert len(answers.show_log(str(log), 0).body.splitlines()) == 30
    with pytest.raises(NotFoundError):
        answers.show_log(str(tmp_path / "nothing"), 2)


def test_links_out_of_the_studies_are_not_followed(studies, tmp_path):
    class Store:
        _datastore_path = str(studies)

    (tmp_path / "secret").write_text("x")
    (studies / "link").symlink_to(tmp_path / "secret")
    (studies / "near").symlink_to(studies / "one")
    assert inside(Store(), studies / "near", "near") == studies / "one"
    for path in (studies / "link", studies / ".." / "secret", tmp_path / "secret"):
        with pytest.raises(InputError, match="link out of"):
            inside(Store(), path, "it")
