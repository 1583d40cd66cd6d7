import threading

import pytest
from anyio import CapacityLimiter
from fastapi import APIRouter, BackgroundTasks, FastAPI, HTTPException, Request
from fastapi.testclient import TestClient

from slicerxai.errors import InputError
from slicerxai.server.eventloop import off_the_loop


def routers(rule=lambda arguments: None):
    router = APIRouter(prefix="/work", tags=["Work"])
    seen = {}

    @router.get("/{name}", summary="Say it", responses={404: {"description": "none"}})
    async def api_say(name: str, background_tasks: BackgroundTasks, times: int = 1):
        if name == "nobody":
            raise HTTPException(404, "nobody there")
        seen["thread"] = threading.current_thread()
        background_tasks.add_task(seen.__setitem__, "background", True)
        return {"said": [name] * times}

    @router.post("/body")
    async def api_body(request: Request):
        return len(await request.body())

    @router.get("/hidden/route")
    async def api_without_rule():
        return None

    rules = {"api_say": rule, "api_body": rule}
    return router, off_the_loop(router, rules.get, {"api_say": CapacityLimiter(1)}.get, lambda answer: answer), seen


def app_of(router: APIRouter) -> FastAPI:
    app = FastAPI()
    app.include_router(router)
    return app


def test_the_document_is_the_same_but_for_routes_without_a_rule_and_for_errors():
    before, after, _ = routers()
    old, new = app_of(before).openapi(), app_of(after).openapi()
    del old["paths"]["/work/hidden/route"]
    for path, operations in old["paths"].items():
        for method, told in operations.items():
            responses = told.pop("responses")
            truth = new["paths"][path][method].pop("responses")
            assert truth.pop("4XX")["content"] == {"application/problem+json": {}}
            assert truth == {status: said for status, said in responses.items() if status not in {"404", "422"}}
    assert new["paths"] == old["paths"]


def test_an_endpoint_runs_in_a_thread_and_keeps_status_and_background_tasks():
    _, router, seen = routers()
    with TestClient(app_of(router)) as client:
        assert client.get("/work/a?times=2").json() == {"said": ["a", "a"]}
        assert client.get("/work/nobody").status_code == 404
        assert client.get("/work/a?times=x").status_code == 422
        assert client.post("/work/body", content=b"123").json() == 3
        assert client.get("/work/hidden/route").status_code == 404
    assert seen["background"]
    assert "AnyIO" in seen["thread"].name


def test_the_rule_sees_the_arguments_first():
    def rule(arguments):
        raise InputError(f"no {arguments['name']}")

    _, router, seen = routers(rule)
    with TestClient(app_of(router)) as client, pytest.raises(InputError, match="no a"):
        client.get("/work/a")
    assert not seen


def test_an_endpoint_that_waits_is_an_error():
    import asyncio

    router = APIRouter()

    @router.get("/wait")
    async def api_wait():
        await asyncio.sleep(0)

    moved = off_the_loop(router, {"api_wait": lambda arguments: None}.get, {}.get, lambda answer: answer)
    with TestClient(app_of(moved)) as client, pytest.raises(RuntimeError, match="waits for the event loop"):
        client.get("/wait")
