"""The OpenAPI document says of every route that asks for a token that it does."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from slicerxai.server.access import rule_of


def document_access(app: FastAPI) -> None:
    """Complete the document by the table of `slicerxai.server.access`; MONAI Label's own routes say it themselves."""
    described = app.openapi

    def openapi() -> dict[str, Any]:
        document = described()
        schemes = document.get("components", {}).get("securitySchemes", {})
        for template, operations in document["paths"].items():
            for method, operation in operations.items():
                rule = rule_of(method.upper(), template)
                if schemes and rule is not None and rule.role is not None:
                    operation.setdefault("security", [{name: []} for name in schemes])
        return document

    app.openapi = openapi  # type: ignore[method-assign]
