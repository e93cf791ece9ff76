"""Seeking, the ends of a partition, offsets by time: each client's way."""
import time

from calls import append
from records import batch

# Of today: what is too old goes.
TIME = int(time.time()) * 1000 - 3_600_000


def test_ends_times_and_seek(client, bootstrap, topic, create, raw):
    create(topic)
    append(raw, topic, *(batch([b"value %d" % i], timestamp=TIME + 1000 * i)
                         for i in range(30)))
    told = dict(client.run("offsets", bootstrap, topic, 0, TIME + 10_500))
    assert told["beginning"] == "0"
    assert told["end"] == "30"
    assert told["at"] == "11"
    assert told["seek"] == "dmFsdWUgMTE="  # value 11
