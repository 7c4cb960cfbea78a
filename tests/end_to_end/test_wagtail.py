"""An application that no one here wrote: a day of a Wagtail site, lived three times.

Once as it is; once watched by the interpreter's own tracing, which knows exactly who called whom and changes
nothing; once instrumented. What was traced must be what happened, and the day must be the same each time.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from importlib.util import find_spec
from typing import Any

import pytest

if find_spec("wagtail") is None:
    pytest.skip("Wagtail is not installed: it follows some releases of Django", allow_module_level=True)

pytestmark = pytest.mark.end_to_end

# What is left out unless it is asked for.
OFF = {f"django.db.models.signals.{name}" for name in ("pre_init", "post_init", "class_prepared")}
ONLY_WHEN_SLOW = {
    "django.core.cache.close_caches",
    "django.core.handlers.base.reset_urlconf",
    "django.db.close_old_connections",
    "django.db.reset_queries",
}

Facts = dict[str, Any]
Tree = dict[str, Any]
Grow = Callable[[Iterable[Facts]], list[Tree]]


@pytest.fixture(scope="module")
def days(start, tmp_path_factory) -> dict[str, Facts]:
    """The evidence of the three days, which are lived at the same time."""
    directories = {way: tmp_path_factory.mktemp(way) for way in ("recorded", "observed", "plain")}
    unmeasured = {"COVERAGE_PROCESS_START": None, "COVERAGE_PROCESS_CONFIG": None}  # it would use the tracing, too
    programs = {
        way: start(
            *(sys.executable, "-m", "wagtail_site", way, directory),
            PYTHONHASHSEED="0",
            **({} if way == "observed" else unmeasured),
        )
        for way, directory in directories.items()
    }
    evidence = {}
    for way, program in programs.items():
        stdout, stderr = program.communicate(timeout=300)
        assert program.returncode == 0, stderr
        evidence[way] = json.loads((directories[way] / "evidence.json").read_text())
        evidence[way]["printed"] = [stdout, stderr]
    return evidence


@pytest.fixture(scope="module")
def sends(days) -> list[Facts]:
    """What was sent outside of any receiver, with all that these sends led to, according to the interpreter."""
    return [audible for send in days["recorded"]["sends"] for audible in without_what_is_off(send)]


@pytest.fixture(scope="module")
def trees(days, grow: Grow) -> list[Tree]:
    """The spans of the instrumented day."""
    return grow(days["observed"]["spans"])


def without_what_is_off(send: Facts) -> Iterator[Facts]:
    """Yield a send without those of the signals that are off; what these led to has their place."""
    calls = [{**call, "sends": list(audible_in(call))} for call in send["calls"]]
    if send["signal"] in OFF:
        yield from (inner for call in calls for inner in call["sends"])
    else:
        yield {**send, "calls": calls}


def audible_in(call: Facts) -> Iterator[Facts]:
    for send in call["sends"]:
        yield from without_what_is_off(send)


def everything(sends: Iterable[Facts]) -> Iterator[Facts]:
    """Yield sends and all that they led to."""
    for send in sends:
        yield send
        for call in send["calls"]:
            yield from everything(call["sends"])


def expected_spans(send: Facts, depth: int = 0) -> list[Tree]:
    """Return the span that a send must have, with those below it; none when only house-keeping heard it."""
    if send["receivers"] and set(send["receivers"]) <= ONLY_WHEN_SLOW:
        return []
    about = {"heliograph.system.name": "django", "heliograph.signal.name": send["signal"]}
    attributes = {
        **about,
        "heliograph.operation.name": send["operation"],
        "heliograph.error.policy": "capture" if send["operation"] == "send_robust" else "propagate",
        "heliograph.dispatch.receiver.count": len(send["receivers"]),
        **({"heliograph.sender.name": send["sender"]} if send["sender"] else {}),
        **({"heliograph.dispatch.depth": depth} if depth else {}),
    }
    calls = [
        span(
            f"handle {call['receiver']}",
            {**about, "code.function.name": call["receiver"], "heliograph.receiver.mode": "sync"},
            [inner for sent in call["sends"] for inner in expected_spans(sent, depth + 1)],
        )
        for call in send["calls"]
        if call["receiver"] not in ONLY_WHEN_SLOW
    ]
    return [span(f"{send['operation']} {send['signal'].rpartition('.')[2]}", attributes, calls)]


def span(name: str, attributes: Facts, children: list[Tree]) -> Tree:
    return {
        "name": name,
        "kind": "SpanKind.INTERNAL",
        "status": "UNSET",
        "attributes": attributes,
        "events": [],
        "children": children,
    }


def outline(tree: Tree) -> Any:
    """Return the names alone of a span and of all those below it."""
    below = [outline(child) for child in tree["children"]]
    return {tree["name"]: below} if below else tree["name"]


def test_the_day_is_a_full_one(days):
    """The evidence is worth something: requests, queries, mails, uploads, and no unknown signal."""
    plain, recorded = days["plain"], days["recorded"]
    statuses = Counter(answer["status"] for answer in plain["answers"])
    assert statuses == {200: 27, 302: 22, 301: 3, 403: 1, 404: 1, 500: 1}
    assert [answer["request"] for answer in plain["answers"] if answer["status"] == 500] == ["GET /admin/failwhale/"]
    assert len(plain["queries"]) > 4_000
    assert len(plain["mails"]) == 1
    assert sorted(plain["files"]) == ["documents/rules.txt", "images/dawn.width-32.png", "original_images/dawn.png"]
    facts = list(everything(recorded["sends"]))
    assert "unknown" not in {send["signal"] for send in facts}
    assert {send["error"] for send in facts} == {None}  # so that no expected span needs one
    assert (plain["heliograph_imported"], recorded["heliograph_imported"]) == (False, False)


@pytest.mark.parametrize("way", ["recorded", "observed"])
@pytest.mark.parametrize("what", ["answers", "queries", "log", "warnings", "mails", "tables", "files", "printed"])
def test_nothing_changes_for_wagtail(days, way, what):
    """Answers to requests, queries, log lines, warnings, mails, files, output, the whole database: all as without us."""
    assert days[way][what] == days["plain"][what]


def test_every_send_has_its_spans(sends, trees):
    """The sends and the receivers' calls, their order, nesting and attributes are those that the interpreter saw."""
    expected = [tree for send in sends for tree in expected_spans(send)]
    assert len(trees) == len(expected)
    for seen, due in zip(trees, expected, strict=True):
        assert seen == due


