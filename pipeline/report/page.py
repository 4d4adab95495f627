"""Rendering common to all pages: the template environment, style sheet, scripts and security policy.

Templates of pages extend `reports/base.html.j2`. A page is self-contained: it fetches nothing, and its
Content-Security-Policy admits only its own inline style and scripts.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from importlib.metadata import version
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from pipeline.io.numbers import format_number
from pipeline.io.resources import shipped_folder
from pipeline.jit.cache import cache_directory, keep
from pipeline.report.styles import shipped_text, vega_config


def template_environment() -> Environment:
    """The environment of the templates in `reports/`, with their common filters."""
    environment = Environment(
        loader=FileSystemLoader(shipped_folder("reports")),
        autoescape=select_autoescape(disabled_extensions=("md.j2",), default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "script_json": script_json,
        "format_number": format_number,
        "plain": plain,
        "cell": lambda text: plain(text).replace("|", "\\|"),
    }
    return environment


def page_variables(charts: bool = True) -> dict[str, Any]:
    """The variables of `base.html.j2`: style sheet, scripts and the policy that admits them.

    Without `charts` the page does not include Vega; sorting and picking work without it.
    """
    stylesheet = shipped_text("page.css")
    script = (
        f"{shipped_text('expressions.js')}\n{shipped_text('page.js')}" if charts else shipped_text("page.js")
    )
    scripts = [_vega_bundle(), script] if charts else [script]
    return {
        "policy": (
            f"default-src 'none'; script-src {' '.join(map(_hash, scripts))}; style-src {_hash(stylesheet)}; "
            "img-src data:; base-uri 'none'; form-action 'none'"
        ),
        "stylesheet": Markup(stylesheet),
        "scripts": [Markup(text) for text in scripts],
        "config": vega_config() if charts else {},
    }


def plain(text: str) -> str:
    """Escape text so that Markdown shows it literally."""
    for character in "\\`*[]":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").split())


def script_json(content: Any) -> Markup:
    """JSON for a script element, escaped so that no text can end the element or begin a comment."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


# Makes Vega-Embed available to the page's script.
_SNIPPET = "window.vegaEmbed = vegaEmbed;"


@cache
def _vega_bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, cached per version because bundling takes a second."""
    made_by = f"vl-convert {version('vl-convert-python')} {_SNIPPET}"
    kept = cache_directory() / f"vega-{hashlib.sha256(made_by.encode()).hexdigest()[:12]}.js"
    if kept.is_file():
        return kept.read_text(encoding="utf-8")
    import vl_convert  # noqa: PLC0415 - starts a JavaScript engine

    bundle: str = vl_convert.javascript_bundle(_SNIPPET)
    # These end a script element or change its parsing, even inside a string.
    bundle = bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--")
    keep(kept, bundle.encode())
    return bundle
