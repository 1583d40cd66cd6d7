"""MONAI Label's routes, moved off the event loop.

MONAI Label declares its endpoints `async def` around blocking code, so one inference freezes every route. Each endpoint
is replaced by one that awaits it in a thread; path, parameters and status codes stay as they are. The OpenAPI document
says what is answered in truth: problem documents for errors.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request

Arguments = dict[str, Any]
Rule = Callable[[Arguments], None]
Answer = Callable[[Any], Any]

PROBLEMS: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "A problem document (RFC 9457)", "content": {"application/problem+json": {}}}
}


def off_the_loop(
    router: APIRouter,
    rule_of: Callable[[str], Rule | None],
    threads_of: Callable[[str], anyio.CapacityLimiter | None],
    answer: Answer,
) -> APIRouter:
    """A router with the same routes, whose endpoints run in threads after their arguments passed a rule.

    Args:
        router: with endpoints that are `async def` and never wait for the event loop, except for the request's body.
        rule_of: gives the rule of an endpoint by its function's name; a route without a rule (None) is left out.
        threads_of: gives the threads of an endpoint that computes in the same way; None for those of short ones.
        answer: makes of what an endpoint returns what is answered.
    """
    moved = APIRouter()
    for route in router.routes:
        if not isinstance(route, APIRoute):
            msg = f"cannot move {route!r} off the event loop"
            raise TypeError(msg)
        rule = rule_of(route.endpoint.__name__)
        if rule is None:
            continue
        moved.add_api_route(
            route.path,
            _threaded(route.endpoint, rule, threads_of(route.endpoint.__name__), answer),
            methods=sorted(route.methods or ()),
            name=route.name,
            summary=route.summary,
            description=route.description,
            tags=route.tags,
            responses={status: said for status, said in route.responses.items() if status != 404} | PROBLEMS,
            deprecated=route.deprecated,
            include_in_schema=route.include_in_schema,
            response_model=route.response_model,
            response_class=route.response_class,
            status_code=route.status_code,
        )
    return moved


def _threaded(
    endpoint: Callable[..., Any], rule: Rule, limiter: anyio.CapacityLimiter | None, answer: Answer
) -> Callable[..., Coroutine[Any, Any, Any]]:
    def work(arguments: Arguments) -> Any:
        rule(arguments)
        return answer(_completed(endpoint(**arguments)))

    async def threaded(**arguments: Any) -> Any:
        for value in arguments.values():
            if isinstance(value, Request):
                await value.body()  # kept by the request, so that the endpoint need not wait for it
        return await anyio.to_thread.run_sync(partial(work, arguments), limiter=limiter)

    # not `__wrapped__`: FastAPI would look through it and see the endpoint that it must not call
    threaded.__signature__ = inspect.signature(endpoint)  # type: ignore[attr-defined]
    threaded.__name__ = endpoint.__name__
    threaded.__doc__ = endpoint.__doc__
    return threaded


def _completed(result: Any) -> Any:
    """The result of a coroutine that never waits."""
    if not inspect.iscoroutine(result):
        return result
    try:
        result.send(None)
    except StopIteration as done:
        return done.value
    result.close()
    msg = f"{result.__qualname__} waits for the event loop and cannot run in a thread"
    raise RuntimeError(msg)
