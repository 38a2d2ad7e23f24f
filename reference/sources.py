"""The source as pages of the site, which other pages lead to."""

from __future__ import annotations

import ast
import re
from pathlib import Path

LINK = re.compile(r"\]\((?:\.\./)+((?:src|examples)/[\w/.]+\.\w+)\)")
"""A link from a page to a file of the repository, as it also works where the repository is read."""


def source_place(path: str) -> str:
    """Where the site has a file of the repository."""
    return f"source/{path.removeprefix('src/')}.md"


def source_page(root: Path, path: str) -> str:
    """A file with numbered lines; no search looks into it."""
    language = {".py": "python", ".toml": "toml"}.get(Path(path).suffix, "text")
    text = (root / path).read_text(encoding="utf-8").rstrip()
    head = f"---\nsearch:\n  exclude: true\nhide: [toc]\n---\n# {Path(path).name}\n\n`{path}`\n"
    return f'{head}\n````{language} linenums="1"\n{text}\n````\n'


def definition(path: Path, name: str) -> int | None:
    """The line at which a file defines a function or a class of that name, within a class too."""
    if path.suffix != ".py":
        return None
    defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return next((node.lineno for node in nodes if isinstance(node, defined) and node.name == name), None)
