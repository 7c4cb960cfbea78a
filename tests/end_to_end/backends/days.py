"""Days at the pizza shop: one for each line on standard input, and a line on standard output when it is over.

Started in the shop's folder. The shop's own lines, one a request, go to standard output too.
"""

from __future__ import annotations

import importlib
import sys


def main() -> None:
    """Run days in one process, on one database."""
    shop_day = importlib.import_module("shop_day")  # in the shop's folder
    with shop_day.passing_database():
        for line in sys.stdin:
            shop_day.open_for_business(int(line))
            print("closed", flush=True)


main()
