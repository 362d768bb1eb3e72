"""The page on this machine's own address, for whoever has been told its secret.

Any site that a browser has open may send it requests to 127.0.0.1. What they cannot know is the token in the
address; what they cannot hide is their own `Origin`; and a name of theirs that was made to mean 127.0.0.1 is
in `Host`.
"""

import secrets
import socket
from collections.abc import Callable
from importlib.resources import files
from typing import Any, NamedTuple

import uvicorn
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from beyondcam.errors import BeyondcamError, one_line
from beyondcam.review_page.desk import Asked, DecidedElsewhereError, Desk

LOOPBACK = "127.0.0.1"

MOST = 2**16
"""Bytes that the page may send at once."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}

PAGE = {
    "": ("page.html", "text/html"),
    "page.css": ("page.css", "text/css"),
    **{name: (name, "text/javascript") for name in ("mask.js", "stage.js", "page.js")},
}
"""Path → file, and its kind."""


class _Undo(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str


def make_app(desk: Desk, token: str, port: int) -> ASGIApp:
    """The app below `/TOKEN/`, which answers requests to 127.0.0.1 at this port alone.

    Every answer is computed before the next request is looked at, so that decisions come one after the other.
    """

    def get(of: Callable[[int], bytes], kind: str) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            return Response(of(request.path_params["number"]), media_type=kind)

        return endpoint

    def static(name: str, kind: str) -> Callable[[Request], Any]:
        async def endpoint(_: Request) -> Response:
            return Response(files(__package__).joinpath(name).read_bytes(), media_type=kind)

        return endpoint

    async def listing(_: Request) -> Response:
        return JSONResponse(desk.listing())

    async def facts(request: Request) -> Response:
        return JSONResponse(desk.facts(request.path_params["number"]))

    async def decide(request: Request) -> Response:
        return JSONResponse(desk.decide(Asked.model_validate_json(await request.body())))

    async def undo(request: Request) -> Response:
        return JSONResponse(desk.undo(_Undo.model_validate_json(await request.body()).key))

    async def complain(_: Request, error: Exception) -> Response:
        status = 409 if isinstance(error, DecidedElsewhereError) else 422
        return JSONResponse({"error": one_line(error)}, status)

    routes = [
        *(Route(f"/{path}", static(*page)) for path, page in PAGE.items()),
        Route("/list", listing),
        Route("/facts/{number:int}", facts),
        Route("/photos/{number:int}", get(desk.photo, "image/jpeg")),
        Route("/evidence/{number:int}", get(desk.evidence, "image/png")),
        Route("/masks/{number:int}", get(desk.mask, "image/png")),
        Route("/decide", decide, methods=["POST"]),
        Route("/undo", undo, methods=["POST"]),
    ]
    complaints = {BeyondcamError: complain, ValidationError: complain}
    app = Starlette(routes=[Mount(f"/{token}", routes=routes)], exception_handlers=complaints)
    return _guarded(app, token, port)


def _guarded(app: ASGIApp, token: str, port: int) -> ASGIApp:
    """The app for those who call it by its address and know the token; what they send is ours and short."""
    hosts = {f"{LOOPBACK}:{port}", f"localhost:{port}"}

    def refusal(request: Request) -> str | None:
        host, given = request.headers.get("host", ""), request.scope["path"].lstrip("/").partition("/")[0]
        if host not in hosts:
            return "call it by the address that beyondcam has shown"
        if not secrets.compare_digest(given.encode(), token.encode()):
            return "the address lacks the token that beyondcam has shown"
        origin = request.headers.get("origin")
        if request.method == "POST" or origin is not None:
            if origin != f"http://{host}":
                return "only its own page may ask"
            length = request.headers.get("content-length", "")
            if request.method == "POST" and not (length.isdecimal() and int(length) <= MOST):
                return "too long"
        return None

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        why = refusal(Request(scope))

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] += [(k.lower().encode(), v.encode()) for k, v in HEADERS.items()]
            await send(message)

        answer = app if why is None else JSONResponse({"error": why}, 403)
        await answer(scope, receive, send_with_headers)

    return guarded


class Opened(NamedTuple):
    """A server that is ready to run: `server.run(sockets=[listener])`."""

    server: uvicorn.Server
    listener: socket.socket
    address: str


def open_server(desk: Desk, port: int) -> Opened:
    """The page's server, on 127.0.0.1 at a port, or at any that is free for 0; its token is a new one.

    Raises `BeyondcamError` where the port is taken.
    """
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise BeyondcamError(f"{port}: {one_line(error)}; name another", parameter="port") from None
    port, token = listener.getsockname()[1], secrets.token_urlsafe(16)
    app = make_app(desk, token, port)
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", ws="none")
    return Opened(uvicorn.Server(config), listener, f"http://{LOOPBACK}:{port}/{token}/")
