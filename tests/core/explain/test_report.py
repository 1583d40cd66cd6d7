import base64
import io
import itertools
import math
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from slicerxai.data.io import read_volume
from slicerxai.data.volume import Volume
from slicerxai.explain import registry
from slicerxai.explain.contract import Check, Explanation, Figure, Flag, Overlay, Provenance, Table
from slicerxai.explain.overview import overview
from slicerxai.explain.report import render
from slicerxai.explain.slice_tables import MAX_PICTURE_BYTES

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"' onmouseover=alert(3) x='</style></title>{{ 7*7 }}"
VOID = {"meta", "link", "img", "br"}


class Page(HTMLParser):
    """All tags with their attributes, all text, and whether every tag is closed in order."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text, self.open = [], "", []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data + " " if self.open and self.open[-1] != "style" else ""

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def small_png():
    buffer = io.BytesIO()
    Image.new("RGB", (3, 2), "red").save(buffer, "PNG")
    return buffer.getvalue()


def scan(shape=(24, 30, 10), spacing=(1.0, 1.0, 4.0), seed=0):
    noise = np.random.default_rng(seed).normal(100, 10, shape)
    inside = np.ones(shape, bool)
    inside[:3] = inside[-3:] = False
    return Volume((noise * inside).astype(np.float32), np.diag([*spacing, 1.0]))


def explain(text="patient <1>", **changes):
    image = scan()
    mask = np.zeros(image.shape, np.uint8)
    mask[8:12, 10:16, 4:6] = 1
    relevance = (mask * 2.0 - 0.1).astype(np.float32)
    fields = {
        "method": text,
        "parameters": {text: text, "steps": 16, "nothing": None},
        "image_id": text,
        "overlays": {
            "FLAIR": Overlay(image, "image", text, text),
            "prediction": Overlay(image.with_array(mask), "labelmap", "label", text),
            "saliency_FLAIR": Overlay(image.with_array(relevance), "saliency", text, text),
        },
        "tables": {text: Table(title=text, columns=[text, "volume (mm³)"], rows=[[text, 12345.6], [None, math.nan]])},
        "figures": {"curve": Figure(small_png(), text)},
        "flags": [Flag(subject=text, message=text)],
        "metrics": {text: math.nan, "ratio": -math.inf},
        "checks": [
            Check(name=text, value=0.2, limit=0.1, verdict="caution", reason=text),
            Check(name="b", value=None, limit=0.1, verdict="unreliable", reason="the gap is too wide"),
        ],
        "provenance": Provenance(
            package_version="1",
            model=text,
            model_digest="a" * 64,
            inputs={text: "b" * 64},
            versions={text: text},
            device=text,
            started=text,
        ),
    }
    return Explanation(**(fields | changes))


@pytest.fixture(scope="module")
def html():
    return render(explain())


def test_nothing_is_fetched(html):
    page = Page(html)
    without_pictures = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", html)
    assert not re.search(r"https?:|//|url\(|@import|srcset", without_pictures, re.IGNORECASE)
    addresses = [value for _, a in page.tags for key, value in a.items() if key in {"src", "href", "action", "data"}]
    assert addresses
    assert all(address.startswith("data:") for address in addresses)
    assert not {"script", "iframe", "object", "form", "base"} & {tag for tag, _ in page.tags}
    policies = [a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_hostile_text_stays_text():
    html = render(explain(EVIL))
    hostile, tame = Page(html), Page(render(explain("tame")))
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in tame.tags]
    assert [list(a) for _, a in hostile.tags] == [list(a) for _, a in tame.tags]
    assert hostile.text.count(EVIL) >= 12
    assert "<script" not in html


def test_the_verdict_is_in_words_symbol_and_reasons(html):
    text = " ".join(Page(html).text.split())
    assert text.index("✕ Unreliable At least one self-check failed") < text.index("Can this result be trusted?")
    assert text.index("the gap is too wide") < text.index("! Caution patient <1>")
    assert "b: measured not defined, limit 0.1" in text
    assert "patient <1>: measured 0.2, limit 0.1" in text


@pytest.mark.parametrize(
    ("checks", "word"),
    [
        ([], "No self-check was made"),
        ([Check(name="a", value=0, limit=1, verdict="reliable", reason="fine")], "Every self-check"),
        ([Check(name="a", value=0, limit=1, verdict="caution", reason="hm")], "asks for caution"),
    ],
)
def test_other_verdicts(checks, word):
    assert word in Page(render(explain(checks=checks))).text


def test_accessible(html):
    page = Page(html)
    assert page.all("html")[0]["lang"] == "en"
    assert all(a.get("alt", "").strip() for a in page.all("img"))
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert any(
        a["alt"].startswith("Axial slice at S 16 mm: saliency FLAIR over FLAIR (strongest saliency FLAIR")
        for a in page.all("img")
    )


def test_three_columns_for_each_orientation(html):
    text = Page(html).text
    pictures = [a for a in Page(html).all("img") if "slice at" in a["alt"]]
    assert len(pictures) % 3 == 0
    for plane in ("Axial", "Coronal", "Sagittal"):
        assert sum(a["alt"].startswith(plane) for a in pictures) >= 3
        assert f"{plane} at " in text


def test_numbers_digests_and_the_notice(html):
    page = Page(html)
    assert "12\u202f346" in page.text
    assert "not defined" in page.text
    assert "−∞" in page.text
    assert [a["title"] for a in page.all("code")] == ["a" * 64, "b" * 64]
    assert "a" * 12 + "…" in page.text
    assert "a" * 13 not in page.text
    assert page.text.lower().count("research use only") == 1
    assert "Radiological convention" in page.text


def test_parameters_of_a_known_method_are_explained():
    meaning = registry.parameters_class("saliency").model_fields["window"].description
    assert meaning
    assert meaning in Page(render(explain(method="saliency", parameters={"window": 10.0}))).text


def test_a_result_without_image_or_anything_else_is_a_valid_page():
    page = Page(render(Explanation(method="m", parameters={}, image_id="")))
    assert "holds no image" in page.text
    assert page.all("img") == []


@pytest.mark.parametrize("keep", [["FLAIR"], ["FLAIR", "prediction"], ["FLAIR", "saliency_FLAIR"]])
def test_columns_follow_what_there_is(keep):
    overlays = {name: overlay for name, overlay in explain().overlays.items() if name in keep}
    page = Page(render(explain(overlays=overlays, figures={})))
    assert len([a for a in page.all("img") if "slice at" in a["alt"]]) % len(keep) == 0
    assert any(f"columns-{len(keep)}" in a.get("class", "") for a in page.all("div"))


def test_many_maps_of_noise_keep_the_page_small():
    rng = np.random.default_rng(1)
    image = Volume(rng.uniform(0, 1, (160, 160, 160)).astype(np.float32), np.eye(4))
    overlays = {"FLAIR": Overlay(image, "image", "a.u.", "")}
    for index in range(6):
        relevance = image.with_array(rng.normal(size=image.shape).astype(np.float32))
        overlays[f"map{index}"] = Overlay(relevance, "saliency", "logit", "")
    html = render(explain(overlays=overlays))
    assert len(html) <= MAX_PICTURE_BYTES * 4 / 3 + 200_000
    assert "map3" in html


def test_every_picture_is_a_png(html):
    for attributes in Page(html).all("img"):
        head, _, content = attributes["src"].partition(",")
        assert head == "data:image/png;base64"
        Image.open(io.BytesIO(base64.b64decode(content, validate=True))).verify()


@pytest.mark.real_data
def test_a_real_scan_gives_a_page_of_bounded_size():
    root = Path(os.environ.get("SLICERXAI_REAL_DATA", Path(__file__).parents[4] / "shared/data"))
    folder = root / "open_ms/patient19"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    image, lesions = (read_volume(folder / f"{name}.nii.gz") for name in ("FLAIR", "lesions"))
    relevance = lesions.with_array(lesions.array.astype(np.float32))
    overlays = {
        "FLAIR": Overlay(image, "image", "a.u.", ""),
        "prediction": Overlay(lesions, "labelmap", "label", ""),
        "saliency": Overlay(relevance, "saliency", "logit", ""),
    }
    html = render(explain(overlays=overlays))
    assert 500_000 < len(html) < 4_000_000
    assert len([a for a in Page(html).all("img") if "slice at" in a["alt"]]) == 18


@pytest.mark.parametrize("overlays", [explain().overlays, {}])
def test_overview_is_a_picture(overlays):
    picture = Image.open(io.BytesIO(overview(explain("x" * 300, overlays=overlays))))
    assert picture.format == "PNG"
    assert picture.width >= 760
    assert len(picture.getcolors(maxcolors=2**24)) > 10
