import json

import numpy as np
import pytest
from requests_toolbelt import MultipartDecoder, MultipartEncoder

from slicerxai.data.volume import Volume
from slicerxai.errors import InputError, NotFoundError
from slicerxai.explain.contract import Explanation, Figure, Overlay
from slicerxai.explain.folder import load, save
from slicerxai.explain.multipart import decode, encode, encode_folder, split

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) + b"\r\n--slicerxai-0--\r\n"


@pytest.fixture
def explanation():
    array = np.random.default_rng(0).normal(size=(5, 4, 3)).astype(np.float32)
    return Explanation(
        method="saliency",
        parameters={},
        image_id="ü",
        overlays={"FLAIR": Overlay(Volume(array, np.diag([-1, 2, 3, 1])), "image", "a.u.", "")},
        figures={"FLAIR": Figure(PNG, "same name as the overlay")},
    )


def test_another_implementation_reads_the_body(explanation):
    parts = MultipartDecoder(*encode(explanation)).parts
    heads = [part.headers[b"Content-Disposition"].decode() for part in parts]
    assert heads == [
        'form-data; name="params"',
        'form-data; name="FLAIR"; filename="FLAIR.nrrd"',
        'form-data; name="FLAIR.png"; filename="FLAIR.png"',
    ]
    assert [part.headers[b"Content-Type"] for part in parts] == [
        b"application/json",
        b"application/octet-stream",
        b"image/png",
    ]
    assert parts[1].content.startswith(b"NRRD000")
    assert parts[2].content == PNG
    assert json.loads(parts[0].content)["image_id"] == "ü"


def test_a_body_of_another_implementation_is_read(explanation):
    body, content_type = encode(explanation)
    fields = {
        name: (f"{name}.bin", bytes(part), "application/octet-stream")
        for name, part in split(body, content_type).items()
    }
    other = MultipartEncoder(fields=fields, boundary="a'()+_,-./:=? b")
    decoded = decode(other.to_string(), 'multipart/form-data; charset=utf-8; boundary="a\'()+_,-./:=? b"')
    np.testing.assert_array_equal(decoded.overlays["FLAIR"].volume.array, explanation.overlays["FLAIR"].volume.array)
    assert decoded.figures == explanation.figures


def test_preamble_epilogue_and_padding_are_allowed(explanation):
    body, content_type = encode(explanation)
    boundary = content_type.split("boundary=")[1].encode()
    padded = b"hello\r\n" + body.replace(b"--" + boundary + b"\r\n", b"--" + boundary + b" \t\r\n") + b"bye"
    assert decode(padded, content_type).figures == explanation.figures


def test_an_empty_part_is_empty():
    body = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n--b--\r\n'
    assert {name: bytes(part) for name, part in split(body, "multipart/form-data; boundary=b").items()} == {"a": b""}


def test_a_saved_result_gives_the_same_bytes_again(explanation, tmp_path):
    save(explanation, tmp_path / "x")
    assert encode_folder(tmp_path / "x") == encode(explanation) == encode(load(tmp_path / "x"))


def test_one_part_comes_bare(explanation):
    assert encode(explanation, "FLAIR.png") == (PNG, "image/png")
    content, content_type = encode(explanation, "FLAIR")
    assert content.startswith(b"NRRD000")
    assert content_type == "application/octet-stream"
    content, content_type = encode(explanation, "params")
    assert content_type == "application/json"
    assert json.loads(content)["format"] == 1


@pytest.mark.parametrize("part", ["flair", "../FLAIR", "explanation.json", ""])
def test_an_unknown_part_is_named_with_the_known_ones(explanation, part):
    with pytest.raises(NotFoundError, match=r"params, FLAIR, FLAIR\.png"):
        encode(explanation, part)


@pytest.mark.parametrize(
    "content_type",
    ["", "application/json", "multipart/form-data", "multipart/mixed; boundary=b", "multipart/form-data; boundary="],
)
def test_a_wrong_content_type_is_refused(explanation, content_type):
    with pytest.raises(InputError, match="accepted: multipart/form-data"):
        decode(encode(explanation)[0], content_type)


def test_every_truncation_is_refused(explanation):
    body, content_type = encode(explanation)
    end = len(body) - len(b"--\r\n")
    for length in [*range(0, end, 37), *range(end - 120, end + 1)]:
        with pytest.raises(InputError, match=r"part|boundary"):
            decode(body[:length], content_type)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (b'name="params"', b'name="other"', "no part 'params'"),
        (b'name="FLAIR"', b'name="T1"', "FLAIR"),
        (b'name="FLAIR.png"', b'name="FLAIR"', "repeated"),
        (b'name="FLAIR.png"', b'nome="FLAIR.png"', "no name"),
        (b"\x00\x01\x02", b"\x00\x01\x03", r"FLAIR\.png"),
        (b'"format": 1', b'"format": 7', "format 7"),
    ],
)
def test_a_damaged_part_is_named(explanation, old, new, fault):
    body, content_type = encode(explanation)
    assert old in body
    with pytest.raises(InputError, match=fault):
        decode(body.replace(old, new), content_type)
