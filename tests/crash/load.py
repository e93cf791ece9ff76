"""Clients that remember what they were told, and what must then be true of
the broker."""
import threading

from ask import (new_producer, read_all, receive, send, topic_ids, try_create,
                 try_delete)
from calls import commit, committed, create
from node import Closed
from records import batch

RETRIABLE = {3, 5, 6, 7, 14, 15, 16, 56}  # 56: the disk is full
TOPICS = ("idempotent", "plain")


class Idempotent:
    """Sends batches of two records, five in flight; goes on where it was
    interrupted, as an idempotent client does."""
    EACH = 2

    def __init__(self, topic, producer, name="i", padding=0):
        self.topic, self.producer, self.name = topic, producer, name
        self.padding = b"-" * padding
        self.sent = 0       # batches, acknowledged or not
        self.acked = 0      # batches, in order
        self.offsets = []   # of each acknowledged batch
        self.rejected = None

    def batch(self, index):
        values = [b"%s-%d-%s" % (self.name.encode(), index * self.EACH + i,
                                 self.padding) for i in range(self.EACH)]
        return batch(values, producer=(*self.producer, index * self.EACH))

    def run(self, node, total, window=5):
        with node.connect() as connection:
            flight = []
            sent = self.acked
            while self.acked < total:
                while sent < total and len(flight) < window:
                    flight.append((sent, send(
                        connection, self.topic, self.batch(sent))))
                    sent += 1
                    self.sent = max(self.sent, sent)
                index, correlation = flight.pop(0)
                part = receive(connection, correlation)
                if part["ErrorCode"] in RETRIABLE or (
                        part["ErrorCode"] == 45 and self.rejected):
                    # Those behind it in flight fail too: all go again.
                    self.rejected = part["ErrorCode"]
                    for _, other in flight:
                        later = receive(connection, other)
                        assert later["ErrorCode"] != 0, (
                            "taken out of order", later)
                    flight, sent = [], self.acked
                    continue
                assert part["ErrorCode"] == 0, part
                self.rejected = None
                assert index == self.acked
                self.offsets.append(part["BaseOffset"])
                self.acked += 1

    def check(self, found):
        """All acknowledged is there, once, in order, where it was said to
        be, and nothing that was never sent."""
        mine = [(o, int(v.split(b"-")[1])) for o, v in found
                if v.startswith(self.name.encode() + b"-")]
        numbers = [n for _, n in mine]
        assert numbers == list(range(len(numbers))), numbers
        assert len(numbers) >= self.acked * self.EACH, (
            f"{self.acked * self.EACH} acknowledged, {len(numbers)} there")
        where = {n: o for o, n in mine}
        for index, offset in enumerate(self.offsets):
            for i in range(self.EACH):
                assert where[index * self.EACH + i] == offset + i


class Plain:
    """Sends one record after the other and never again."""

    def __init__(self, topic, padding=0):
        self.topic = topic
        self.padding = b"-" * padding
        self.next = 0
        self.acked = {}  # number: offset

    def run(self, node, total):
        with node.connect() as connection:
            while self.next < total:
                number, self.next = self.next, self.next + 1
                send(connection, self.topic,
                     batch([b"p-%d-%s" % (number, self.padding)]))
                part = receive(connection)
                if part["ErrorCode"] == 0:
                    self.acked[number] = part["BaseOffset"]
                else:
                    assert part["ErrorCode"] in RETRIABLE, part

    def check(self, found):
        numbers = [int(v.split(b"-")[1]) for _, v in found]
        assert numbers == sorted(set(numbers)), "doubled or out of order"
        where = {int(v.split(b"-")[1]): o for o, v in found}
        for number, offset in self.acked.items():
            assert where.get(number) == offset, (
                f"{number} was acknowledged at {offset}, "
                f"is at {where.get(number)}")


