"""Write the interface's configuration and the page of searches: ``python -m dashboards.jaeger --service shop``."""

from __future__ import annotations

import argparse
from pathlib import Path

from dashboards.jaeger.generated import FOLDER, GRAFANA, JAEGER, SERVICE, generated


def main() -> None:
    """Write each file."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.jaeger", description=main.__doc__)
    parser.add_argument("--service", default=SERVICE, help="whose traces are looked for (default: %(default)s)")
    parser.add_argument("--jaeger", default=JAEGER, help="where Jaeger is (default: %(default)s)")
    parser.add_argument("--grafana", default=GRAFANA, help="where Grafana is (default: %(default)s)")
    parser.add_argument("--into", type=Path, default=FOLDER, help="the folder to write into (default: this one)")
    options = parser.parse_args()
    for name, text in generated(service=options.service, jaeger=options.jaeger, grafana=options.grafana).items():
        path = options.into / name
        path.write_text(text, encoding="utf-8")
        print(path)  # noqa: T201  # a command line


if __name__ == "__main__":
    main()
