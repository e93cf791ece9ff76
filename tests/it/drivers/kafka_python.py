"""The driver of kafka-python, for 2.0.2 and 3 alike (see README.md)."""
import sys

if sys.version_info >= (3, 12):
    # The six that 2.0.2 carries cannot be imported from Python 3.12 on.
    import six
    sys.modules["kafka.vendor.six.moves"] = six.moves

import kafka
from kafka.admin import NewTopic

import lines


# 2.0.2 asks for the broker's versions first and gives up after 2 s: too soon
# on a machine that is busy with all other clients.
PATIENT = ({"api_version_auto_timeout_ms": 20000}
           if kafka.__version__.startswith("2.") else {})


def set_up(options, names):
    """The client's settings for those of our options that are given."""
    return {name: kind(options[ours]) for ours, (name, kind) in names.items()
            if ours in options}


def version():
    lines.say(kafka.__version__)


def produce(bootstrap, topic, options):
    if kafka.__version__.startswith("2."):
        # It has no idempotence.
        options.pop("idempotent", None)
    producer = kafka.KafkaProducer(
        bootstrap_servers=bootstrap, **PATIENT,
        **set_up(options, {
            "codec": ("compression_type", str),
            "acks": ("acks", lambda a: a if a == "all" else int(a)),
            "idempotent": ("enable_idempotence", lambda i: i == "1"),
            "linger_ms": ("linger_ms", int)}))
    futures = [producer.send(topic, value, key, headers, partition)
               for partition, key, value, headers in lines.records_in()]
    producer.flush()
    for future in futures:
        meta = future.get(30)
        lines.say(meta.partition, meta.offset)
    producer.close()


def consume(bootstrap, topic, count, options):
    consumer = kafka.KafkaConsumer(
        topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest",
        **PATIENT)
    left = int(count)
    while left > 0:
        m = next(consumer)
        lines.record_out(m.partition, m.offset, m.timestamp, m.key, m.value,
                         m.headers)
        left -= 1
    consumer.close()


def group(bootstrap, topic, group, options):
    consumer = kafka.KafkaConsumer(
        topic, group_id=group, bootstrap_servers=bootstrap,
        auto_offset_reset="earliest", enable_auto_commit=False,
        **PATIENT, **set_up(options, {
            "session_ms": ("session_timeout_ms", int),
            "heartbeat_ms": ("heartbeat_interval_ms", int),
            "instance": ("group_instance_id", str)}))
    state = lines.Group(options)
    while not state.ended:
        polled = consumer.poll(timeout_ms=100)
        if consumer.assignment() or state.shown:
            state.assigned(p.partition for p in consumer.assignment())
        for tp, messages in polled.items():
            for m in messages:
                state.record(tp.partition, m.offset, m.value)
        if polled:
            consumer.commit()
            state.committed()
    consumer.close()


def offsets(bootstrap, topic, partition, timestamp):
    consumer = kafka.KafkaConsumer(bootstrap_servers=bootstrap, **PATIENT)
    tp = kafka.TopicPartition(topic, int(partition))
    consumer.assign([tp])
    lines.say("beginning", consumer.beginning_offsets([tp])[tp])
    lines.say("end", consumer.end_offsets([tp])[tp])
    at = consumer.offsets_for_times({tp: int(timestamp)})[tp].offset
    lines.say("at", at)
    consumer.seek(tp, at)
    lines.say("seek", lines.pack(next(consumer).value))
    consumer.close()


def admin(bootstrap, what, topic=None, partitions="1"):
    client = kafka.KafkaAdminClient(bootstrap_servers=bootstrap, **PATIENT)
    if what == "create":
        client.create_topics([NewTopic(topic, int(partitions), 1)])
    elif what == "delete":
        client.delete_topics([topic])
    else:
        for name in client.list_topics():
            lines.say(name)
    client.close()


if __name__ == "__main__":
    lines.main(sys.modules[__name__])
