"""The requests that many tests make, each as a function of a connection.

They use one version that Kafka's own clients use; a test of the versions
writes its requests out."""
import records


def topic_id(connection, topic):
    answer = connection.call("Metadata", 12, Topics=[{"Name": topic}])
    return answer["Topics"][0]["TopicId"]


def create(connection, topic, partitions=1, **configs):
    """Creates a topic; its part of the answer."""
    answer = connection.call("CreateTopics", 7, timeoutMs=10000, Topics=[{
        "Name": topic, "NumPartitions": partitions, "ReplicationFactor": 1,
        "Configs": [{"Name": n, "Value": v} for n, v in configs.items()]}])
    made = answer["Topics"][0]
    assert made["ErrorCode"] == 0, made
    return made


def delete(connection, topic):
    answer = connection.call("DeleteTopics", 5, TimeoutMs=10000,
                             TopicNames=[topic])
    assert answer["Responses"][0]["ErrorCode"] == 0, answer


def to_produce(topic, data, partition=0, acks=-1):
    """The fields of a Produce request of one partition."""
    return {"Acks": acks, "TimeoutMs": 10000, "TopicData": [
        {"Name": topic, "PartitionData": [
            {"Index": partition, "Records": data}]}]}


def produce(connection, topic, data, version=9, partition=0, acks=-1, **extra):
    """Produces bytes as they are; the partition's part of the answer."""
    answer = connection.call("Produce", version, **to_produce(
        topic, data, partition, acks), **extra)
    return answer["Responses"][0]["PartitionResponses"][0]


def append(connection, topic, *batches, partition=0):
    """Produces good batches, each in a request of its own."""
    for one in batches:
        part = produce(connection, topic, one, partition=partition)
        assert part["ErrorCode"] == 0, part


def to_fetch(topic, offset=0, version=11, *, wait=0, low=0, high=1 << 26,
             part_high=1 << 26, epoch=-1, partition=0):
    """The fields of a Fetch request of one partition."""
    wanted = {"Partition": partition, "FetchOffset": offset,
              "PartitionMaxBytes": part_high}
    if version >= 9:
        wanted["CurrentLeaderEpoch"] = epoch
    return {"ReplicaId": -1, "MaxWaitMs": wait, "MinBytes": low,
            "MaxBytes": high,
            "Topics": [{"Topic": topic, "Partitions": [wanted]}]}


def fetch(connection, topic, offset=0, version=11, **limits):
    """The partition's part of the answer."""
    answer = connection.call("Fetch", version, **to_fetch(
        topic, offset, version, **limits))
    return answer["Responses"][0]["Partitions"][0]


def offsets(part):
    """The offsets of the records in a part of a Fetch answer."""
    return [o for b in records.batches(part["Records"] or b"")
            for o, _, _ in b.records()]


def look_up(connection, topic, when, version=4):
    """(offset, timestamp) that ListOffsets gives for a time or a name."""
    answer = connection.call("ListOffsets", version, ReplicaId=-1, Topics=[{
        "Name": topic, "Partitions": [
            {"PartitionIndex": 0, "Timestamp": when}]}])
    part = answer["Topics"][0]["Partitions"][0]
    assert part["ErrorCode"] == 0, part
    return part["Offset"], part["Timestamp"]


def commit(connection, group, topic, offset, partition=0, **member):
    """Commits one offset; the error."""
    answer = connection.call("OffsetCommit", 7, GroupId=group, Topics=[{
        "Name": topic, "Partitions": [
            {"PartitionIndex": partition, "CommittedOffset": offset,
             "CommittedMetadata": "note"}]}], **member)
    return answer["Topics"][0]["Partitions"][0]["ErrorCode"]


def committed(connection, group):
    """{(topic, partition): offset} of all that a group has committed."""
    answer = connection.call("OffsetFetch", 7, GroupId=group, Topics=None)
    return {(t["Name"], p["PartitionIndex"]): p["CommittedOffset"]
            for t in answer["Topics"] for p in t["Partitions"]}
