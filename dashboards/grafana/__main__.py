"""Write the dashboards anew: ``python -m dashboards.grafana``."""

from __future__ import annotations

from dashboards.grafana.generated import FOLDER, generated


def main() -> None:
    """Write each dashboard into its file."""
    FOLDER.mkdir(exist_ok=True)
    for path, text in generated().items():
        path.write_text(text, encoding="utf-8")
        print(path)  # noqa: T201  # a command line


if __name__ == "__main__":
    main()
