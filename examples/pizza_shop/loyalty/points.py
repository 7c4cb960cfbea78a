"""The points service: somebody else's, and not the most dependable."""


class PointsService:
    """Stands in for a service across the network that refuses every other call."""

    def __init__(self) -> None:
        self.calls = 0
        self.points: dict[int, int] = {}

    def credit(self, customer: int, points: int) -> None:
        """Add *points* to the account of the *customer* with this key.

        Raises:
            ConnectionError: Every other time.
        """
        self.calls += 1
        if self.calls % 2 == 0:
            raise ConnectionError("the points service refused the connection")
        self.points[customer] = self.points.get(customer, 0) + points


points_service = PointsService()
