"""Groups of each client: halves, a member that dies, offsets, static and
cooperative members."""
import sqlite3
import time

import pytest

import clients
import records
from calls import append
from clients import Member

SESSION_MS, HEARTBEAT_MS = 6000, 1000
FAST = {"session_ms": SESSION_MS, "heartbeat_ms": HEARTBEAT_MS}


@pytest.fixture
def fill(raw):
    """Appends values to each partition of a topic, a batch a partition."""
    def fill(topic, partitions, values):
        sent = [[b"%d-%s" % (p, v) for v in values] for p in range(partitions)]
        for p, here in enumerate(sent):
            append(raw, topic, records.batch(here), partition=p)
        return {v for here in sent for v in here}
    return fill


def values(*members):
    return [v for m in members for _, _, v in m.records]


def numbers(low, high):
    return [b"%d" % n for n in range(low, high)]


def test_two_own_half_each_and_one_that_dies_is_replaced_in_time(
        client, bootstrap, topic, create, fill):
    create(topic, 4)
    first = fill(topic, 4, numbers(0, 20))
    with Member(client, bootstrap, topic, topic, **FAST) as one, \
            Member(client, bootstrap, topic, topic, **FAST) as two:
        for member in one, two:
            member.wait_partitions(2, 45)
        assert one.partitions | two.partitions == {0, 1, 2, 3}
        deadline = time.monotonic() + 20
        while set(values(one, two)) != first:
            assert time.monotonic() < deadline, len(values(one, two))
            time.sleep(0.05)

        # Long enough for its last heartbeat to be answered.
        time.sleep(HEARTBEAT_MS / 1000 + 0.2)
        killed = time.monotonic()
        two.kill()
        second = fill(topic, 4, numbers(20, 40))
        one.wait_partitions(4, 20)
        took = one.assigned[-1][0] - killed
        assert took <= (SESSION_MS + HEARTBEAT_MS) / 1000 + 2, took
        one.wait("the rest", lambda: set(values(one, two)) == first | second,
                 20)
        assert one.leave() == 0


def test_committed_offsets_go_on_after_a_restart_of_the_client(
        client, bootstrap, topic, create, fill):
    create(topic)
    fill(topic, 1, numbers(0, 60))
    with Member(client, bootstrap, topic, topic, count=60) as member:
        member.wait_records(60, 45)
        assert member.finish() == 0
        assert values(member) == [b"0-%d" % n for n in range(60)]
    fill(topic, 1, numbers(60, 100))
    with Member(client, bootstrap, topic, topic, count=40) as member:
        member.wait_records(40, 45)
        assert member.finish() == 0
        assert values(member) == [b"0-%d" % n for n in range(60, 100)]


@pytest.mark.clients(static=True)
def test_a_static_member_comes_back_to_its_partitions(
        client, bootstrap, topic, create):
    create(topic, 4)
    with Member(client, bootstrap, topic, topic, instance="a") as one, \
            Member(client, bootstrap, topic, topic, instance="b") as two:
        for member in one, two:
            member.wait_partitions(2, 45)
        before = two.partitions
        changes = len(one.assigned)
        two.kill()
        with Member(client, bootstrap, topic, topic, instance="b") as again:
            again.wait_partitions(2)
            assert again.partitions == before
            assert len(one.assigned) == changes, "nobody else is disturbed"


@pytest.mark.clients(cooperative=True)
def test_a_cooperative_member_keeps_what_it_does_not_lose(
        client, bootstrap, topic, create):
    create(topic, 4)
    options = {**FAST, "assignor": "cooperative"}
    with Member(client, bootstrap, topic, topic, **options) as one:
        one.wait_partitions(4)
        joined = len(one.assigned)
        with Member(client, bootstrap, topic, topic, **options) as two:
            one.wait_partitions(2)
            two.wait_partitions(2)
            assert one.partitions | two.partitions == {0, 1, 2, 3}
            assert all(one.partitions <= had
                       for _, had in one.assigned[joined:])
            assert two.leave() == 0
        one.wait_partitions(4)


def test_clients_of_different_make_share_a_group(bootstrap, topic, create,
                                                 fill):
    """All of these know the range assignor, and what the leader computed is
    understood by the others."""
    create(topic, 9)
    makes = (clients.KAFKA_PYTHON_3, clients.CONFLUENT, clients.JAVA)
    members = [Member(c, bootstrap, topic, topic, **FAST) for c in makes]
    try:
        for member in members:
            member.wait_partitions(3, 45)
        assert frozenset().union(*(m.partitions for m in members)) == set(
            range(9))
        sent = fill(topic, 9, numbers(0, 10))
        deadline = time.monotonic() + 20
        while set(values(*members)) != sent:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        for member in members:
            member.kill()


@pytest.mark.ours
def test_what_a_client_committed_is_a_row_of_offsets(
        client, bootstrap, topic, create, fill, data_dir):
    create(topic)
    fill(topic, 1, numbers(0, 25))
    with Member(client, bootstrap, topic, topic, count=25) as member:
        member.wait_records(25, 45)
        assert member.finish() == 0
    database = sqlite3.connect(f"file:{data_dir}/meta.db?mode=ro", uri=True)
    time.sleep(0.01)
    rows = database.execute(
        "select partition, offset from offsets where group_id = ?"
        " and topic = ?", (topic, topic)).fetchall()
    database.close()
    assert rows == [(0, 25)]