def test_no_span_is_lost_and_none_is_made_up(sends, days):
    """One span for each audible send, one for each audible call of a receiver, and no others: counted in another way."""
    heard = [send for send in everything(sends) if not send["receivers"] or set(send["receivers"]) - ONLY_WHEN_SLOW]
    calls = [call for send in heard for call in send["calls"] if call["receiver"] not in ONLY_WHEN_SLOW]
    names = [span["name"] for span in days["observed"]["spans"]]
    assert (len(heard), len(calls)) == (len(names) - count_of_calls(names), count_of_calls(names))
    assert len(heard) > 1_000
    assert len(calls) > 700


def test_a_receiver_runs_within_its_dispatch(days):
    """A receiver's span begins no sooner and ends no later than that of the dispatch that called it."""
    by_id = {span["context"]["span_id"]: span for span in days["observed"]["spans"]}
    calls = [span for span in by_id.values() if span["name"].startswith("handle ")]
    for call in calls:
        dispatch = by_id[call["parent_id"]]
        assert dispatch["start_time"] <= call["start_time"] <= call["end_time"] <= dispatch["end_time"]


def test_metrics_count_what_happened(sends, days):
    """Each send and each call counts, house-keeping included; sends that have no span are counted as such."""
    facts = list(everything(sends))
    calls = Counter((send["signal"], call["receiver"]) for send in facts for call in send["calls"])
    quiet = [send["signal"] for send in facts if send["receivers"] and set(send["receivers"]) <= ONLY_WHEN_SLOW]
    metrics = days["observed"]["metrics"]
    assert counts(
        metrics, "heliograph.dispatch.duration", "heliograph.signal.name", "heliograph.operation.name"
    ) == Counter((send["signal"], send["operation"]) for send in facts)
    assert counts(metrics, "heliograph.receiver.duration", "heliograph.signal.name", "code.function.name") == calls
    assert counts(metrics, "heliograph.dispatch.untraced", "heliograph.signal.name") == Counter(
        (name,) for name in quiet
    )
    assert set(quiet) == {"django.core.signals.request_started", "django.core.signals.request_finished"}


