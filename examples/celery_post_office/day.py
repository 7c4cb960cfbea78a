"""A day of letters: each is sent to the worker, and what became of it is printed."""

from post_office import cross_river, deliver, stamp

SECONDS = 60


def main():
    letters = [
        stamp.delay("a bill"),
        stamp.delay("a postcard"),
        deliver.delay("a bill", "Mill Lane"),
        deliver.delay("a love letter", "Nowhere"),
        cross_river.delay("a parcel"),
    ]
    for letter in letters:
        print(repr(letter.get(timeout=SECONDS, propagate=False)))


if __name__ == "__main__":
    main()
