"""Guard: access control, and the Content-Security-Policy of pages.

On a loopback address only requests to the name localhost are answered, so that no web page can reach it
by DNS rebinding; on any other address a token is needed.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlencode, urlsplit

from flask import Flask, Response, make_response, redirect, request

COOKIE = "tuner_token"
_NO_CONTENT = 204
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server at that host."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def guard(server: Flask, host: str, token: str | None, script_hashes: Sequence[str]) -> None:
    """Check every request and add headers to every answer.

    Args:
        server: the application.
        host: where it listens.
        token: what a visitor must know; None: nothing, on a loopback address.
        script_hashes: of the scripts that stand in the page itself, as a Content-Security-Policy has them.
    """
    policy = "; ".join(
        [
            "default-src 'self'",
            f"script-src 'self' {' '.join(script_hashes)}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )

    @server.before_request
    def _check() -> Response | None:
        if token is None:
            if is_loopback(host) and _name(request.host) not in {*_LOCAL_NAMES, host}:
                return _refused("This dashboard answers only to the name localhost.")
            return None
        given = request.args.get("token")
        if given is not None and hmac.compare_digest(given.encode(), token.encode()):
            if request.method == "GET":
                # The token goes into a cookie and leaves the address, so that it is not shared by accident.
                rest = [(name, value) for name, value in request.args.items(multi=True) if name != "token"]
                answer = make_response(redirect(request.path + ("?" + urlencode(rest) if rest else "")))
                answer.set_cookie(COOKIE, token, httponly=True, samesite="Strict")
                return answer
            return None
        kept = request.cookies.get(COOKIE, "")
        if hmac.compare_digest(kept.encode(), token.encode()):
            return None
        return _refused(
            "This dashboard needs the whole address that `tune dashboard` printed, token included."
        )

    @server.after_request
    def _headers(answer: Response) -> Response:
        answer.headers["X-Content-Type-Options"] = "nosniff"
        if answer.mimetype == "text/html" and answer.status_code != _NO_CONTENT:
            answer.headers["Content-Security-Policy"] = policy
            answer.headers["Referrer-Policy"] = "no-referrer"
        return answer


def _name(host: str) -> str:
    return urlsplit(f"//{host}").hostname or ""


def _refused(text: str) -> Response:
    return Response(text + "\n", status=403, mimetype="text/plain")
