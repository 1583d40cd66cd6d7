"""Results are verified: cut off, damaged or hostile ones are refused in words, and nothing is written outside."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Callable

import numpy as np
import pytest
from XAILib.errors import ServerError
from XAILib.nrrd import decode
from XAILib.result import Check, Flag, OverlayInfo, Result, Table
from XAILib.verdict import checks_html, checks_text, verdict_html, verdict_text

from slicerxai.data.volume import Volume
from slicerxai.explain import contract
from slicerxai.explain.multipart import encode
from tests.conftest import OBLIQUE_LEFT_HANDED

ARRAY = np.random.default_rng(1).normal(size=(4, 5, 6)).astype(np.float32)
PNG = b"\x89PNG\r\n\x1a\n picture \r\n--with something like a boundary"
EXPLANATION = contract.Explanation(
    method="saliency",
    parameters={"method": "lrp", "point": (1.0, 2.0, 3.0)},
    image_id="case",
    overlays={
        "saliency": contract.Overlay(Volume(ARRAY, OBLIQUE_LEFT_HANDED), "saliency", "logit/mm³", "Ω"),
        "lesions": contract.Overlay(Volume((ARRAY > 1).astype(np.uint8), OBLIQUE_LEFT_HANDED), "labelmap", "label", ""),
    },
    tables={"lesions": contract.Table(title="Lesions", columns=["number", "share"], rows=[[1, None], [2, 0.5]])},
    figures={"curve": contract.Figure(PNG, "A curve")},
    flags=[contract.Flag(subject="lesion 1", message="Look <here>.")],
    metrics={"gap": math.nan, "top": math.inf},
    checks=[
        contract.Check(name="fine", value=0.1, limit=1, verdict="reliable", reason="Is <small>."),
        contract.Check(name="doubtful", value=None, limit=1, verdict="caution", reason="Is & undefined."),
    ],
)
BODY, CONTENT_TYPE = encode(EXPLANATION)


def parts_of(body: bytes, content_type: str) -> dict[str, bytes]:
    boundary = b"--" + content_type.split("boundary=")[1].encode()
    parts = {}
    for piece in body.split(boundary)[1:-1]:
        head, content = piece.split(b"\r\n\r\n", 1)
        parts[re.search(rb' name="([^"]+)"', head)[1].decode()] = content[:-2]
    return parts


def assembled(parts: dict[str, bytes]) -> bytes:
    pieces = [
        b'--B\r\nContent-Disposition: form-data; name="' + name.encode() + b'"\r\n\r\n' + content + b"\r\n"
        for name, content in parts.items()
    ]
    return b"".join(pieces) + b"--B--\r\n"


def changed(edit: Callable[[dict], object], **contents: bytes) -> bytes:
    """The body with an edited document and replaced parts, whose digests are right."""
    parts = parts_of(BODY, CONTENT_TYPE)
    document = json.loads(parts["params"])
    for name, content in contents.items():
        parts[name] = content
        document["overlays"][name]["sha256"] = hashlib.sha256(content).hexdigest()
    edit(document)
    parts["params"] = json.dumps(document).encode()
    return assembled(parts)


def refused(body: bytes, content_type: str = "multipart/form-data; boundary=B") -> ServerError:
    with pytest.raises(ServerError) as caught:
        Result.parse(body, content_type)
    assert caught.value.kind in {"server_fault", "not_explain_server"}
    assert len(caught.value.message.splitlines()) == 1
    return caught.value


def test_a_result_says_what_the_explanation_says() -> None:
    result = Result.parse(BODY, CONTENT_TYPE, job="17")
    assert (result.verdict, result.image_id, result.job) == ("caution", "case", "17")
    assert result.parameters == {"method": "lrp", "point": [1.0, 2.0, 3.0]}
    assert math.isnan(result.metrics["gap"])
    assert result.metrics["top"] == math.inf
    assert result.checks[0] == Check("fine", 0.1, 1, "reliable", "Is <small>.")
    assert result.checks[1].value is None
    assert result.flags == (Flag("lesion 1", "Look <here>."),)
    assert result.tables == {"lesions": Table("Lesions", ("number", "share"), ((1, None), (2, 0.5)))}
    assert result.overlays()[0] == OverlayInfo("saliency", "saliency", "logit/mm³", "Ω")
    assert set(result.parts) == {"saliency", "lesions", "curve.png"}
    assert result.parts["curve.png"] == PNG
    volume = decode(result.parts["saliency"])
    np.testing.assert_array_equal(volume.array, ARRAY)
    np.testing.assert_allclose(volume.affine, OBLIQUE_LEFT_HANDED, atol=1e-6)
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.job = "18"


def test_every_cut_is_noticed() -> None:
    for length in [*range(0, 900, 37), *range(900, len(BODY) - 2, 211), len(BODY) - 3]:
        refused(BODY[:length], CONTENT_TYPE)


def test_every_flipped_byte_is_noticed_or_harmless() -> None:
    whole = Result.parse(BODY, CONTENT_TYPE)
    rng = np.random.default_rng(2)
    noticed = 0
    for position in rng.integers(0, len(BODY), 300):
        body = bytearray(BODY)
        body[position] ^= 1 << int(rng.integers(8))
        try:
            result = Result.parse(bytes(body), CONTENT_TYPE)
        except ServerError:
            noticed += 1
            continue
        assert result.parts == whole.parts  # only the document's own words can change: the transport protects them
    assert noticed > 100


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (assembled({}), "“params” is missing"),
        (assembled({"params": b"{"}), "not JSON"),
        (assembled({"params": b"[" * 100_000}), "not JSON"),
        (assembled({"params": b"[1]"}), "format None"),
        (changed(lambda d: d.update(format=2)), "format 2"),
        (changed(lambda d: d.pop("checks")), "checks"),
        (changed(lambda d: d.update(verdict="splendid")), "splendid"),
        (changed(lambda d: d["checks"][0].update(verdict="splendid")), "splendid"),
        (changed(lambda d: d["checks"][0].update(value="high")), "value"),
        (changed(lambda d: d.update(overlays=[])), "overlays"),
        (changed(lambda d: d["overlays"]["saliency"].pop("sha256")), "sha256"),
        (changed(lambda d: d["overlays"]["saliency"].update(sha256="0" * 64)), "“saliency” changed"),
        (changed(lambda d: d["figures"]["curve"].update(sha256="0" * 64)), "“curve.png” changed"),
        (changed(lambda d: d["overlays"].pop("saliency")), "does not describe"),
        (changed(lambda d: d["overlays"].update(more=d["overlays"]["saliency"])), "“more” is missing"),
        (changed(lambda d: d["overlays"].update(Saliency=d["overlays"]["saliency"])), "case"),
        (changed(lambda d: d["tables"]["lesions"]["rows"].append([1])), "row"),
        (changed(lambda d: None, saliency=b"not a volume"), "NRRD"),
        (changed(lambda d: None, saliency=b"NRRD0005\ntype: float\ndata file: /etc/passwd\n\n"), "NRRD"),
        (changed(lambda d: None, saliency=b"NRRD0005\ntype: float\nDATAFILE: /etc/passwd\n"), "NRRD"),
        (changed(lambda d: None, saliency=b"NRRD0005\r\ndata file: LIST\r\n\r\n"), "NRRD"),
    ],
)
def test_damaged_results(body: bytes, words: str) -> None:
    assert words in refused(body).message


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a\\b", "..", "", "a b", "a" * 101, "ä", "a\n", "C:evil"])
def test_evil_names(name: str) -> None:
    body = changed(lambda d: d["overlays"].update({name: d["overlays"].pop("saliency")}))
    assert "unsafe name" in refused(body).message


@pytest.mark.parametrize("content_type", ["", "text/html", "multipart/form-data", "multipart/mixed; boundary=B"])
def test_content_types(content_type: str) -> None:
    refused(BODY, content_type)


def test_repeated_and_nameless_parts() -> None:
    parts = parts_of(BODY, CONTENT_TYPE)
    assert "repeated" in refused(assembled(parts)[:-7] + assembled(parts)).message
    assert "no name" in refused(b"--B\r\nContent-Type: text/plain\r\n\r\nx\r\n--B--\r\n").message


def test_verdict_in_words() -> None:
    document = Result.parse(BODY, CONTENT_TYPE).document
    text, html = verdict_text(document), verdict_html(document)
    assert text.splitlines()[0].startswith("Caution. Use this result with caution")
    assert text.splitlines()[1:] == ["Is & undefined.", "Lesion 1: Look <here>."]
    assert "Caution</span>" in html
    assert "Is &amp; undefined.<br>Lesion 1: Look &lt;here&gt;." in html
    assert checks_text(document).splitlines() == [
        "fine: reliable. Is <small>. (value 0.1, limit 1)",
        "doubtful: caution. Is & undefined.",
    ]
    assert "Is &lt;small&gt;." in checks_html(document)


@pytest.mark.parametrize("verdict", ["splendid", None, ["reliable"]])
def test_an_unknown_verdict_is_never_called_reliable(verdict: object) -> None:
    document = {"verdict": verdict, "checks": [{"name": "n", "verdict": "great", "reason": "r", "value": math.nan}]}
    for words in (verdict_text(document), verdict_html(document), checks_text(document), checks_html(document)):
        assert "nreliable" in words
        assert "Reliable" not in words
    assert "No check was made" in verdict_text({"verdict": "caution", "checks": []})
