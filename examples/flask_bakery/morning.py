"""A morning at the bakery: a few requests, one line each."""

from bakery import create_app

REQUESTS = [
    ("GET", "/"),
    ("POST", "/bake/harbour/rye"),
    ("POST", "/order/harbour/rye"),
    ("POST", "/order/market/bagel"),
    ("POST", "/order/market/bagel"),
    ("POST", "/coupon/SUMMER"),
    ("POST", "/coupon/SPRING"),
]


def main():
    app = create_app()
    app.logger.disabled = True  # the bakery has a book for complaints
    client = app.test_client()
    for method, path in REQUESTS:
        response = client.open(path, method=method)
        print(response.status_code, method, path)


if __name__ == "__main__":
    main()
