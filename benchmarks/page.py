"""The part of a page that the harness writes."""

from __future__ import annotations

__all__ = ["BEGIN", "END", "put_between_markers"]

BEGIN = "<!-- measured: begin -->"
END = "<!-- measured: end -->"


def put_between_markers(page: str, text: str) -> str:
    """Return *page* with *text* in place of what stands between its markers.

    Raises:
        ValueError: If the page does not have each marker once, the first before the second.
    """
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        raise ValueError(f"The page needs {BEGIN} and then {END}, each once. Put them where the tables are to be.")
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{text.strip()}\n\n{END}{rest.partition(END)[2]}"
