"""Every Python example in README.md and in docs/ runs, page by page, from top to bottom."""

from __future__ import annotations

from pathlib import Path

import pytest
from sybil import Document, Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

ROOT = Path(__file__).parent.parent
NEEDS = {"pydispatcher.md": "scrapy"}  # what not every environment has
PAGES = sorted([*ROOT.glob("docs/*.md"), *ROOT.glob("README.md")])


def examples(page: Path) -> Document:
    """Return the page with its Python examples found."""
    return Sybil(parsers=[PythonCodeBlockParser()], path=str(ROOT)).parse(page)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_on_the_page_run(page):
    """Examples of one page share their names, as a reader who types them in would have it."""
    pytest.importorskip(NEEDS.get(page.name, "heliograph"))
    document = examples(page)
    try:
        for example in document:
            example.evaluate()
    finally:  # a page that fails half-way leaves nothing switched on
        if "undo" in document.namespace:
            document.namespace["undo"]()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_python_block_is_skipped(page):
    """Each block marked as Python is found and run; one that cannot run is marked otherwise."""
    blocks = page.read_text(encoding="utf-8").count("```python\n")

    assert len(list(examples(page))) == blocks
