"""What the crash tests share; `run` says where the program is."""
import os
import pathlib

import pytest

import node as nodes


def pytest_terminal_summary(terminalreporter):
    """What tests found out, by record_property("told", text)."""
    for report in terminalreporter.stats.get("passed", []):
        for name, text in report.user_properties:
            if name == "told":
                terminalreporter.write_line(text)
    if (not hasattr(terminalreporter.config, "workerinput")
            and "IT_COUNTS" in os.environ):
        # What was skipped was not tested.
        passed, *others = (
            len(terminalreporter.stats.get(kind, []))
            for kind in ("passed", "failed", "error", "skipped"))
        pathlib.Path(os.environ["IT_COUNTS"]).write_text(
            f"{passed} {sum(others)}\n")


@pytest.fixture
def node():
    with nodes.Node() as one:
        yield one
