import http.server
import io
import re
import shutil
import subprocess
import threading

import numpy as np
import pytest
from PIL import Image

from slicerxai.data.volume import Volume
from slicerxai.explain.contract import Check, Explanation, Figure, Overlay, Provenance, Table
from slicerxai.explain.report import render
from tests.support.cohort_method import NAME, bars

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
BROWSER = next((path for name in BROWSERS if (path := shutil.which(name))), None)

pytestmark = pytest.mark.skipif(BROWSER is None, reason=f"none of {', '.join(BROWSERS)} is on PATH")

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    # the browser's own calls home end here; a page's attempts still appear in the log of the network
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--enable-logging=stderr",
]


class Visit:
    """A page served on the loopback and opened once: its picture, console lines and requests."""

    def __init__(self, html, folder, width=1280, height=1600):
        self.served = []
        visit = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                visit.served.append(self.path)
                self.send_response(200 if self.path == "/" else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(html.encode() if self.path == "/" else b"")

            def log_message(self, *arguments):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        origin = f"http://127.0.0.1:{server.server_port}"
        picture, log = folder / "page.png", folder / "net.json"
        command = [BROWSER, *FLAGS, f"--user-data-dir={folder / 'profile'}", f"--window-size={width},{height}"]
        command += [f"--screenshot={picture}", f"--log-net-log={log}", f"{origin}/"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        finally:
            server.shutdown()
            server.server_close()
        assert picture.is_file(), done.stderr[-2000:]
        self.picture = Image.open(io.BytesIO(picture.read_bytes())).convert("RGB")
        self.console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
        # one event a line; the browser's own calls have no page as their initiator
        from_page = [line for line in log.read_text().splitlines() if f'"initiator":"{origin}' in line]
        self.requests = [url for line in from_page for url in re.findall(r'"url":"([^"]+)"', line)]


def explanation(verdict):
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in (60, 70, 16)), indexing="ij"))
    head = (grid**2).sum(axis=0) < 0.9
    image = Volume((head * rng.normal(100, 8, head.shape)).astype(np.float32), np.diag([2.0, 2.0, 8.0, 1.0]))
    lesion = np.sqrt(((grid - 0.3) ** 2).sum(axis=0)) < 0.2
    relevance = (lesion * 1.0 - 0.2 * np.roll(lesion, 5, axis=0)).astype(np.float32)
    return Explanation(
        method="saliency",
        parameters={"seed": 0},
        image_id="<b>patient</b> 1",
        overlays={
            "FLAIR": Overlay(image, "image", "a.u.", ""),
            "prediction": Overlay(image.with_array(lesion.astype(np.uint8)), "labelmap", "label", ""),
            "saliency": Overlay(image.with_array(relevance), "saliency", "logit", "Relevance"),
        },
        tables={"lesions": Table(title="Lesions", columns=["lesion", "volume (mm³)"], rows=[[1, 812.0]])},
        checks=[Check(name="gap", value=0.2, limit=0.1, verdict=verdict, reason="because")],
    )


@pytest.mark.parametrize("width", [1280, 800])
def test_the_page_is_drawn_without_errors_and_requests(tmp_path, width):
    visit = Visit(render(explanation("caution")), tmp_path, width=width)
    assert visit.console == []
    assert visit.requests == []
    assert visit.served == ["/"]
    pixels = np.asarray(visit.picture, dtype=int)
    assert visit.picture.width == width
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 500
    amber = np.abs(pixels - [0xF2, 0xB1, 0x34]).max(axis=-1) < 8
    assert amber[:300].sum() > 500
    orange = (pixels[..., 0] > 180) & (pixels[..., 2] < 120) & ~amber
    columns = np.nonzero(orange[400:].any(axis=0))[0]
    assert columns.max() > width * 0.67, "the map is drawn in the third column"
    assert (pixels[:, -4:] == pixels[0, -1]).all(), "the page fits its width"


@pytest.mark.parametrize("width", [1280, 800])
def test_a_result_of_a_cohort_is_drawn(tmp_path, width, cohort_method):
    """Wide figures and tables stay within the page, and the many inputs are folded away."""
    result = Explanation(
        method=NAME,
        parameters={"source": {"where": {"centre": {"values": ["01", "07"]}}, "rater": "3"}},
        image_id="cohort",
        tables={"cases": Table(title="Cases", columns=[f"column {i}" for i in range(16)], rows=[[1.5] * 16] * 60)},
        figures={"wide": Figure(bars({"source": 1.0, "target": 2.0}, width=2400), "Mean volumes.")},
        checks=[Check(name="cases", value=4, limit=4, verdict="reliable", reason="There are enough cases.")],
        provenance=Provenance(
            package_version="1",
            model="tiny",
            model_digest="d" * 64,
            inputs={f"cohort/p{index}/FLAIR": "e" * 64 for index in range(400)},
        ),
    )
    visit = Visit(render(result), tmp_path, width=width, height=2600)
    assert (visit.console, visit.requests) == ([], [])
    pixels = np.asarray(visit.picture, dtype=int)
    figure = np.abs(pixels - [0x00, 0x72, 0xB2]).max(axis=-1) < 8
    assert np.nonzero(figure.any(axis=0))[0].max() > width * 0.85
    assert (pixels[:, -4:] == pixels[0, -1]).all(), "the page fits its width"
    assert (pixels[-300:] == pixels[0, -1]).all(), "the list of inputs does not make the page long"


def test_a_page_that_does_fetch_is_noticed(tmp_path):
    """The control: without it the test above could never fail."""
    html = "<script>console.error('oops')</script><img src='http://elsewhere.invalid/a.png'><img src='/b.png'>"
    visit = Visit(html, tmp_path)
    assert any("oops" in line for line in visit.console)
    assert any("elsewhere.invalid" in url for url in visit.requests)
    assert any(url.endswith("/b.png") for url in visit.requests)
    assert "/b.png" in visit.served


def test_the_policy_of_the_page_blocks_what_slips_in(tmp_path):
    """Were markup ever injected, the page's content security policy still stops scripts and requests."""
    html = re.sub(
        "<main>", "<main><script>document.body.remove()</script><img src='/b.png'>", render(explanation("reliable"))
    )
    visit = Visit(html, tmp_path)
    assert "/b.png" not in visit.served
    assert len(np.unique(np.asarray(visit.picture).reshape(-1, 3), axis=0)) > 500
