"""Which dispatches belong to one request, and which requests did the same."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from heliograph.fanout.facts import Dispatch
from heliograph.report import model
from heliograph.report.lines import Tree

__all__ = ["Request", "Requests"]

BEGINNINGS = frozenset({"django.core.signals.request_started", "flask.signals.request-started"})
ENDS = frozenset({"django.core.signals.request_finished", "flask.signals.request-tearing-down"})

_MOST_OPEN = 1000

_current: ContextVar[Request | None] = ContextVar("heliograph_report_request", default=None)


class Request:
    """One request, from the dispatch that begins it to the one that ends it.

    Attributes:
        number: The how-manyth of the run.
        tree: What was sent in it.
        troubled: Whether a receiver failed or was slow.
        open: Whether its end is still to come.
    """

    __slots__ = ("began", "ended", "number", "open", "owner", "tree", "troubled")

    def __init__(self, owner: Requests, number: int, began: int, room: int) -> None:
        self.owner = owner
        self.number = number
        self.began = self.ended = began
        self.tree = Tree(room)
        self.troubled = False
        self.open = True


class _Alike:
    """Requests whose trees have the same shape, as one."""

    __slots__ = ("count", "first", "total", "troubled", "worst")

    def __init__(self, first: Request) -> None:
        self.first = first
        self.count = self.total = self.worst = 0
        self.troubled = False
        self.add(first)

    def add(self, request: Request) -> None:
        took = request.ended - request.began
        self.count += 1
        self.total += took
        self.worst = max(self.worst, took)
        self.troubled = self.troubled or request.troubled
        if request is not self.first:
            self.first.tree.absorb(request.tree)

    def interest(self) -> tuple[bool, int]:
        return self.troubled, self.worst

    def group(self) -> model.Group:
        return model.Group(
            request=self.first.number,
            count=self.count,
            total=self.total / 1e9,
            worst=self.worst / 1e9,
            lines=self.first.tree.roots.lines(),
            left_out=self.first.tree.left_out,
        )


class Requests:
    """All requests of a run: as many kinds as there is room for, the failed and the slow ones before others.

    Args:
        kinds: How many different fan-outs of requests are kept.
        room: How many lines one of them may have.
    """

    def __init__(self, kinds: int, room: int) -> None:
        self.count = 0
        self.left_out = 0
        self._kinds = kinds
        self._room = room
        self._open: dict[int, Request] = {}
        self._alike: dict[Any, _Alike] = {}

    def current(self, dispatch: Dispatch) -> Request | None:
        """Return the request within which *dispatch* was sent, beginning one if it is one's beginning.

        Call it in the context in which the dispatch was sent.
        """
        request = _current.get()
        mine = request if request is not None and request.owner is self and request.open else None
        if dispatch.site.name not in BEGINNINGS:
            return mine
        if mine is not None:  # in this context, so its end will not come any more
            self._close(mine)
        return self._begin(dispatch)

    def follow(self, request: Request, dispatch: Dispatch, *, troubled: bool) -> None:
        """Note that *dispatch*, now in the request's tree, is the last one so far, or the one that ends it."""
        request.ended = max(request.ended, dispatch.ended or 0)
        request.troubled = request.troubled or troubled
        if dispatch.site.name in ENDS and request.open:
            self._close(request)

    def groups(self) -> list[model.Group]:
        """Return what is kept, in the order in which the requests began. Requests still open count as ended."""
        for request in list(self._open.values()):
            self._close(request)
        return [alike.group() for alike in sorted(self._alike.values(), key=lambda alike: alike.first.number)]

    def _begin(self, dispatch: Dispatch) -> Request:
        self.count += 1
        request = self._open[self.count] = Request(self, self.count, dispatch.began, self._room)
        _current.set(request)
        if len(self._open) > _MOST_OPEN:  # most likely the ends of old ones never came
            self._close(next(iter(self._open.values())))
        return request

    def _close(self, request: Request) -> None:
        request.open = False
        self._open.pop(request.number, None)
        shape = request.tree.shape()
        if shape in self._alike:
            self._alike[shape].add(request)
        elif shape or request.tree.left_out:  # one in which nothing is worth a line is only counted
            self._alike[shape] = _Alike(request)
            if len(self._alike) > self._kinds:
                self._leave_one_out()

    def _leave_one_out(self) -> None:
        shape = min(self._alike, key=lambda shape: self._alike[shape].interest())
        self.left_out += self._alike.pop(shape).count
