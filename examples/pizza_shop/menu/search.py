"""A toy search index, kept up to date by signals."""

from collections import defaultdict

from django.db.models import Model


class SearchIndex:
    """Finds what is on the menu by the words of its name. Its methods are the receivers."""

    def __init__(self) -> None:
        self._words: defaultdict[str, set[tuple[str, int]]] = defaultdict(set)

    def reindex(self, sender: type[Model], instance: Model, raw: bool, **kwargs: object) -> None:
        """Index *instance* anew, unless a fixture is being loaded."""
        if raw:
            return
        self.forget(sender, instance)
        for word in str(instance).lower().split():
            self._words[word].add(_key(instance))

    def forget(self, sender: type[Model], instance: Model, **kwargs: object) -> None:
        """Find *instance* no more."""
        for found in self._words.values():
            found.discard(_key(instance))


def _key(instance: Model) -> tuple[str, int]:
    return type(instance).__name__, instance.pk


search_index = SearchIndex()
