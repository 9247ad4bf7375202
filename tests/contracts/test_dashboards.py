"""Dashboards and alerts ask for nothing that the code does not tell: names, labels, and what their texts quote."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml

from tests.stand_ins.scrapes import declared

REPOSITORY = Path(__file__).parents[2]
DASHBOARDS = sorted((REPOSITORY / "deploy/grafana/dashboards").glob("*.json"))
ALERTS = yaml.safe_load((REPOSITORY / "deploy/prometheus/alerts.yml").read_text())["groups"][0]["rules"]
PAGE = (REPOSITORY / "docs/alerts.md").read_text()

TARGET = frozenset({"job", "instance"})
"""Labels that Prometheus itself puts on all that it scrapes."""

SERIES = {name: labels | TARGET for name, labels in declared().items()} | {
    "up": TARGET,
    "process_start_time_seconds": TARGET,
    "process_resident_memory_bytes": TARGET,
    "ALERTS": TARGET | {"alertname", "alertstate", "severity"},
}


def labels_of(expr: Any) -> frozenset[str]:
    """The labels that a query's result can have.

    Raises:
        AssertionError: it names what does not exist.
    """
    match expr:
        case promql.VectorSelector():
            assert expr.name in SERIES, f"there is no series {expr.name}"
            known = SERIES[expr.name]
            named = {matcher.name for matcher in expr.matchers.matchers}
            assert named <= known, f"{expr.name} has no label {sorted(named - known)}"
            return known
        case promql.MatrixSelector():
            return labels_of(expr.vector_selector)
        case promql.AggregateExpr():
            known, wanted = labels_of(expr.expr), frozenset(expr.modifier.labels if expr.modifier else ())
            assert wanted <= known, f"by {sorted(wanted - known)}: there is no such label in {expr.expr.prettify()}"
            return wanted
        case promql.BinaryExpr():
            left, right = labels_of(expr.lhs), labels_of(expr.rhs)
            return left | right if str(expr.op) == "or" else left or right
        case promql.Call():
            told = frozenset[str]().union(*(labels_of(argument) for argument in expr.args))
            if expr.func.name == "absent":
                return frozenset(m.name for m in expr.args[0].matchers.matchers)
            return told - {"le"} if expr.func.name == "histogram_quantile" else told
        case promql.ParenExpr():
            return labels_of(expr.expr)
        case promql.NumberLiteral() | promql.StringLiteral():
            return frozenset()
    raise AssertionError(f"{type(expr).__name__} is not known to this test")


def parsed(query: str) -> Any:
    """A query as Prometheus gets it."""
    return promql.parse(
        query.replace("$__rate_interval", "5m").replace('"$service"', '".*"').replace('"$location"', '"albany"')
    )


def names_in(query: str) -> set[str]:
    """The series that a query reads."""
    found: set[str] = set()

    def visit(expr: Any) -> None:
        if isinstance(expr, promql.VectorSelector):
            found.add(expr.name)

    promql.walk(parsed(query), visit)
    return found


def dashboard_queries() -> Iterator[tuple[str, str, str]]:
    """Where a query stands, the query, and its legend."""
    for file in DASHBOARDS:
        dashboard = json.loads(file.read_text())
        for panel in dashboard["panels"]:
            for target in panel.get("targets", ()):
                yield f"{file.stem}: {panel['title']}", target["expr"], target["legendFormat"]


@pytest.mark.parametrize(("query", "legend"), [pytest.param(q, legend, id=at) for at, q, legend in dashboard_queries()])
def test_a_panel_asks_for_what_there_is(query: str, legend: str) -> None:
    told = labels_of(parsed(query))
    quoted = set(re.findall(r"\{\{(\w+)\}\}", legend))
    assert quoted <= told, "the legend quotes what the result has not"


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_a_dashboard_is_whole(file: Path) -> None:
    dashboard = json.loads(file.read_text())
    assert dashboard["uid"] == f"chairtime-{file.stem}"
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in dashboard["panels"]:
        assert panel["type"] == "row" or panel["description"], f"{panel['title']} does not say what it answers"
    for variable in dashboard["templating"]["list"]:
        found = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"])
        assert found, "a variable takes its values from a label"
        assert found[2] in SERIES[found[1]]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_asks_for_what_there_is_and_is_explained(alert: dict[str, Any]) -> None:
    told = labels_of(parsed(alert["expr"]))
    quoted = set(re.findall(r"\$labels\.(\w+)", alert["annotations"]["summary"]))
    assert quoted <= told, "the summary quotes what the result has not"
    name, severity = alert["alert"], alert["labels"]["severity"]
    assert severity in ("critical", "warning", "info")
    assert alert["annotations"]["runbook"] == f"docs/alerts.md#{name.lower()}"
    assert f"\n### {name}\n" in PAGE
    assert f"| [{name}](#{name.lower()}) | {severity} |" in PAGE


def test_the_page_explains_no_alert_that_there_is_not() -> None:
    assert re.findall(r"^### (\w+)$", PAGE, re.MULTILINE) == [alert["alert"] for alert in ALERTS]


def test_every_alert_has_a_scenario_of_its_own() -> None:
    tried = (REPOSITORY / "deploy/prometheus/alerts_test.yml").read_text()
    for alert in ALERTS:
        assert f'{{alertname="{alert["alert"]}"}}' in tried


def test_nothing_is_measured_that_nobody_looks_at() -> None:
    asked = [query for _, query, _ in dashboard_queries()] + [alert["expr"] for alert in ALERTS]
    looked_at = set().union(*map(names_in, asked))
    told = {name for name in declared() if not name.endswith(("_seconds_sum", "_seconds_count"))}
    assert told <= looked_at


def test_the_pages_name_every_metric_and_none_that_there_is_not() -> None:
    bases = {re.sub(r"_(bucket|sum|count)$", "", name) for name in declared()}
    pages = {name: (REPOSITORY / "docs" / name).read_text() for name in ("observing.md", "alerts.md", "reliability.md")}
    named = {name: set(re.findall(r"`(chairtime_\w+)", text)) for name, text in pages.items()}
    assert named["observing.md"] == bases
    assert set().union(*named.values()) <= bases


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("chairtime_outbox_age", "no series"),
        ('chairtime_lag_messages{kind="x"}', "no label"),
        ("sum by (topic) (chairtime_outbox_waiting)", "no such label"),
    ],
)
def test_a_query_that_is_wrong_is_found(query: str, fault: str) -> None:
    with pytest.raises(AssertionError, match=fault):
        labels_of(parsed(query))
