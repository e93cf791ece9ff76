"""The README's tutorial, run as its reader would: its own programs."""
import os
import re
import signal
import subprocess
import threading
import time

import pytest

import clients
from clients import BUILD, ROOT


def shown(name):
    """The program that README.md tells its reader to save as `name`."""
    readme = (ROOT / "README.md").read_text()
    return re.search(rf"as `{name}`.*?```python\n(.*?)```", readme, re.S)[1]


class Program:
    """A program of the tutorial, and the lines that it has printed."""

    def __init__(self, bootstrap, name, *args):
        self.lines = []
        self.process = subprocess.Popen(
            [BUILD / "new/bin/python", "-c", shown(name), *args],
            stdout=subprocess.PIPE, text=True,
            env={**os.environ, "BROKER": bootstrap})
        self.thread = threading.Thread(
            target=lambda: self.lines.extend(iter(
                self.process.stdout.readline, "")), daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()

    def ctrl_c(self):
        self.process.send_signal(signal.SIGINT)
        self.finish()

    def finish(self):
        assert self.process.wait(30) == 0
        self.thread.join()

    def names(self):
        """Who was registered, or read."""
        return [re.sub(r"registered |.*@\d+: | born.*", "", line).strip()
                for line in self.lines]

    def partitions(self):
        return {line.split(" ")[0] for line in self.lines}


def wait(what, seconds=30):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def register(bootstrap, count):
    with Program(bootstrap, "producer.py", str(count)) as producer:
        producer.finish()
    clients.tally(clients.KAFKA_PYTHON_3, produced=count)
    return producer.names()


@pytest.mark.ours
def test_a_producer_and_a_consumer_on_a_new_broker(start_broker):
    broker = start_broker()
    old = register(broker.bootstrap, 100)
    with Program(broker.bootstrap, "consumer.py") as consumer:
        wait(lambda: len(consumer.lines) >= 100)
        new = register(broker.bootstrap, 20)
        wait(lambda: len(consumer.lines) >= 120)
        consumer.ctrl_c()
        assert consumer.names() == old + new


def test_two_consumers_of_one_group_share_the_users(bootstrap, create):
    create("users", 4)
    old = register(bootstrap, 100)
    with Program(bootstrap, "consumer.py", "readers") as one:
        wait(lambda: len(one.lines) >= 100)
        with Program(bootstrap, "consumer.py", "readers") as two:
            # The second joins, then both have a part of what is new.
            new = []
            deadline = time.monotonic() + 45
            while not two.lines:
                assert time.monotonic() < deadline
                new += register(bootstrap, 40)
                wait(lambda: len(set(one.names() + two.names()))
                     == len(set(old + new)))
            two.ctrl_c()
            assert len(two.partitions()) == 2
        one.ctrl_c()
    assert set(one.names() + two.names()) == set(old + new)


@pytest.mark.ours
def test_sqlite3_shows_what_the_group_committed(start_broker):
    broker = start_broker()
    register(broker.bootstrap, 30)
    with Program(broker.bootstrap, "consumer.py", "readers") as consumer:
        wait(lambda: len(consumer.lines) >= 30)
        consumer.ctrl_c()
    rows = subprocess.run(
        ["sqlite3", "-header", "-separator", " ", f"{broker.dir()}/meta.db",
         "select group_id, topic, partition, offset from offsets"],
        stdout=subprocess.PIPE, text=True, check=True).stdout
    assert rows == ("group_id topic partition offset\n"
                    "readers users 0 30\n")
