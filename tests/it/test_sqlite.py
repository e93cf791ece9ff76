"""meta.db beside the broker that writes it: what it shows, when, and that
neither ever stands in the other's way."""
import base64
import contextlib
import sqlite3
import threading
import time

import pytest

import clients
from calls import commit, committed, create
from test_members import beat, enter, sync
from wire import Connection

pytestmark = pytest.mark.ours


def database(broker, mode="ro", **options):
    return contextlib.closing(sqlite3.connect(
        f"file:{broker.dir()}/meta.db?mode={mode}", uri=True, **options))


def select(broker, query, *values):
    with database(broker) as db:
        return db.execute(query, values).fetchall()


def wait_rows(broker, query, expected):
    deadline = time.monotonic() + 30
    while (rows := select(broker, query)) != expected:
        assert time.monotonic() < deadline, rows
        time.sleep(0.01)


def shown_after_ms(broker, query, values, expected):
    """How long after now the query gives what is expected, at most 30 s, and
    how long it takes to ask when it is there."""
    begun = time.monotonic()
    while (rows := select(broker, query, *values)) != expected:
        assert time.monotonic() - begun < 30, (rows, expected)
    shown = time.monotonic()
    select(broker, query, *values)
    return (shown - begun) * 1000, (time.monotonic() - shown) * 1000


