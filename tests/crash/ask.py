"""What these tests ask of a broker beyond the calls of tests/it: requests in
flight, of many partitions, and such as may be refused."""
from calls import fetch, to_produce
from records import batches

EARLIEST, LATEST = -2, -1


def send(connection, topic, data, **how):
    """A Produce whose answer is not waited for; what receive() wants."""
    return connection.send("Produce", 9, **to_produce(topic, data, **how))


def receive(connection, correlation=None):
    """The partition's part of the answer to a send()."""
    answer = connection.receive("Produce", 9, correlation)
    return answer["Responses"][0]["PartitionResponses"][0]


def append_to_all(connection, topic, data, partitions):
    """Produces the same to each partition, in one request."""
    answer = connection.call(
        "Produce", 9, Acks=-1, TimeoutMs=60000, TopicData=[{
            "Name": topic, "PartitionData": [
                {"Index": i, "Records": data} for i in partitions]}])
    parts = answer["Responses"][0]["PartitionResponses"]
    assert all(p["ErrorCode"] == 0 for p in parts), parts


def read_all(connection, topic):
    """[(offset, value)] of all that consumers see of a topic."""
    found, (at,) = [], offsets(connection, topic, EARLIEST)
    while True:
        # batches() copies what is left of an answer for each batch.
        part = fetch(connection, topic, at, part_high=1 << 18)
        assert part["ErrorCode"] == 0, part
        got = list(batches(part["Records"] or b""))
        if not got:
            assert at == part["HighWatermark"], "the end is not reached"
            return found
        for one in got:
            assert one.intact and one.base >= at
            found += [(o, v) for o, _, v in one.records()]
            at = one.base + one.last_delta + 1


def offsets(connection, topic, which=LATEST, partitions=(0,)):
    """The start or the end that a consumer is told of each partition."""
    answer = connection.call("ListOffsets", 4, ReplicaId=-1, Topics=[{
        "Name": topic, "Partitions": [
            {"PartitionIndex": i, "Timestamp": which} for i in partitions]}])
    return [p["Offset"] for p in answer["Topics"][0]["Partitions"]]


def try_create(connection, topic):
    """The topic's id; None when it was refused."""
    answer = connection.call("CreateTopics", 7, timeoutMs=10000, Topics=[{
        "Name": topic, "NumPartitions": 1, "ReplicationFactor": 1}])
    made = answer["Topics"][0]
    return made["TopicId"] if made["ErrorCode"] == 0 else None


def try_delete(connection, topic):
    """Whether it was deleted."""
    answer = connection.call("DeleteTopics", 5, TimeoutMs=10000,
                             TopicNames=[topic])
    return answer["Responses"][0]["ErrorCode"] == 0


def topic_ids(connection):
    """Of all topics, by their names."""
    answer = connection.call("Metadata", 12, Topics=None)
    return {t["Name"]: t["TopicId"] for t in answer["Topics"]}


def new_producer(connection):
    """An id and its epoch."""
    answer = connection.call("InitProducerId", 4, TransactionalId=None,
                             TransactionTimeoutMs=60000)
    assert answer["ErrorCode"] == 0, answer
    return answer["ProducerId"], answer["ProducerEpoch"]
