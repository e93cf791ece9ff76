"""Requests about one topic each, and what matters of their answers."""
from records import batches


def produce_values(topic, data, acks=-1, partitions=(0,)):
    """The same data for each partition."""
    return {"Acks": acks, "TimeoutMs": 60000, "TopicData": [{
        "Name": topic, "PartitionData": [
            {"Index": i, "Records": data} for i in partitions]}]}


def produce_part(answer):
    return answer["Responses"][0]["PartitionResponses"][0]


def send_produce(connection, topic, data, **how):
    """Does not wait; what receive_produce() wants to be told."""
    return connection.send("Produce", 9, **produce_values(topic, data, **how))


def receive_produce(connection, correlation=None):
    return produce_part(connection.receive("Produce", 9, correlation))


def produce(connection, topic, data, **how):
    """The answer for the first partition; none may be refused."""
    answer = connection.call("Produce", 9, **produce_values(
        topic, data, **how))
    parts = answer["Responses"][0]["PartitionResponses"]
    assert all(p["ErrorCode"] == 0 for p in parts), parts
    return parts[0]


def fetch(connection, topic, offset, partition=0, size=1 << 24):
    answer = connection.call(
        "Fetch", 11, ReplicaId=-1, MaxWaitMs=0, MinBytes=0, Topics=[{
            "Topic": topic, "Partitions": [{
                "Partition": partition, "FetchOffset": offset,
                "PartitionMaxBytes": size}]}])
    return answer["Responses"][0]["Partitions"][0]


def read_all(connection, topic):
    """[(offset, value)] of all that consumers see of a topic."""
    found, at = [], 0
    while True:
        part = fetch(connection, topic, at)
        assert part["ErrorCode"] == 0, part
        got = list(batches(part["Records"] or b""))
        if not got:
            assert at == part["HighWatermark"], "the end is not reached"
            return found
        for one in got:
            assert one.intact and one.base >= at
            found += [(o, v) for o, _, v in one.records()]
            at = one.base + one.last_delta + 1


def ends(connection, topic, partitions=(0,)):
    """The end that a consumer is told of each partition."""
    answer = connection.call("ListOffsets", 4, ReplicaId=-1, Topics=[{
        "Name": topic, "Partitions": [
            {"PartitionIndex": i, "Timestamp": -1} for i in partitions]}])
    return [p["Offset"] for p in answer["Topics"][0]["Partitions"]]


def try_create(connection, *topics, partitions=1, **configs):
    """The answer for each topic."""
    return connection.call("CreateTopics", 7, timeoutMs=60000, Topics=[{
        "Name": t, "NumPartitions": partitions, "ReplicationFactor": 1,
        "Configs": [{"Name": n, "Value": v} for n, v in configs.items()]}
        for t in topics])["Topics"]


def create(connection, *topics, **how):
    """None may be refused."""
    made = try_create(connection, *topics, **how)
    assert all(t["ErrorCode"] == 0 for t in made), made


def delete(connection, topic):
    """The error code."""
    answer = connection.call("DeleteTopics", 5, TimeoutMs=60000,
                             TopicNames=[topic])
    return answer["Responses"][0]["ErrorCode"]


def topic_ids(connection):
    """Of all topics, by their names."""
    answer = connection.call("Metadata", 12, Topics=None)
    return {t["Name"]: t["TopicId"] for t in answer["Topics"]}


def commit(connection, group, topic, offset):
    """The error code."""
    answer = connection.call("OffsetCommit", 7, GroupId=group, Topics=[{
        "Name": topic, "Partitions": [
            {"PartitionIndex": 0, "CommittedOffset": offset}]}])
    return answer["Topics"][0]["Partitions"][0]["ErrorCode"]


def committed(connection, group, topic):
    answer = connection.call("OffsetFetch", 7, GroupId=group, Topics=[
        {"Name": topic, "PartitionIndexes": [0]}])
    return answer["Topics"][0]["Partitions"][0]["CommittedOffset"]


def new_producer(connection):
    """An id and its epoch."""
    answer = connection.call("InitProducerId", 4, TransactionalId=None,
                             TransactionTimeoutMs=60000)
    assert answer["ErrorCode"] == 0, answer
    return answer["ProducerId"], answer["ProducerEpoch"]