def test_a_change_is_there_10_ms_after_its_answer(start_broker):
    """The median of many, less what asking takes: the slowest tell of the
    machine."""
    broker = start_broker()
    waits = []
    with Connection(broker.bootstrap) as raw:
        for i in range(15):
            topic_id = create(raw, f"t{i}", 2)["TopicId"]
            shown = base64.urlsafe_b64encode(topic_id.bytes).decode()
            waits.append(shown_after_ms(
                broker, "select topic_id from topics where name = ?",
                (f"t{i}",), [(shown.rstrip("="),)]))
            assert commit(raw, "g", f"t{i}", i, partition=1) == 0
            waits.append(shown_after_ms(
                broker, 'select "offset", metadata from offsets where '
                "group_id = 'g' and topic = ? and partition = 1",
                (f"t{i}",), [(i, "note")]))
    late = sorted(shown - asked for shown, asked in waits)
    assert late[len(late) // 2] < 10, waits


COLUMNS = {
    "topics": "name topic_id",
    "topic_configs": "topic name value",
    "partitions": "topic partition leader leader_epoch replicas isr",
    "brokers": "broker_id",
    "producer_ids": "",
    "coordinators": "",
    "groups": "group_id generation protocol leader",
    "offsets": "group_id topic partition offset leader_epoch metadata"
               " committed_at",
    "config_history": "",
}


def test_every_table_has_its_rows(start_broker, tmp_path):
    """Of a broker with a config, a topic, a producer and a group."""
    config = tmp_path / "config.lua"
    config.write_text("topics = { users = { partitions = 2,\n"
                      "  config = { ['retention.ms'] = '1d' } } }\n")
    broker = start_broker(CONFIG=str(config), **{
        "coordinator.initial_rebalance_delay": "0s"})
    clients.CONFLUENT.produce(
        broker.bootstrap, "users", clients.plain_records("x", 3), idempotent=1)
    with Connection(broker.bootstrap) as raw:
        joined = enter(raw, "crew")
        sync(raw, "crew", joined, [(joined["MemberId"], b"all")])
        assert commit(raw, "crew", "users", 3, MemberId=joined["MemberId"],
                      GenerationIdOrMemberEpoch=joined["GenerationId"]) == 0
    wait_rows(broker, "select group_id, topic, partition, offset, metadata"
              " from offsets", [("crew", "users", 0, 3, "note")])
    with database(broker) as db:
        for table, columns in COLUMNS.items():
            cursor = db.execute(f"select * from {table}")
            there = {c[0] for c in cursor.description}
            assert set(columns.split()) <= there, (table, there)
            assert cursor.fetchall(), table
    assert ("users", "retention.ms", "86400000") in select(
        broker, "select topic, name, value from topic_configs")
    assert select(broker, "select generation, protocol, leader from groups"
                  ) == [(1, "range", joined["MemberId"])]


def test_readers_beside_a_broker_that_writes_are_never_refused(start_broker):
    broker = start_broker()
    path = f"file:{broker.dir()}/meta.db?mode=ro"
    over = threading.Event()
    reads, refused = [], []

    def read():
        while not over.is_set():
            try:
                db = sqlite3.connect(path, uri=True, timeout=0)
                reads.append(db.execute(
                    "select count(*) from topics").fetchone()[0])
                db.close()
            except sqlite3.Error as e:
                refused.append(e)

    thread = threading.Thread(target=read)
    thread.start()
    with Connection(broker.bootstrap) as raw:
        for i in range(100):
            create(raw, f"t{i}")
        while len(reads) < 50 and not refused:
            create(raw, f"more-{len(reads)}-{time.monotonic_ns()}")
    over.set()
    thread.join()
    assert refused == [] and reads == sorted(reads)


# Both keep what they began for as long as the test wants: sqlite3 left open
# in another terminal. The writer is what nobody should be, and waits for
# its turn as long as it must.
HELD = {
    "a reader": ("ro", "begin"),
    "a writer": ("rw", "begin immediate"),
}


@pytest.mark.parametrize("who", HELD)
def test_a_transaction_that_stays_open_holds_nothing_up(who, start_broker):
    """Topics, offsets, a clean stop and a start beside it."""
    broker = start_broker()
    mode, begin = HELD[who]
    with Connection(broker.bootstrap) as raw:
        create(raw, "before")

    @contextlib.contextmanager
    def held():
        with database(broker, mode, isolation_level=None, timeout=5) as db:
            db.execute(begin)
            before = db.execute("select count(*) from topics").fetchall()
            yield
            assert before == db.execute(
                "select count(*) from topics").fetchall()
            db.execute("rollback")

    with held(), Connection(broker.bootstrap) as raw:
        for i in range(20):  # answers do not wait for it
            create(raw, f"beside-{i}")
            assert commit(raw, "g", f"beside-{i}", i) == 0
        assert committed(raw, "g")["beside-19", 0] == 19
        time.sleep(2)
        assert commit(raw, "g", "before", 7) == 0
    wait_rows(broker, "select count(*) from topics", [(21,)])
    with held():
        with Connection(broker.bootstrap) as raw:
            create(raw, "last")
        broker.run("stop", broker.handle)
        broker.assert_clean()
        broker.restart()
        with Connection(broker.bootstrap) as raw:
            create(raw, "after")
            assert committed(raw, "g")["before", 0] == 7
    wait_rows(broker, "select count(*) from topics where name in"
              " ('before', 'beside-19', 'last', 'after')", [(4,)])
    assert select(broker, "pragma integrity_check") == [("ok",)]


def test_heartbeats_are_written_nowhere(start_broker):
    """Neither to meta.db nor to the quorum's log."""
    broker = start_broker(**{"coordinator.initial_rebalance_delay": "0s"})
    folder = clients.pathlib.Path(broker.dir())

    def files():
        return {p: (p.stat().st_size, p.stat().st_mtime_ns)
                for p in (*folder.glob("quorum/**/*"), *folder.glob("meta.*"))
                if p.is_file()}

    with Connection(broker.bootstrap) as raw:
        joined = enter(raw, "g")
        sync(raw, "g", joined, [(joined["MemberId"], b"all")])
        wait_rows(broker, "select generation from groups", [(1,)])
        time.sleep(2)  # what is put off by a second has been done
        before = files()
        for _ in range(100):
            assert beat(raw, "g", joined) == 0
        time.sleep(2)
        assert files() == before
