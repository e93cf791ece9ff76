"""The README's tutorial, run as its reader would: its own programs."""
import json
import os
import pathlib
import re
import signal
import subprocess
import threading
import time

import pytest

import clients
from calls import create as create_topic
from clients import BUILD, ROOT
from wire import Connection


def shown(name):
    """The program that README.md tells its reader to save as `name`."""
    readme = (ROOT / "README.md").read_text()
    return re.search(rf"as `{name}`.*?```python\n(.*?)```", readme, re.S)[1]


def section(title):
    """What README.md says under a title."""
    readme = (ROOT / "README.md").read_text()
    return re.search(rf"^## {title}\n(.*?)^## ", readme, re.S | re.M)[1]


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


@pytest.mark.ours
def test_two_consumers_of_one_group_share_the_users(start_broker):
    bootstrap = start_broker(**{"defaults.partitions": "4"}).bootstrap
    old = register(bootstrap, 100)
    with Program(bootstrap, "consumer.py", "readers") as one:
        wait(lambda: len(one.lines) >= 100)
        with Program(bootstrap, "consumer.py", "readers") as two:
            # The second joins, then both have two partitions' part of what is
            # new.
            new = []
            deadline = time.monotonic() + 45
            while len(two.partitions()) < 2:
                assert time.monotonic() < deadline
                new += register(bootstrap, 40)
                wait(lambda: len(set(one.names() + two.names()))
                     == len(set(old + new)))
            two.ctrl_c()
            assert len(two.partitions()) == 2, "two of four"
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


# The README's reader has a broker on port 9092, and ends `consume` by hand.
ELSEWHERE = """set -euo pipefail
tidemark() {
    case $1 in
    serve) ;;
    topic | produce) "$TIDEMARK" "$@" --server "$BROKER" ;;
    consume) "$TIDEMARK" "$@" --server "$BROKER" --to end ;;
    *) "$TIDEMARK" "$@" ;;
    esac
}
"""


@pytest.mark.ours
def test_the_command_lines_of_the_readme_work_one_after_the_other(
        start_broker):
    broker = start_broker()
    lines = re.findall(r"^    ((?!alias).*)$", section("The command line"),
                       re.M)
    assert len(lines) > 6
    done = subprocess.run(
        ["bash", "-c", ELSEWHERE + "\n".join(lines)], text=True,
        cwd=pathlib.Path(broker.dir()).parent, timeout=60,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "TIDEMARK": str(clients.PROGRAM),
             "BROKER": broker.bootstrap})
    assert (done.returncode, done.stderr) == (0, ""), done
    assert re.search(r'"key":"ada","value":"1"', done.stdout)
    assert ": all is well\n" in done.stdout


def test_the_config_of_the_readme_is_good(tmp_path):
    text = re.search(r"```lua\n(.*?)```", section("Configure"), re.S)[1]
    (tmp_path / "config.lua").write_text(text)
    done = subprocess.run(
        [clients.PROGRAM, "config", "check"], cwd=tmp_path, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.stdout == (
        "config.lua: good: 2 listeners, 1 topic, data in ./data\n"), done


@pytest.mark.ours
def test_a_broker_that_is_killed_in_the_middle_loses_and_doubles_nobody(
        start_broker):
    """"Pull the plug": the README's producer and two of its consumers."""
    broker = start_broker()
    with Connection(broker.bootstrap) as raw:
        create_topic(raw, "users", 4)
    with Program(broker.bootstrap, "consumer.py", "crew") as one, \
            Program(broker.bootstrap, "consumer.py", "crew") as two, \
            Program(broker.bootstrap, "producer.py", "3000") as producer:
        wait(lambda: len(producer.lines) > 300)
        broker.kill()
        broker.restart()
        producer.finish()
        sent = producer.names()
        assert len(sent) == 3000
        wait(lambda: set(one.names() + two.names()) == set(sent), 60)
        for consumer in one, two:
            consumer.ctrl_c()
    done = subprocess.run(
        [clients.PROGRAM, "consume", "users", "--to", "end", "--json",
         "--server", broker.bootstrap], text=True, stdout=subprocess.PIPE,
        check=True)
    there = [json.loads(line)["key"] for line in done.stdout.splitlines()]
    assert sorted(there) == sorted(sent), "each once"
    clients.tally(clients.KAFKA_PYTHON_3, produced=3000,
                  consumed=len(one.lines) + len(two.lines))
