"""Which series and labels an expression in PromQL asks for."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping

import promql_parser

__all__ = ["asked", "conditions", "unknown"]

_MATCH = promql_parser.MatchOp
_MACRO = re.compile(r"\[\$__\w+\]")


def asked(expression: str) -> dict[str, set[str]]:
    """Return the labels that *expression* names for each series: in conditions, and in groups made of it.

    Raises:
        ValueError: If it is no PromQL, Grafana's intervals apart.
    """
    found: defaultdict[str, set[str]] = defaultdict(set)

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found[node.name or ""] |= {matcher.name for matcher in node.matchers.matchers}
        elif isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            for name in _selected(node):
                found[name] |= set(node.modifier.labels)

    promql_parser.walk(promql_parser.parse(_MACRO.sub("[1m]", expression)), visit)
    return dict(found)


def conditions(expression: str) -> list[tuple[str, list[str]]]:
    """Return each series that *expression* selects, as often as it does, with its conditions as they are written."""
    found: list[tuple[str, list[str]]] = []

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.append((node.name or "", [_written(matcher) for matcher in node.matchers.matchers]))

    promql_parser.walk(promql_parser.parse(_MACRO.sub("[1m]", expression)), visit)
    return found


def unknown(expression: str, known: Mapping[str, Collection[str]]) -> list[str]:
    """Return the series of *expression* that are not *known*, and the labels that a known one does not have."""
    wrong = []
    for name, labels in asked(expression).items():
        if name not in known:
            wrong.append(name)
        else:
            wrong += [f"{name}{{{label}}}" for label in sorted(labels - set(known[name]))]
    return wrong


def _written(matcher: promql_parser.Matcher) -> str:
    operators = zip((_MATCH.Equal, _MATCH.NotEqual, _MATCH.Re, _MATCH.NotRe), ("=", "!=", "=~", "!~"), strict=True)
    [operator] = [written for operator, written in operators if operator == matcher.op]  # they cannot be keys
    return f'{matcher.name}{operator}"{matcher.value}"'


def _selected(node: promql_parser.Expr) -> set[str]:
    found: set[str] = set()

    def visit(one: promql_parser.Expr) -> None:
        if isinstance(one, promql_parser.VectorSelector):
            found.add(one.name or "")

    promql_parser.walk(node, visit)
    return found
