"""``python -m heliograph`` is ``heliograph``, for where the command is not on the path."""

from heliograph.cli import main

if __name__ == "__main__":
    main()
