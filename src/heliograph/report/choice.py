"""What a terminal shows of a long report: what failed and what was slow before what took long, before the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from heliograph.report import model

__all__ = ["chosen_groups", "chosen_lines", "folded"]

T = TypeVar("T")

_Interest = tuple[bool, int, float]

ROWS_FOR_REQUESTS = 120
ROWS_FOR_A_GROUP = 60
ROWS_BESIDE_REQUESTS = 24
ROWS_WITHOUT_FOLDS = 16
WORTH_UNFOLDING = 0.02


def folded(group: model.Group) -> model.Group:
    """Return *group* without the receivers of quick dispatches, if it is a long one.

    A dispatch is quick when nothing failed or was slow in it and it took next to nothing of the group's time.
    """
    if sum(map(_rows_of_line, group.lines)) <= ROWS_WITHOUT_FOLDS:
        return group
    least = WORTH_UNFOLDING * sum(line.total for line in group.lines)
    return replace(group, lines=_folded(group.lines, least))


def _folded(lines: Sequence[model.DispatchLine], least: float) -> tuple[model.DispatchLine, ...]:
    return tuple(
        replace(line, receivers=())
        if line.total < least and not _trouble([line])
        else replace(line, receivers=tuple(replace(one, lines=_folded(one.lines, least)) for one in line.receivers))
        for line in lines
    )


def chosen_groups(groups: Sequence[model.Group]) -> tuple[list[model.Group], list[model.Group]]:
    """Return the groups to show and the others, each in their order. What no request sent is always shown."""
    return chosen(
        groups, ROWS_FOR_REQUESTS, lambda group: _interest(group.lines, first=not group.request), _rows_of_group
    )


def chosen_lines(
    lines: Sequence[model.DispatchLine], room: int = ROWS_FOR_A_GROUP
) -> tuple[list[model.DispatchLine], list[model.DispatchLine]]:
    """Return those of a group's lines to show and the others, each in their order."""
    return chosen(lines, room, lambda line: _interest([line]), _rows_of_line)


def chosen(
    items: Sequence[T], room: int, interest: Callable[[T], _Interest], size: Callable[[T], int]
) -> tuple[list[T], list[T]]:
    """Return the most interesting *items* that fit into *room*, at least one, and the others, each in their order."""
    ranked = sorted(range(len(items)), key=lambda index: interest(items[index]), reverse=True)
    fitting: set[int] = set()
    for index in ranked:
        cost = size(items[index])
        if cost <= room or not fitting:
            fitting.add(index)
            room -= cost
    shown = [item for index, item in enumerate(items) if index in fitting]
    return shown, [item for index, item in enumerate(items) if index not in fitting]


def _interest(lines: Sequence[model.DispatchLine], *, first: bool = False) -> _Interest:
    return first, _trouble(lines), sum(line.total for line in lines)


def _trouble(lines: Sequence[model.DispatchLine]) -> int:
    """Return 2 if a receiver failed, 1 if one was slow, else 0."""
    receivers = [receiver for line in lines for receiver in line.receivers]
    own = max((2 if one.failed else 1 if one.slow else 0 for one in receivers), default=0)
    return max(own, max((_trouble(one.lines) for one in receivers), default=0))


def _rows_of_group(group: model.Group) -> int:
    if not group.request:
        return 0
    return 2 + min(ROWS_FOR_A_GROUP, sum(map(_rows_of_line, group.lines)))


def _rows_of_line(line: model.DispatchLine) -> int:
    return 1 + sum(1 + bool(one.failed) + sum(map(_rows_of_line, one.lines)) for one in line.receivers)
