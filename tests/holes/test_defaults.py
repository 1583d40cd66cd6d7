"""Holes of what MONAI Label 0.8.5 is set to as shipped, found without a server."""

from __future__ import annotations

import base64
import inspect
from io import BytesIO
from pathlib import Path

import jwt
import pytest
import torch
from cryptography.hazmat.primitives import serialization
from monailabel.config import Settings
from monailabel.config import settings as monailabel_settings
from monailabel.endpoints.user import auth
from monailabel.main import Main

from slicerxai.errors import InputError
from slicerxai.models.fast import WEIGHTS
from slicerxai.models.store import ModelStore
from slicerxai.server.provider import Provider
from slicerxai.server.serve import serve
from slicerxai.server.tokens import key_id, verified
from tests.support.issuer import AUDIENCE, REALM, Issuer
from tests.support.small_studies import store_model


def test_the_address_that_is_bound(tmp_path):
    assert Main().args_parser().parse_args(["start_server"]).host == "0.0.0.0"
    assert inspect.signature(serve).parameters["host"].default == "127.0.0.1"
    with pytest.raises(InputError, match="without a login"):
        serve(tmp_path, host="0.0.0.0", port=0)


def test_a_good_token(monkeypatch):
    """As shipped none is accepted, since none is decoded; a server with logins is of no use."""
    with Issuer() as issuer:
        monkeypatch.setattr(monailabel_settings, "MONAI_LABEL_AUTH_ENABLE", True)
        monkeypatch.setattr(monailabel_settings, "MONAI_LABEL_AUTH_REALM_URI", issuer.url)
        der = serialization.load_pem_public_key(issuer.public_pem).public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        issuer.documents[REALM] = {"public_key": base64.b64encode(der).decode()}
        token = issuer.token("user")
        with pytest.raises(jwt.DecodeError, match="algorithms"):
            auth.from_token(token)
        claims = verified(token, Provider(issuer.url, 10).keys(key_id(token)), AUDIENCE)
    assert claims["preferred_username"] == "ada"


def test_studies_are_searched_for_other_modalities():
    """As shipped a DICOMweb server is asked for CT, of which no model here knows anything."""
    assert Settings.model_fields["MONAI_LABEL_DICOMWEB_SEARCH_FILTER"].default == {"Modality": "CT"}


class Runs:
    """What a pickle runs when it is loaded."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


def test_weights_that_run_code(tmp_path):
    """`torch.load` without `weights_only` runs it, as MONAI Label called it before torch 2.6 changed the default."""
    target, buffer = tmp_path / "ran", BytesIO()
    torch.save({"state_dict": Runs(target)}, buffer)
    torch.load(BytesIO(buffer.getvalue()), weights_only=False)
    assert target.exists()
    target.unlink()
    store = ModelStore(tmp_path / "models")
    store_model(store, "evil")
    (store.folder("evil") / WEIGHTS).write_bytes(buffer.getvalue())
    with pytest.raises(InputError):
        store.load("evil", torch.device("cpu"))
    assert not target.exists()
