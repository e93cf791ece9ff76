"""No answer leaves before the fdatasync of what it acknowledges.

The shim writes down each write, sync and send of the release binary with the
times when it began and ended."""
import collections
import time

import pytest

from ask import new_producer, offsets, receive, send
from calls import commit, create, delete, produce
from records import batch

Event = collections.namedtuple("Event", "began ended name bytes result where")


class Watched:
    """A node whose calls are written down, and one connection to it."""

    def __init__(self, node):
        self.node = node
        self.path = node.folder / "calls"
        node.start(FAULT_LOG=self.path)
        self.connection = node.connect()
        self.port = self.connection.socket.getsockname()[1]

    def events(self):
        """All, up to the send of what has arrived last: its line is written
        after it, so it may be late."""
        deadline = time.monotonic() + 30
        while True:
            found = []
            for line in self.path.read_text().splitlines():
                began, ended, _, name, _, size, result, where = line.split(
                    " ", 7)
                found.append(Event(int(began), int(ended), name, int(size),
                                   int(result), where))
            sent = sum(e.result for e in self.sends(found))
            if sent >= self.connection.received:
                return found
            assert time.monotonic() < deadline, sent
            time.sleep(0.01)

    def sends(self, events):
        return [e for e in events if e.where == f"socket:{self.port}"
                and e.result > 0]


@pytest.fixture
def watched(node):
    one = Watched(node)
    yield one
    one.connection.close()


def synced(events, part, when):
    """The bytes of files with `part` in their path that were on disk by
    `when`: written before the begin of a sync that had ended by then."""
    by_file = collections.defaultdict(list)
    for e in events:
        if part in e.where:
            by_file[e.where].append(e)
    total = 0
    for changes in by_file.values():
        begun = max((e.began for e in changes if e.name in (
            "fsync", "fdatasync") and e.result == 0 and e.ended <= when),
            default=0)
        total += sum(e.result for e in changes if e.name == "write"
                     and e.ended <= begun)
    return total


def check_each(watched, part, before, least):
    """Each answer was preceded by `least` more bytes of `part` on disk."""
    events = watched.events()
    sends = [e for e in watched.sends(events) if e.began > before]
    on_disk = [synced(events, part, e.began) for e in sends]
    base = synced(events, part, before)
    for i, total in enumerate(on_disk):
        assert total >= base + (i + 1) * least, (
            f"answer {i + 1}: {total - base} bytes are on disk")
    return len(sends)


def last(watched):
    return max(e.ended for e in watched.events())


@pytest.mark.parametrize("acks", (1, -1))
def test_produce_one_after_the_other(watched, acks):
    create(watched.connection, "t")
    before = last(watched)
    data = batch([b"x" * 100])
    for _ in range(50):
        part = produce(watched.connection, "t", data, acks=acks)
        assert part["ErrorCode"] == 0
    assert check_each(watched, "/t-0/", before, len(data)) == 50


def test_produce_with_many_in_flight(watched):
    """Answers may leave together: the bytes that left say how many."""
    create(watched.connection, "t")
    before = last(watched)
    data = batch([b"x" * 100])
    for _ in range(200):
        send(watched.connection, "t", data)
    for i in range(200):
        receive(watched.connection,
                watched.connection.correlation - 199 + i)
    events = watched.events()
    base = synced(events, "/t-0/", before)
    answer = watched.connection.size + 4
    left = 0
    for e in watched.sends(events):
        if e.began > before:
            left += e.result
            durable = (synced(events, "/t-0/", e.began) - base) // len(data)
            assert left <= durable * answer, (left / answer, durable)
    assert left == 200 * answer


def test_acks_0_waits_for_nothing(watched):
    create(watched.connection, "t")
    before = last(watched)
    send(watched.connection, "t", batch([b"x"]), acks=0)
    watched.connection.call("ApiVersions", 0)
    sends = [e for e in watched.sends(watched.events()) if e.began > before]
    assert len(sends) == 1


def test_async_waits_for_no_sync(watched):
    """Whose topic says so; it is the exception, and "commit" the default."""
    create(watched.connection, "t", **{"tidemark.flush": "async"})
    before = last(watched)
    data = batch([b"x" * 100])
    for _ in range(20):
        assert produce(watched.connection, "t", data)["ErrorCode"] == 0
    events = watched.events()
    sends = [e for e in watched.sends(events) if e.began > before]
    assert len(sends) == 20
    assert synced(events, "/t-0/", sends[-1].began) < 20 * len(data)


@pytest.mark.parametrize("what", ("create", "delete", "commit", "producer"))
def test_a_command_is_in_the_quorums_log_first(watched, what):
    connection = watched.connection
    for name in ("t", *(f"old-{i}" for i in range(10))):
        create(connection, name)
    before = last(watched)
    for i in range(10):
        if what == "create":
            create(connection, f"new-{i}")
        elif what == "delete":
            delete(connection, f"old-{i}")
        elif what == "commit":
            assert commit(connection, "g", "t", i) == 0
        else:
            new_producer(connection)
            break  # a block of ids is taken once
    assert check_each(watched, "/quorum/", before, 1) >= 1


def test_consumers_see_only_what_is_on_disk(watched):
    """The end that a consumer is told never runs ahead of the syncs."""
    create(watched.connection, "t")
    data = batch([b"x" * 1000])
    with watched.node.connect() as producer:
        for _ in range(100):
            send(producer, "t", data)
        before = last(watched)
        seen = []
        while not seen or seen[-1] < 100:
            seen += offsets(watched.connection, "t")
        for i in range(100):
            receive(producer, producer.correlation - 99 + i)
    events = watched.events()
    sends = [e for e in watched.sends(events) if e.began > before]
    assert len(sends) >= len(seen)
    for end, sent in zip(seen, sends[-len(seen):]):
        assert synced(events, "/t-0/", sent.began) >= end * len(data)
