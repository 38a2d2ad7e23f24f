"""What MkDocs calls: adds the pages made from the registries, and the source where a page links to it."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any

from chapters import chapters
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files, InclusionLevel
from sources import LINK, definition, source_page, source_place

ROOT = Path(__file__).resolve().parents[1]


def on_files(files: Files, config: Any) -> Files:
    """Add each chapter of the reference, and each file of source that a page links to."""
    made = chapters(ROOT)
    for chapter in made:
        files.append(File.generated(config, chapter.place, content=chapter.text))
    own = [path.read_text(encoding="utf-8") for path in sorted(Path(config.docs_dir).glob("*.md"))]
    linked = {path for text in [*own, *(chapter.text for chapter in made)] for path in LINK.findall(text)}
    for path in sorted(linked):
        page = File.generated(config, source_place(path), content=source_page(ROOT, path))
        page.inclusion = InclusionLevel.NOT_IN_NAV
        files.append(page)
    menu: dict[str, Any] = {}
    for chapter in made:
        menu.setdefault(chapter.part, []).append({chapter.title: chapter.place})
    entries = [*menu.pop("", []), *({part: pages} for part, pages in menu.items())]
    config.nav = [{"Reference": entries} if "Reference" in item else item for item in config.nav]
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Let links to files of the repository lead to their source on the site."""
    up = "../" * (len(PurePosixPath(page.file.src_uri).parts) - 1)

    def rewritten(found: re.Match[str]) -> str:
        words, path = found["words"], found["path"]
        line = definition(ROOT / path, words.strip("`").rpartition(".")[2])
        return f"[{words}]({up}{source_place(path)}{f'#__codelineno-0-{line}' if line else ''})"

    return re.sub(r"\[(?P<words>[^\]]+)\]\((?:\.\./)+(?P<path>(?:src|examples)/[\w/.]+\.\w+)\)", rewritten, markdown)


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Refuse a page that would load something from another host."""
    foreign = re.findall(r'(?:src|<link[^>]* href)="?(?:https?:)?//[^" >]*', output)
    if foreign:
        raise PluginError(f"{page.file.src_uri} loads from another host: {foreign[0]}")
    return output
