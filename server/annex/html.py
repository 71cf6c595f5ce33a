"""The annex as one HTML page that stands alone: no script, nothing fetched, its style within it."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from server.annex.layout import Paper
from server.pages.render import markdown

FOLDER = Path(__file__).parent / "templates"


def page(paper: Paper) -> bytes:
    """The page, in UTF-8."""
    return _environment().get_template("annex.html").render(paper=paper).encode()


def policy() -> str:
    """The Content-Security-Policy that lets in the page's own style and nothing else."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    nothing = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    return f"{nothing}; style-src 'sha256-{digest}'"


@cache
def _style() -> str:
    return (FOLDER / "annex.css").read_text("utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals.update(markdown=markdown, style=_style())
    return environment
