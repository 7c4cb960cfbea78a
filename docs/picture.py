"""Draw the picture in README.md: what the terminal shows of a day at the pizza shop. Run by ``make picture``."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from heliograph.report import document, model
from heliograph.report.terminal import print_report

PICTURE = Path(__file__).parent / "_static" / "report.svg"
WIDTH = 96
SHOWN = ("orders.signals.order_paid", "django.core.signals.got_request_exception")  # sent in the requests to show

THEME = TerminalTheme(
    (17, 20, 26),
    (204, 209, 217),
    [
        (40, 44, 52), (240, 98, 106), (126, 200, 120), (231, 185, 92),
        (104, 166, 232), (198, 132, 222), (92, 190, 200), (204, 209, 217),
    ],
    [
        (110, 118, 130), (255, 122, 130), (150, 220, 144), (245, 205, 120),
        (130, 186, 250), (214, 154, 238), (116, 210, 220), (240, 243, 248),
    ],
)  # fmt: skip

# Without the font that rich would have fetched from the net: whatever is monospaced will do.
FORMAT = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<title>heliograph report</title>
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px; line-height: {line_height}px; white-space: pre;
}}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
<rect width="{width}" height="{height}" rx="8" fill="#11141a" />
<g transform="translate({terminal_x}, 14)" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


class Terminal(io.StringIO):
    """A file that takes colours."""

    def isatty(self) -> bool:
        """Say yes."""
        return True


def main() -> None:
    """Run the demo, and draw its report."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.from_ansi(coloured(telling(day_at_the_shop()))), no_wrap=True, overflow="crop")
    svg = console.export_svg(theme=THEME, code_format=FORMAT, unique_id="heliograph")
    PICTURE.write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n")


def day_at_the_shop() -> model.Report:
    """Return the report of a demo run just now."""
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "day.json"
        command = [str(Path(sys.executable).with_name("heliograph")), "demo", "--save", str(saved)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return document.loads(saved.read_bytes())


def telling(report: model.Report) -> model.Report:
    """Return *report* with the two requests alone that show a slow receiver and failed ones."""
    groups = [group for group in report.groups if any(line.signal in SHOWN for line in group.lines)]
    return replace(report, groups=tuple(groups), never_called=report.never_called[:1])


def coloured(report: model.Report) -> str:
    """Return *report* as a terminal would get it."""
    os.environ.update(TERM="xterm-256color", COLORTERM="truecolor", COLUMNS=str(WIDTH))
    terminal = Terminal()
    print_report(report, terminal, width=WIDTH)
    return terminal.getvalue().strip("\n")


if __name__ == "__main__":
    main()