def test_wagtails_own_signals_are_all_there(days):
    """So many spans for each of Wagtail's signals: the numbers follow from what the editors did."""
    signals = [span["attributes"]["heliograph.signal.name"] for span in dispatches(days["observed"]["spans"])]
    assert {name: count for name, count in Counter(signals).items() if name.startswith("wagtail.")} == {
        "wagtail.signals.init_new_page": 4,  # four forms for a new page were opened
        "wagtail.signals.published": 5,  # three pages published, one of them twice, and one approved
        "wagtail.signals.page_published": 7,  # the same, and a page copied with the page below it
        "wagtail.signals.unpublished": 4,  # one page unpublished, three deleted while they were live
        "wagtail.signals.page_unpublished": 4,
        "wagtail.signals.page_slug_changed": 1,
        "wagtail.signals.pre_page_move": 1,
        "wagtail.signals.post_page_move": 1,
        "wagtail.signals.workflow_submitted": 1,
        "wagtail.signals.task_submitted": 1,
        "wagtail.signals.workflow_approved": 1,
        "wagtail.signals.task_approved": 1,
        "wagtail.documents.models.document_served": 1,
    }


TASK = [
    {"send task_enqueued": ["handle django_tasks.signals.log_task_enqueued"]},
    {"send task_started": ["handle django_tasks.signals.log_task_started"]},
    {"send task_finished": ["handle django_tasks.signals.log_task_finished"]},
]
SET_LOCALE = {"send pre_save": ["handle wagtail.models.i18n.set_locale_on_new_instance"]}


def test_saving_an_article_shows_who_listens(trees):
    """Each save of an article runs two receivers in the order of their connection, and each of these runs a task."""
    saved = outlines(trees, "post_save", "home.Article")
    assert len(saved) > 10
    for one in saved:
        assert one == {
            "send post_save": [
                {"handle modelsearch.signal_handlers.post_save_signal_handler": TASK},
                {"handle wagtail.signal_handlers.update_reference_index_on_save": TASK},
            ]
        }


def test_what_a_receiver_sends_is_below_it(trees):
    """A login saves the user, a deletion unpublishes the page, a mail saves a profile: below the receiver that did it."""
    assert outlines(trees, "user_logged_in", "auth.User") == [
        {
            "send user_logged_in": [
                {"handle django.contrib.auth.models.update_last_login": [SET_LOCALE, "send post_save"]}
            ]
        }
    ]
    unpublish = {
        "handle wagtail.signal_handlers.pre_delete_page_unpublish": ["send page_unpublished", "send unpublished"]
    }
    assert outlines(trees, "pre_delete", "wagtailcore.Page") == [{"send pre_delete": [unpublish]}] * 3
    notifier = "handle wagtail.admin.mail.WorkflowStateSubmissionEmailNotifier.__call__"
    assert outlines(trees, "workflow_submitted", "wagtailcore.WorkflowState") == [
        {"send workflow_submitted": [{notifier: [SET_LOCALE, "send post_save"]}]}
    ]


def test_sends_that_nobody_hears_are_seen(trees):
    """An orphan is a span without children: this site listens to no publication, and to no failed login."""
    names = {"send page_published", "send published", "send user_login_failed", "send user_logged_out"}
    orphans = [tree for tree in trees if tree["name"] in names]
    assert {tree["name"] for tree in orphans} == names
    for tree in orphans:
        assert tree["children"] == []
        assert tree["attributes"]["heliograph.dispatch.receiver.count"] == 0


def outlines(trees: Iterable[Tree], signal: str, sender: str) -> list[Any]:
    """Return the outlines of the dispatches of a signal from a sender that are the roots of their traces."""
    return [
        outline(tree)
        for tree in trees
        if tree["name"] == f"send {signal}" and tree["attributes"].get("heliograph.sender.name") == sender
    ]


def counts(metrics: Facts, name: str, *attributes: str) -> Counter[tuple[str, ...]]:
    """Return how often a metric was recorded, by the values of some of its attributes."""
    found: Counter[tuple[str, ...]] = Counter()
    [resource] = metrics["resource_metrics"]
    for metric in resource["scope_metrics"][0]["metrics"]:
        for point in metric["data"]["data_points"] if metric["name"] == name else ():
            key = tuple(point["attributes"][attribute] for attribute in attributes)
            found[key] += point["count"] if "count" in point else point["value"]
    return found


def count_of_calls(names: list[str]) -> int:
    return sum(name.startswith("handle ") for name in names)


def dispatches(spans: Iterable[Facts]) -> Iterator[Facts]:
    return (span for span in spans if not span["name"].startswith("handle "))
