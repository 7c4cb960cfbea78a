"""How many are in the shop: every request is a visitor."""


class Visitors:
    """Counts who comes and goes. Its methods are the receivers."""

    def __init__(self) -> None:
        self.inside = 0
        self.total = 0

    def arrive(self, sender: object, **kwargs: object) -> None:
        """Somebody comes in."""
        self.inside += 1
        self.total += 1

    def leave(self, sender: object, **kwargs: object) -> None:
        """Somebody goes. The database is closed by now, so this counts in memory alone."""
        self.inside -= 1


visitors = Visitors()
