"""What the tests share. `run` starts the broker and tells where it is:

BOOTSTRAP  its address
LOG_DIR    the folder that holds the folders of the partitions
DATA_DIR   the folder that holds meta.db; without it the broker is not ours
           (Apache Kafka, to see what it says) and what only ours can pass is
           left out
"""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import clients  # noqa: E402
from clients import OURS  # noqa: E402
from wire import Connection  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: left out with FAST=1")
    config.addinivalue_line("markers", "ours: what Apache Kafka cannot pass")
    config.addinivalue_line(
        "markers", "clients(**what): the clients that have all this")
    if not hasattr(config, "workerinput"):
        shutil.rmtree(clients.TALLY, ignore_errors=True)


def pytest_collection_modifyitems(config, items):
    if not OURS:
        ours = [i for i in items if i.get_closest_marker("ours")]
        config.hook.pytest_deselected(items=ours)
        items[:] = [i for i in items if i not in ours]


def pytest_generate_tests(metafunc):
    """A test that takes `client` runs with each that has what it marks."""
    given = {a for m in metafunc.definition.iter_markers("parametrize")
             for a in m.args[0].split(",")}
    if "client" in metafunc.fixturenames and "client" not in given:
        marker = metafunc.definition.get_closest_marker("clients")
        chosen = [c for c in clients.ALL if not marker or all(
            getattr(c, a) == v for a, v in marker.kwargs.items())]
        metafunc.parametrize("client", chosen, ids=lambda c: c.name)


def pytest_terminal_summary(terminalreporter):
    if not hasattr(terminalreporter.config, "workerinput"):
        terminalreporter.section("records by client")
        for line in clients.table():
            terminalreporter.write_line(line)
        if "IT_COUNTS" in os.environ:
            # What was skipped was not tested.
            passed, *others = (
                len(terminalreporter.stats.get(kind, []))
                for kind in ("passed", "failed", "error", "skipped"))
            pathlib.Path(os.environ["IT_COUNTS"]).write_text(
                f"{passed} {sum(others)}\n")


@pytest.fixture(scope="session")
def bootstrap():
    return os.environ["BOOTSTRAP"]


@pytest.fixture(scope="session")
def log_dir():
    return pathlib.Path(os.environ["LOG_DIR"])


@pytest.fixture(scope="session")
def data_dir():
    return pathlib.Path(os.environ["DATA_DIR"])


@pytest.fixture
def topic(request):
    """A name for this test alone; the topic does not exist yet."""
    stem = re.sub(r"[^\w.-]+", "-", request.node.name)[:80].strip("-")
    return f"{stem}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def raw(bootstrap):
    with Connection(bootstrap) as connection:
        yield connection


@pytest.fixture
def create(raw):
    def create(topic, partitions=1, **configs):
        answer = raw.call("CreateTopics", 5, timeoutMs=10000, Topics=[{
            "Name": topic, "NumPartitions": partitions,
            "ReplicationFactor": 1,
            "Configs": [{"Name": n, "Value": v}
                        for n, v in configs.items()]}])
        assert answer["Topics"][0]["ErrorCode"] == 0, answer
        while not OURS and not led(raw, topic, partitions):
            time.sleep(0.05)
        return topic
    return create


def led(raw, topic, partitions):
    """Whether all partitions answer: Apache Kafka's CreateTopics does not
    wait for their leaders."""
    answer = raw.call("ListOffsets", 1, ReplicaId=-1, Topics=[{
        "Name": topic, "Partitions": [
            {"PartitionIndex": p, "Timestamp": -1}
            for p in range(partitions)]}])
    return all(p["ErrorCode"] == 0 for p in answer["Topics"][0]["Partitions"])


class Broker:
    """A broker for one test alone, by the launcher. Settings in capitals
    are for the launcher's environment."""

    def __init__(self, settings):
        env = {k: v for k, v in settings.items() if k.isupper()}
        line = self.run("start", "1", *(
            f"{k}={v}" for k, v in settings.items() if k not in env),
            env={"LIFE": "600", **env}).splitlines()[-1]
        self.bootstrap, self.handle = line.split()

    def run(self, *args, env=None):
        done = subprocess.run(
            [clients.ROOT / "scripts/broker", *args], text=True, check=True,
            stdout=subprocess.PIPE, env={**os.environ, **(env or {})})
        return done.stdout.strip()

    def log(self):
        """What it has printed."""
        return (pathlib.Path(self.handle) / "1" / "log").read_text()

    def await_running(self, pattern, count):
        """Returns when, asked by SIGUSR1 what runs, so many of its lines
        match: those requests have arrived, and wait."""
        deadline = time.monotonic() + 30
        while True:
            before = len(self.log())
            os.kill(int(self.pid()), signal.SIGUSR1)
            time.sleep(0.1)
            told = self.log()[before:]
            if len(re.findall(pattern, told)) == count:
                return
            assert time.monotonic() < deadline, told

    def assert_clean(self):
        """It was stopped, and all was closed: a stop that gives up at its
        deadline exits 0, too, and names the folder."""
        last = self.log().rstrip().splitlines()[-1]
        assert last == f"tidemark stopped; the data is in {self.dir()}", last
        assert (pathlib.Path(self.dir()) / ".clean").exists()

    def __getattr__(self, verb):
        """kill, restart, dir, pid: of its one node."""
        return lambda: self.run(verb, self.handle, "1")


@pytest.fixture
def start_broker():
    """Starts brokers that are gone when the test is."""
    started = []

    def start(**settings):
        started.append(Broker(settings))
        return started[-1]

    yield start
    told = [(pathlib.Path(b.handle) / "1" / "log").read_text()
            for b in started]
    for broker in started:
        broker.run("rm", broker.handle)
    for text in told:
        assert "Sanitizer" not in text, text