class Aged(Plain):
    """A plain producer to a topic that keeps its last `kept` bytes."""

    def __init__(self, topic, padding, kept):
        super().__init__(topic, padding)
        self.kept = kept
        self.start = 0

    def check(self, found):
        start = found[0][0] if found else 0
        assert start >= self.start, "what was deleted is back"
        # The last may have been written and lost.
        assert start == 0 or (
            (len(found) + 2) * len(self.padding) >= self.kept), len(found)
        self.start = start
        self.acked = {n: o for n, o in self.acked.items() if o >= start}
        super().check(found)


class Committer:
    """Commits growing offsets for a group without members."""

    def __init__(self, group, topic):
        self.group, self.topic = group, topic
        self.tried = self.acked = -1

    def run(self, node, total):
        with node.connect() as connection:
            while self.tried < total:
                self.tried += 1
                code = commit(connection, self.group, self.topic, self.tried)
                if code == 0:
                    self.acked = self.tried
                else:
                    assert code in RETRIABLE, code

    def check(self, connection):
        found = committed(connection, self.group).get((self.topic, 0), -1)
        assert self.acked <= found <= self.tried, (
            f"committed {self.acked}, tried {self.tried}, found {found}")


class Creator:
    """Creates topics, and deletes each that is called doomed."""

    def __init__(self):
        self.next = 0
        self.there = {}    # name: topic id
        self.gone = set()  # names

    def run(self, node, total):
        with node.connect() as connection:
            while self.next < total:
                doomed, self.next = self.next % 2, self.next + 1
                name = f"{'doomed' if doomed else 'kept'}-{self.next}"
                topic_id = try_create(connection, name)
                if topic_id and not doomed:
                    self.there[name] = topic_id
                elif topic_id and try_delete(connection, name):
                    self.gone.add(name)

    def check(self, connection):
        found = topic_ids(connection)
        for name, topic_id in self.there.items():
            assert found.get(name) == topic_id, name
        assert not self.gone & found.keys(), "a deleted topic is back"


class Load:
    """All these clients at one broker, each with its turns, and the topics
    that they want."""
    TURNS = {"idempotent": 12, "plain": 6, "committer": 5, "creator": 4}

    def __init__(self, connection, padding=0, **configs):
        for topic in TOPICS:
            create(connection, topic, **configs)
        self.ids = [new_producer(connection)]
        self.idempotent = Idempotent(TOPICS[0], self.ids[0],
                                     padding=padding)
        self.plain = Plain(TOPICS[1])
        self.committer = Committer("g", TOPICS[0])
        self.creator = Creator()

    def run(self, node, times=1):
        """Until all have had their turns, or the broker is gone."""
        together(*((getattr(self, name).run, node, times * turns)
                   for name, turns in self.TURNS.items()))

    def acked(self):
        """Of all kinds."""
        return (self.idempotent.acked * Idempotent.EACH +
                len(self.plain.acked) + self.committer.acked + 1 +
                len(self.creator.there) + len(self.creator.gone))

    def check(self, node):
        """What the broker serves is what it acknowledged."""
        with node.connect() as connection:
            self.idempotent.check(read_all(connection, TOPICS[0]))
            self.plain.check(read_all(connection, TOPICS[1]))
            self.committer.check(connection)
            self.creator.check(connection)
            self.ids.append(new_producer(connection))
        assert len({i for i, _ in self.ids}) == len(self.ids), self.ids

    def finish(self, node):
        """The idempotent producer has all that it ever sent acknowledged,
        and a run's worth; it must be as if nothing had happened."""
        total = max(self.idempotent.sent, self.TURNS["idempotent"])
        self.idempotent.run(node, total)
        with node.connect() as connection:
            found = read_all(connection, TOPICS[0])
        assert len(found) == total * Idempotent.EACH
        self.check(node)


def together(*runs):
    """Runs (function, arguments...) at once. That the broker goes away is
    what they are there for; anything else fails."""
    failed = []

    def guarded(function, *args):
        try:
            function(*args)
        except (Closed, OSError):
            pass
        except BaseException as e:
            failed.append(e)

    threads = [threading.Thread(target=guarded, args=run) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
