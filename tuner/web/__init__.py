"""The dashboard application."""

from tuner.web.serve import Server, serve

__all__ = ["Server", "serve"]
