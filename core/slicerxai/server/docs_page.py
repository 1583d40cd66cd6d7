"""The page that shows the routes (Swagger UI), from this machine alone: nothing is loaded from the network."""

from __future__ import annotations

from importlib.resources import files

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from slicerxai.errors import NotFoundError

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>SlicerXAI: routes</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="icon" href="favicon.ico">
</head>
<body>
<div id="routes"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""
START = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#routes",
  deepLinking: true,
  defaultModelsExpandDepth: -1,
  presets: [SwaggerUIBundle.presets.apis],
});
"""
ASSETS = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript"}
"""Files of the package `fastapi_offline`."""

router = APIRouter(include_in_schema=False)


@router.get("/")
@router.get("/docs")
def get_page() -> Response:
    """The page."""
    return HTMLResponse(PAGE, headers={"Content-Security-Policy": POLICY})


@router.get("/docs/{name}")
def get_asset(name: str) -> Response:
    """Its script and style. Raises `NotFoundError` for any other name."""
    if name == "start.js":
        return Response(START, media_type="text/javascript")
    if name not in ASSETS:
        msg = f"no file {name!r}; the page of all routes is /docs"
        raise NotFoundError(msg)
    content = files("fastapi_offline").joinpath("static", name).read_bytes()
    return Response(content, media_type=ASSETS[name], headers={"Cache-Control": "max-age=86400"})
