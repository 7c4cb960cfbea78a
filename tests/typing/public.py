"""Ask pyright whether every type of the public API is declared; `make types` runs this.

`pyright --verifytypes` counts each module without an underscore as public. What users may rely on is less: the names in
`PUBLIC`. The other modules are checked by mypy and by pyright themselves.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

PUBLIC = (
    "heliograph.Signal",
    "heliograph.instrument",
    "heliograph.receiver",
    "heliograph.config",
    "heliograph.dispatch.signal",
    "heliograph.errors",
    "heliograph.fanout.facts",
    "heliograph.fanout.observer",
)


def main() -> int:
    """Print each public name whose type is not wholly declared; return 1 if there is any, else 0."""
    command = ["pyright", "--verifytypes", "heliograph", "--ignoreexternal", "--outputjson"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        symbols = json.loads(answer.stdout)["typeCompleteness"]["symbols"]
    except (ValueError, KeyError):
        print(f"pyright gave no report:\n{answer.stdout}{answer.stderr}", file=sys.stderr)
        return 1
    public = [symbol for symbol in symbols if symbol["isExported"] and is_public(symbol["name"])]
    incomplete = [symbol for symbol in public if not symbol["isTypeKnown"] or symbol["isTypeAmbiguous"]]
    for symbol in incomplete:
        print(f"{symbol['name']}: {reason(symbol)}")
    print(f"{len(public)} public names, {len(incomplete)} of them without a complete type")
    return 1 if incomplete or not public else 0


def is_public(name: str) -> bool:
    """Return whether *name* is in `PUBLIC`, or within something that is."""
    return any(name == one or name.startswith(f"{one}.") for one in PUBLIC)


def reason(symbol: dict[str, Any]) -> str:
    """Return what pyright says about the symbol, on one line."""
    said = [" ".join(one["message"].split()) for one in symbol["diagnostics"]]
    return "; ".join(said) or "something within it is incomplete"


if __name__ == "__main__":
    sys.exit(main())
