"""Every exception heliograph raises on purpose, in one tree.

Each class also derives from the built-in exception a caller of the same API elsewhere would expect, so
``except ValueError`` around ``connect`` works as it does with Django.
"""


class HeliographError(Exception):
    """Base of all errors that heliograph raises on purpose."""


class ConfigurationError(HeliographError, ValueError):
    """A setting, an option or a filter has a value that cannot be used."""


class ReceiverSignatureError(HeliographError, ValueError):
    """A receiver cannot take the keyword arguments that a signal may send it."""


class ReceiverTypeError(HeliographError, TypeError):
    """Something was connected that cannot be a receiver, or cannot be one weakly."""


class LibraryNotFoundError(HeliographError, ImportError):
    """A library was to be instrumented that is not installed."""


class ReportError(HeliographError, ValueError):
    """A saved report cannot be read: it is not one, or of a version this heliograph does not know."""
