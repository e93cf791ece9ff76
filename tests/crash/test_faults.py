"""A short run that goes wrong at its n-th call, for every n.

What was acknowledged is there after a restart, once and in order; what an
idempotent producer sends again is not doubled."""
import os

import pytest

from load import (Committer, Creator, Idempotent, Plain, TOPICS, create,
                  new_producer, read_all, together)
from node import Closed, Node

BATCHES, SINGLES, COMMITS, MADE = 12, 6, 5, 2
SHARDS = 8
# In the gate each n is tried; with FAST=1 one in so many.
EVERY = 1 if os.environ.get("FAST", "0") == "0" else 10


class Run:
    """One node and all that was said to it."""

    def __init__(self, node, connection):
        self.node = node
        self.idempotent = Idempotent(TOPICS[0], new_producer(connection))
        self.plain = Plain(TOPICS[1])
        self.committer = Committer("g", TOPICS[0])
        self.creator = Creator()

    def load(self, times=1):
        together((self.idempotent.run, self.node, times * BATCHES),
                 (self.plain.run, self.node, times * SINGLES),
                 (self.committer.run, self.node, times * COMMITS),
                 (self.creator.run, self.node, times * MADE))

    def check(self):
        with self.node.connect() as connection:
            self.idempotent.check(read_all(connection, TOPICS[0]))
            self.plain.check(read_all(connection, TOPICS[1]))
            self.committer.check(connection)
            self.creator.check(connection)
            assert new_producer(connection)[0] > self.idempotent.producer[0]

    def finish(self):
        """Goes on to the end, which must be as if nothing had happened."""
        before = self.idempotent.acked
        self.idempotent.run(self.node, BATCHES)
        assert self.idempotent.acked == BATCHES >= before
        with self.node.connect() as connection:
            found = read_all(connection, TOPICS[0])
        assert len(found) == BATCHES * Idempotent.EACH
        self.check()


def run_with(how, at, calls="write,sync,truncate,rename", times=1, log=None):
    """A run in which call number `at` goes wrong, up to where the load ends;
    in the `with` of its caller the node is still as the fault left it."""
    node = Node()
    arm = node.folder / "arm"
    node.start(FAULT_HOW=how, FAULT_AT=at, FAULT_CALLS=calls, FAULT_ARM=arm,
               FAULT_TIMES=times, **({"FAULT_LOG": log} if log else {}))
    with node.connect() as connection:
        create(connection, *TOPICS)
        run = Run(node, connection)
    arm.touch()
    run.load()
    return run


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    """How many calls of each kind a run makes when nothing goes wrong."""
    log = tmp_path_factory.mktemp("calls") / "log"
    run = run_with("none", 0, log=log)
    with run.node:
        run.finish()
    names = [line.split()[3] for line in log.read_text().splitlines()
             if line.split()[2] != "0"]
    assert names, "the shim counted nothing"
    syncs = sum(n in ("fsync", "fdatasync") for n in names)
    return {"all": len(names), "write": names.count("write"), "sync": syncs}


def shard(count, shard, every=EVERY):
    """This shard's part of the numbers from 1 to a bit beyond `count`: how
    many calls a run makes differs a little from run to run."""
    return range(1 + shard * every, count + count // 10 + 2, SHARDS * every)


@pytest.mark.parametrize("part", range(SHARDS))
def test_killed_before_each_call(part, calls):
    for at in shard(calls["all"], part):
        run = run_with("kill", at)
        with run.node:
            run.node.kill()
            run.node.start()
            run.check()
            run.finish()


@pytest.mark.parametrize("part", range(SHARDS))
def test_killed_in_the_middle_of_each_write(part, calls):
    for at in shard(calls["write"], part):
        run = run_with("torn", at, "write")
        with run.node:
            run.node.kill()
            run.node.start()
            run.check()
            run.finish()


@pytest.mark.parametrize("kind", ("write", "sync"))
@pytest.mark.parametrize("part", range(SHARDS))
def test_each_call_that_fails_ends_the_process(part, kind, calls):
    for at in shard(calls[kind], part):
        run = run_with("eio", at, kind)
        with run.node:
            if at < calls[kind] * 3 // 4:
                assert run.node.ended() != 0, f"{kind} {at}"
            else:
                # How many calls there are differs: it may not have come.
                run.node.kill()
            run.node.start()
            run.check()
            run.finish()


@pytest.mark.parametrize("part", range(SHARDS))
def test_a_disk_that_is_full_for_a_moment(part, calls):
    """It may refuse for a while or end; it loses nothing."""
    for at in shard(calls["write"], part, 4 * EVERY):
        run = run_with("enospc", at, "write", times=3)
        with run.node:
            try:
                run.check()
            except (Closed, OSError):
                run.node.ended()
            run.node.kill()
            run.node.start()
            run.check()
            run.finish()


def test_writes_that_are_short_go_on(calls):
    run = run_with("short", 1, "write", times=1 << 30)
    with run.node:
        assert run.node.alive(), run.node.told()
        run.finish()
        run.node.kill()
        run.node.start()
        run.check()


def test_killed_at_each_call_of_the_first_start(calls):
    """A folder that is half made is no obstacle to the next start."""
    at = 0
    while True:
        at += EVERY
        with Node() as node:
            node.spawn(FAULT_HOW="kill", FAULT_AT=at)
            if node.serves():
                node.kill()
                assert at > 1, "nothing was counted"
                return
            node.start()
            with node.connect() as connection:
                create(connection, *TOPICS)
                Run(node, connection).finish()


def test_a_clean_stop_with_five_in_flight_doubles_nothing(node):
    node.start()
    with node.connect() as connection:
        create(connection, *TOPICS)
        run = Run(node, connection)
    for turn in range(1, 6):
        with node.connect() as connection:
            for index in range(run.idempotent.acked,
                               run.idempotent.acked + 5):
                connection.send("Produce", 9, **{
                    "Acks": -1, "TimeoutMs": 1000, "TopicData": [{
                        "Name": TOPICS[0], "PartitionData": [{
                            "Index": 0,
                            "Records": run.idempotent.batch(index)}]}]})
            node.stop()
        node.start()
        run.idempotent.run(node, 5 * turn)
        with node.connect() as connection:
            found = read_all(connection, TOPICS[0])
            run.idempotent.check(found)
            assert len(found) == 5 * turn * Idempotent.EACH


def test_retries_after_a_clean_stop_get_the_first_answers(node):
    node.start()
    with node.connect() as connection:
        create(connection, *TOPICS)
        run = Run(node, connection)
    run.idempotent.run(node, 9)
    node.stop()
    node.start()
    again = Idempotent(TOPICS[0], run.idempotent.producer)
    again.acked, again.offsets = 4, run.idempotent.offsets[:4]
    again.run(node, 9)
    assert again.offsets == run.idempotent.offsets
