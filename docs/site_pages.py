"""Turn the repository's documents into pages of the site: a hook of mkdocs, see mkdocs.yml.

README.md becomes the overview page; CONTRIBUTING.md and CHANGELOG.md become pages too. A link to a file that
is not part of the site is replaced by the path of the file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
_LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]+)\]\((?P<target>[^)#\s:]+)(?P<anchor>#[^)]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages from outside docs/."""
    for name, page in PAGES.items():
        text = convert_links((ROOT / name).read_text(encoding="utf-8"), ROOT)
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Convert the links of a page in docs/."""
    return markdown if page.file.src_uri in PAGES.values() else convert_links(markdown, ROOT / "docs")


def convert_links(text: str, directory: Path) -> str:
    """Return the text of a document in `directory` with its links converted for the site."""

    def convert(match: re.Match[str]) -> str:
        path = (directory / match["target"]).resolve()
        if not path.exists() or not path.is_relative_to(ROOT):
            return match[0]  # mkdocs reports the broken link
        name = path.relative_to(ROOT).as_posix()
        page = PAGES.get(name) or name.removeprefix("docs/")
        if page != name:
            return f"{match['image']}[{match['text']}]({page}{match['anchor'] or ''})"
        return match["text"] if name in match["text"] else f"{match['text']} (`{name}`)"

    return _LINK.sub(convert, text)
