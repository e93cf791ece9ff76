"""A short run that goes wrong at its n-th call, for every n.

The calls to a partition's log, to the quorum's and to meta.db are counted
apart. What was acknowledged is there after a restart, once and in order; what
an idempotent producer sends again is not doubled; where the process ended at
the call, this is so too when all is lost that no sync had saved. So no answer
left before the sync that it speaks of."""
import copy
import itertools
import os
import random

import pytest

from ask import new_producer, read_all, send
from calls import create
from load import Idempotent, Load, TOPICS
from node import FILES, Closed, Node

# In the gate each n is tried; with FAST=1 one in so many.
EVERY = 1 if os.environ.get("FAST", "0") == "0" else 10
# A number that so many runs in a row do not come to is beyond the last: how
# many calls a run makes differs a little from run to run.
MISSES = 3
# Where a failure may be passed over: the quorum's mark stays at what is true
# too, and a topic that is on its way out has nothing to lose.
PASSED_OVER = ("/quorum/term", "/log/doomed-")


class ShortRun:
    """A run in which call number `at` to a kind of file goes wrong: load,
    then a clean stop, unless it ended before."""

    def __init__(self, node, file, how, calls, at, times=1):
        self.node, self.at = node, at
        self.calls = node.folder / "calls"
        arm = node.folder / "arm"
        node.start(journal=True, FAULT_PATHS=FILES.get(file, "/data/"),
                   FAULT_HOW=how, FAULT_CALLS=calls, FAULT_AT=at,
                   FAULT_TIMES=times, FAULT_ARM=arm, FAULT_LOG=self.calls)
        with node.connect() as connection:
            self.load = Load(connection)
        arm.touch()
        self.load.run(node)

    def where(self):
        """The file of call number `at`; None when there was no such call."""
        for line in self.calls.read_text().splitlines():
            _, _, number, *_, path = line.split(" ", 7)
            if int(number) == self.at:
                return path
        return None

    def ended(self):
        """Its status: it ended by itself, or is asked to."""
        if self.node.alive():
            self.node.process.terminate()
        return self.node.ended()

    def live_on(self, *lefts):
        """A restart serves what was acknowledged, and the producer goes on:
        from the files as they are, and from what power cuts leave."""
        cut = self.node.power_cut()
        for how in ("as it is", *lefts):
            if how in lefts:
                self.node.restore(cut.left(how, random.Random(self.at)))
            load = copy.deepcopy(self.load)
            self.node.start()
            load.check(self.node)
            load.finish(self.node)
            self.node.kill()


def every_run(file, how, calls, meanwhile=lambda run: None, times=1):
    """A run for each n up to the last; of each that came to its n the run,
    which has done `meanwhile` before the stop, and the process's status."""
    at, misses = 1, 0
    while misses < MISSES:
        with Node() as node:
            run = ShortRun(node, file, how, calls, at, times)
            meanwhile(run)
            status = run.ended()
            if run.where():
                yield run, status
                at, misses = at + times * EVERY, 0
            else:
                assert status == 0, node.told()
                misses += 1


@pytest.fixture
def each(request, record_property):
    """every_run(), which says how many there were."""
    def runs(*args, **more):
        count = 0
        for count, run in enumerate(every_run(*args, **more), 1):
            yield run
        record_property("told", f"{request.node.name}: {count} points")
    return runs


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("calls", ("write", "sync", "truncate,rename"))
def test_killed_before_each(each, file, calls):
    for run, status in each(file, "kill", calls):
        assert status == -9
        run.live_on("nothing", "some")


@pytest.mark.parametrize("file", FILES)
def test_killed_in_the_middle_of_each_write(each, file):
    for run, status in each(file, "torn", "write"):
        assert status == -9
        run.live_on("some")


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("calls", ("write", "sync"))
def test_each_that_fails_ends_the_process(each, file, calls):
    for run, status in each(file, "eio", calls):
        assert status > 0 or status == 0 and any(
            part in run.where() for part in PASSED_OVER), run.node.told()
        run.live_on("nothing")


def serves_or_ended(run):
    try:
        run.load.check(run.node)
    except (Closed, OSError):
        run.node.ended()


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("calls", ("write", "sync"))
def test_a_disk_that_is_full_for_a_moment(each, file, calls):
    """Three calls fail. It may refuse for a while or end; it loses nothing,
    also of what a sync that failed did not write."""
    for run, _ in each(file, "enospc", calls, serves_or_ended, times=3):
        run.live_on("nothing")


def test_writes_that_are_short_go_on(node):
    run = ShortRun(node, "all", "short", "write", 1, times=1 << 30)
    assert node.alive(), node.told()
    run.load.finish(node)
    run.live_on()


def test_killed_at_each_call_of_the_first_start():
    """A folder that is half made is no obstacle to the next start."""
    for at in itertools.count(1, EVERY):
        with Node() as node:
            node.spawn(journal=True, FAULT_HOW="kill", FAULT_AT=at)
            if node.serves():
                assert at > 1, "nothing was counted"
                return
            cut = node.power_cut()
            for how in ("all", "nothing"):
                node.restore(cut.left(how))
                node.start()
                with node.connect() as connection:
                    load = Load(connection)
                load.finish(node)
                node.kill()


def test_a_clean_stop_with_five_in_flight_doubles_nothing(node):
    node.start()
    with node.connect() as connection:
        create(connection, TOPICS[0])
        producer = Idempotent(TOPICS[0], new_producer(connection))
    for turn in range(1, 6):
        with node.connect() as connection:
            for index in range(producer.acked, producer.acked + 5):
                send(connection, TOPICS[0], producer.batch(index))
            node.stop()
        node.start()
        producer.run(node, 5 * turn)
        with node.connect() as connection:
            found = read_all(connection, TOPICS[0])
        producer.check(found)
        assert len(found) == 5 * turn * producer.EACH


def test_retries_after_a_clean_stop_get_the_first_answers(node):
    node.start()
    with node.connect() as connection:
        create(connection, TOPICS[0])
        first = Idempotent(TOPICS[0], new_producer(connection))
    first.run(node, 9)
    node.stop()
    node.start()
    again = Idempotent(TOPICS[0], first.producer)
    again.acked, again.offsets = 4, first.offsets[:4]
    again.run(node, 9)
    assert again.offsets == first.offsets
