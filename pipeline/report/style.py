"""How charts look apart from their data: the settings of Vega, and the colours of the style sheet."""

from __future__ import annotations

import json
import re
from typing import Any

from pipeline.io.resources import shipped

FONT = "system-ui, sans-serif"

CONFIG: dict[str, Any] = {
    "background": "transparent",
    "font": FONT,
    "padding": 4,
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--soft)",
        "titleColor": "var(--soft)",
        "gridColor": "var(--line)",
        "domainColor": "var(--line)",
        "tickColor": "var(--line)",
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "titlePadding": 6,
    },
    "axisY": {"labelColor": "var(--ink)"},
    "text": {"color": "var(--ink)", "fontSize": 11},
    "rule": {"color": "var(--ink)"},
}

_PROPERTY = re.compile(r"--([\w-]+):\s*([^;]+);")


def shipped_text(name: str) -> str:
    """Read a file of the page's own."""
    return (shipped("reports") / name).read_text(encoding="utf-8").strip()


def light_colours() -> dict[str, str]:
    """Colours of the style sheet's light theme by name: its first block."""
    sheet = shipped_text("page.css")
    return {name: value.strip() for name, value in _PROPERTY.findall(sheet[: sheet.index("}")])}


def in_light(content: Any) -> Any:
    """Put the light theme's colours in place of references to the style sheet, anywhere in `content`."""
    text = json.dumps(content, ensure_ascii=False)
    for name, value in light_colours().items():
        text = text.replace(f"var(--{name})", value)
    return json.loads(text)
