"""What every page of the project is rendered with: the templates' environment, styles, scripts and policy.

A page's template extends `reports/base.html.j2`. The page holds all it needs: it fetches nothing, and its
Content-Security-Policy admits exactly its own inline texts.
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
    """The environment of the templates in `reports/`, with the filters that all of them may use."""
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
    """What `base.html.j2` wants: style sheet, scripts and the policy that admits them.

    Without `charts` the page lacks Vega, and sorts and picks only.
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
    """Text of anybody's so that Markdown shows it as it stands."""
    for character in "\\`*[]":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").split())


def script_json(content: Any) -> Markup:
    """JSON that may stand in a script element: no text in it can end the element or begin a comment."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


# What the bundle gives to the page's script.
_SNIPPET = "window.vegaEmbed = vegaEmbed;"


@cache
def _vega_bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, kept for each version: to make it takes a second."""
    made_by = f"vl-convert {version('vl-convert-python')} {_SNIPPET}"
    kept = cache_directory() / f"vega-{hashlib.sha256(made_by.encode()).hexdigest()[:12]}.js"
    if kept.is_file():
        return kept.read_text(encoding="utf-8")
    import vl_convert  # noqa: PLC0415 - starts a JavaScript engine

    bundle: str = vl_convert.javascript_bundle(_SNIPPET)
    # A script element ends at the first of these, wherever it stands.
    bundle = bundle.replace("</script", "<\\/script").replace("<!--", "<\\!--")
    keep(kept, bundle.encode())
    return bundle
