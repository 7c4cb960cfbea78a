"""Puts the figures that the fault tests and the soak have noted into a page.

python -m tests.faults.figures FIGURES PAGE
"""

from __future__ import annotations

import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.page import put_between_markers


def table(figures: list[dict[str, Any]]) -> str:
    """Return the figures as a table."""
    rows = [f"| {one['what']} | {one['sends']:,} | {one['lost']:,} |" for one in figures]
    sends, lost = (sum(one[name] for one in figures) for name in ("sends", "lost"))
    where = (
        f"CPython {platform.python_version()}, Django {version('Django')}, OpenTelemetry {version('opentelemetry-sdk')}"
    )
    return "\n".join(
        [
            f"{where}.",
            "",
            "| what was tried | sends | lost or changed |",
            "| --- | --: | --: |",
            *rows,
            f"| **all** | **{sends:,}** | **{lost:,}** |",
        ]
    )


def main() -> None:
    """Read the figures, write the page."""
    figures, page = map(Path, sys.argv[1:])
    found = [json.loads(line) for line in figures.read_text(encoding="utf-8").splitlines()]
    page.write_text(put_between_markers(page.read_text(encoding="utf-8"), table(found)), encoding="utf-8")


if __name__ == "__main__":
    main()
