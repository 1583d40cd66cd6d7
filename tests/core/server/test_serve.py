import socket

import pytest

from slicerxai.errors import InputError
from slicerxai.server.serve import check_app_dir, check_studies, serve
from slicerxai.settings import settings


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("SLICERXAI_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MONAI_LABEL_AUTH_ENABLE", raising=False)
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_a_missing_studies_folder_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere: no such folder"):
        serve(tmp_path / "nowhere")


def test_studies_that_are_a_file(tmp_path):
    path = tmp_path / "scan.nii.gz"
    path.touch()
    with pytest.raises(InputError, match="is a file"):
        check_studies(path)


def test_a_port_in_use_is_named(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=rf"port {port} .* --port"):
            serve(tmp_path, port=port)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "0", "", "192.168.0.7", "::", "::0", "::ffff:0.0.0.0", "fd00::2", "example.org"]
)
def test_other_machines_need_logins(tmp_path, host):
    with pytest.raises(InputError, match="--allow-unauthenticated"):
        serve(tmp_path, host=host, port=0)


@pytest.mark.parametrize("realm", ["http://idp.example/realms/hospital", "idp.example", ""])
def test_logins_need_a_provider_whose_keys_nobody_can_change_on_their_way(tmp_path, monkeypatch, realm):
    monkeypatch.setenv("MONAI_LABEL_AUTH_ENABLE", "true")
    monkeypatch.setenv("MONAI_LABEL_AUTH_REALM_URI", realm)
    with pytest.raises(InputError, match=r"MONAI_LABEL_AUTH_REALM_URI .*https"):
        serve(tmp_path, host="0.0.0.0", port=0)


def test_an_unknown_host(tmp_path):
    with pytest.raises(InputError, match="unknown address"):
        serve(tmp_path, host="no such host.invalid", port=0, allow_unauthenticated=True)


def test_the_default_app_folder_is_made_and_another_must_be_one(tmp_path):
    folder = check_app_dir(None)
    assert "SlicerXAIApp" in (folder / "main.py").read_text()
    with pytest.raises(InputError, match=r"no main\.py"):
        check_app_dir(tmp_path)
