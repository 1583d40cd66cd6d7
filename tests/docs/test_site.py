"""The site is built without a warning and without a network, and everything that its pages point to is there."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
LOADS = {"script": "src", "img": "src", "link": "href", "source": "src", "iframe": "src", "video": "src"}
"""What a browser fetches by itself when it shows a page."""
NO_NETWORK = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")


class Page(HTMLParser):
    """Addresses and anchors of a built page."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.links, self.loaded, self.equations = set(), [], [], 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.anchors |= {values[name] for name in ("id", "name") if values.get(name)}
        if tag in LOADS and values.get(LOADS[tag]) and values.get("rel") not in ("index", "search", "next", "prev"):
            self.loaded.append(values[LOADS[tag]])
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        self.equations += tag == "math"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "-d", out / "read"]
    environment = os.environ | NO_NETWORK | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, "docs", out / "html"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return {path: Page(path) for path in sorted((out / "html").rglob("*.html"))}


def local(pages):
    """Page, target and anchor of each address that is no other host's."""
    for path, page in pages.items():
        for address in [*page.links, *page.loaded]:
            parts = urlsplit(address)
            if not parts.scheme and not parts.netloc:
                target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
                yield path.name, address, target, unquote(parts.fragment)


@pytest.mark.slow
def test_built_without_a_warning(site):
    names = {path.name for path in site}
    assert {"index.html", "radiologist.html", "shift.html", "explain.html"} <= names
    assert len(site) > 60


def test_links_and_anchors_lead_somewhere(site):
    dead = []
    for name, address, found, anchor in local(site):
        target = found / "index.html" if found.is_dir() else found
        if not target.is_file() or (anchor and target in site and anchor not in site[target].anchors):
            dead.append((name, address))
    assert not dead


def test_nothing_is_loaded_from_elsewhere(site):
    loaded = {address for page in site.values() for address in page.loaded}
    assert any(address.endswith(".css") or ".css?" in address for address in loaded)
    assert not [address for address in loaded if urlsplit(address).netloc]
    sheets = {file for path in site for file in path.parent.glob("_static/**/*.css")}
    assert sheets
    for sheet in sheets:
        assert not re.search(r"(url\(\s*['\"]?|@import\s+['\"])(https?:)?//", sheet.read_text(encoding="utf-8")), sheet


def test_addresses_of_other_hosts_are_well_formed(site):
    others = {address for page in site.values() for address in page.links if urlsplit(address).netloc}
    assert others
    for address in others:
        parts = urlsplit(address)
        assert parts.scheme in ("http", "https"), address
        assert re.fullmatch(r"[\w.-]+(:\d+)?", parts.netloc), address


def test_equations_are_drawn_by_the_browser(site):
    equations = {path.stem: page.equations for path, page in site.items() if page.equations}
    assert {"saliency", "shift", "informer", "alignment"} <= set(equations)
    for path in site:
        for equation in re.findall(r"<math\b.*?</math>", path.read_text(encoding="utf-8"), re.DOTALL):
            assert not re.search(r"\\[A-Za-z]", re.sub(r"<[^>]*>", "", equation)), (path.name, equation)


def test_public_names_have_an_entry(site):
    anchors = {path.stem: page.anchors for path, page in site.items() if path.parent.name == "api"}
    assert "slicerxai.explain.contract.Explainer.explain" in anchors["explain"]
    assert "slicerxai.explain.registry.entry" in anchors["explain"]
    assert "slicerxai.models.protocols.Segmenter" in anchors["models"]
    assert "XAILib.client.Client" in anchors["xailib"]
    assert "XAISaliencyLib.logic.SaliencyLogic" in anchors["xaisaliency"]
