"""MONAI Label's routes, moved off the event loop.

MONAI Label declares its endpoints `async def` around blocking code, so one inference freezes every route. Each endpoint
is replaced by one that awaits it in a thread; path, parameters, status codes and OpenAPI stay as they are.
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

LONG_REQUESTS = 8
"""Requests that compute and may run at one time; more of them wait without holding a thread of the short ones."""


def off_the_loop(router: APIRouter, rule_of: Callable[[str], Rule | None], *, long: bool) -> APIRouter:
    """A router with the same routes, whose endpoints run in threads after their arguments passed a rule.

    Args:
        router: with endpoints that are `async def` and never wait for the event loop, except for the request's body.
        rule_of: gives the rule of an endpoint by its function's name; a route without a rule (None) is left out.
        long: the endpoints compute; they get threads of their own.
    """
    limiter = anyio.CapacityLimiter(LONG_REQUESTS) if long else None
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
            _threaded(route.endpoint, rule, limiter),
            methods=sorted(route.methods or ()),
            name=route.name,
            summary=route.summary,
            description=route.description,
            tags=route.tags,
            responses=route.responses,
            deprecated=route.deprecated,
            include_in_schema=route.include_in_schema,
            response_model=route.response_model,
            response_class=route.response_class,
            status_code=route.status_code,
        )
    return moved


def _threaded(
    endpoint: Callable[..., Any], rule: Rule, limiter: anyio.CapacityLimiter | None
) -> Callable[..., Coroutine[Any, Any, Any]]:
    def work(arguments: Arguments) -> Any:
        rule(arguments)
        return _completed(endpoint(**arguments))

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
