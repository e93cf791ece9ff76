"""kill -9 at any moment under load, again and again on one folder.

Beside our own producers, which know exactly what they were told, a real
idempotent client and a real group member (confluent-kafka) live through all
rounds and retry as they do."""
import os
import random
import threading
import time

import confluent_kafka as ck
import pytest

from ask import new_producer, read_all
from calls import committed, create
from load import Committer, Idempotent, Plain, together

FAST = os.environ.get("FAST", "0") != "0"
ROUNDS = int(os.environ.get("ROUNDS", 5 if FAST else 50))
ID_KILLS = 10 if FAST else 100
FOREVER = 1 << 60
TOPICS = ("client", "raw", "plain")
# They say of each kill that the broker is gone.
CLIENT = {"reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 100,
          "log_level": 0}


class ClientProducer(threading.Thread):
    """librdkafka, idempotent, numbering its records, retrying by itself."""

    def __init__(self, bootstrap):
        super().__init__(daemon=True)
        self.producer = ck.Producer({
            "bootstrap.servers": bootstrap, "enable.idempotence": True,
            "linger.ms": 1, **CLIENT})
        self.sent = 0
        self.acked = {}  # number: offset
        self.failed = []
        self.over = threading.Event()

    def delivered(self, error, message):
        if error:
            self.failed.append(error)
        else:
            self.acked[int(message.value())] = message.offset()

    def run(self):
        while not self.over.is_set():
            if self.sent - len(self.acked) < 2000:
                for _ in range(20):
                    self.producer.produce("client", b"%d" % self.sent,
                                          on_delivery=self.delivered)
                    self.sent += 1
            self.producer.poll(0.01)
        self.producer.flush(60)

    def finish(self):
        self.over.set()
        self.join(90)
        assert not self.failed, self.failed[:3]
        assert len(self.acked) == self.sent, "not all were delivered"

    def check(self, found):
        assert [int(v) for _, v in found] == list(range(self.sent))
        assert dict((int(v), o) for o, v in found) == self.acked


class ClientConsumer(threading.Thread):
    """A member that reads on and commits; what it was told it committed may
    never be behind."""

    def __init__(self, bootstrap):
        super().__init__(daemon=True)
        self.consumer = ck.Consumer({
            "bootstrap.servers": bootstrap, "group.id": "members",
            "auto.offset.reset": "earliest", "enable.auto.commit": False,
            **CLIENT})
        self.committed = -1
        self.read = []
        self.assignments = 0
        self.failed = None
        self.over = threading.Event()

    def assigned(self, *_):
        self.assignments += 1

    def run(self):
        try:
            self.consumer.subscribe(["client"], on_assign=self.assigned)
            while not self.over.is_set():
                messages = self.consumer.consume(500, 0.05)
                self.read += [(m.offset(), int(m.value())) for m in messages
                              if not m.error()]
                if messages:
                    self.commit()
            self.consumer.close()
        except BaseException as e:
            self.failed = e

    def commit(self):
        try:
            told = self.consumer.commit(asynchronous=False)
            assert all(t.error is None for t in told), told
            self.committed = max(t.offset for t in told)
        except ck.KafkaException as e:
            if not e.args[0].retriable() and e.args[0].code() not in (
                    ck.KafkaError._TRANSPORT, ck.KafkaError._TIMED_OUT,
                    ck.KafkaError._WAIT_COORD, ck.KafkaError._NO_OFFSET,
                    ck.KafkaError.REQUEST_TIMED_OUT):
                raise

    def finish(self):
        self.over.set()
        self.join(60)
        assert self.failed is None, self.failed

    def check(self):
        """It read all from the beginning, once: it has no cause to go
        back, nor to be assigned again after a kill."""
        assert self.read == [(o, o) for o in range(len(self.read))]
        assert self.assignments == 1


@pytest.mark.timeout(120 + 4 * ROUNDS)
def test_rounds_of_kill_9_under_load(node, record_property):
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    chance = random.Random(seed)
    print(f"SEED={seed} ROUNDS={ROUNDS}")
    node.start()
    with node.connect() as connection:
        for topic in TOPICS:
            create(connection, topic)
        ids = [new_producer(connection)]
    raw, plain = Idempotent("raw", ids[0]), Plain("plain")
    committer = Committer("raw", "raw")
    producer = ClientProducer(node.bootstrap)
    consumer = ClientConsumer(node.bootstrap)
    producer.start()
    consumer.start()
    for turn in range(ROUNDS):
        load = threading.Thread(target=together, daemon=True, args=(
            (raw.run, node, FOREVER), (plain.run, node, FOREVER),
            (committer.run, node, FOREVER)))
        load.start()
        time.sleep(chance.uniform(0.02, 0.6))
        node.kill()
        load.join(30)
        told = consumer.committed
        node.start()
        with node.connect() as connection:
            committer.check(connection)
            assert committed(connection, "members").get(
                ("client", 0), -1) >= told, turn
            ids.append(new_producer(connection))
    assert len({i for i, _ in ids}) == len(ids)
    producer.finish()
    deadline = time.monotonic() + 60
    while len(consumer.read) < producer.sent:
        assert time.monotonic() < deadline and consumer.is_alive(), (
            len(consumer.read), producer.sent, consumer.failed)
        time.sleep(0.05)
    consumer.finish()
    with node.connect() as connection:
        producer.check(read_all(connection, "client"))
        raw.check(read_all(connection, "raw"))
        plain.check(read_all(connection, "plain"))
    consumer.check()
    record_property("told", f"{ROUNDS} rounds of kill -9: "
                    f"{producer.sent + raw.acked * raw.EACH} idempotent and "
                    f"{len(plain.acked)} plain records, 0 lost, 0 doubled")


def test_no_producer_id_is_given_twice(node, record_property):
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    chance = random.Random(seed)
    print(f"SEED={seed}")
    given = []

    def ask():
        with node.connect() as connection:
            while True:
                given.append(new_producer(connection)[0])

    for _ in range(ID_KILLS):
        node.start()
        load = threading.Thread(target=together, daemon=True,
                                args=((ask,), (ask,), (ask,)))
        load.start()
        time.sleep(chance.uniform(0, 0.04))
        node.kill()
        load.join(30)
    assert len(given) > ID_KILLS
    assert len(set(given)) == len(given)
    record_property("told", f"{ID_KILLS} kills: {len(given)} producer ids, "
                    "none twice")
