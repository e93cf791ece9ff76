"""Seeking, the ends of a partition, offsets by time: each client's way."""
import time

import records

# Of today: what is too old goes.
TIME = int(time.time()) * 1000 - 3_600_000


def test_ends_times_and_seek(client, bootstrap, topic, create, raw):
    create(topic)
    for i in range(30):
        answer = raw.call("Produce", 8, Acks=-1, TimeoutMs=10000, TopicData=[{
            "Name": topic, "PartitionData": [{
                "Index": 0, "Records": records.batch(
                    [b"value %d" % i], timestamp=TIME + 1000 * i)}]}])
        part = answer["Responses"][0]["PartitionResponses"][0]
        assert part["ErrorCode"] == 0 and part["BaseOffset"] == i
    told = dict(client.run("offsets", bootstrap, topic, 0, TIME + 10_500))
    assert told["beginning"] == "0"
    assert told["end"] == "30"
    assert told["at"] == "11"
    assert told["seek"] == "dmFsdWUgMTE="  # value 11
