"""The driver of confluent-kafka, which is librdkafka (see README.md)."""
import sys

import confluent_kafka as ck
from confluent_kafka.admin import AdminClient, NewTopic

import lines


def check(message):
    if message.error():
        raise ck.KafkaException(message.error())
    return message


def version():
    lines.say(ck.__version__)


def produce(bootstrap, topic, options):
    names = {"codec": "compression.type", "acks": "acks",
             "idempotent": "enable.idempotence", "linger_ms": "linger.ms"}
    values = {"idempotent": {"0": "false", "1": "true"}}
    producer = ck.Producer({
        "bootstrap.servers": bootstrap,
        **{names[k]: values.get(k, {}).get(v, v) for k, v in options.items()}})
    done = {}

    def delivered(index):
        def report(error, message):
            if error:
                raise ck.KafkaException(error)
            done[index] = (message.partition(), message.offset())
        return report

    count = 0
    for partition, key, value, headers in lines.records_in():
        where = {} if partition is None else {"partition": partition}
        producer.produce(topic, value, key, headers=headers,
                         on_delivery=delivered(count), **where)
        producer.poll(0)
        count += 1
    producer.flush(60)
    for index in range(count):
        lines.say(*done[index])


def consume(bootstrap, topic, count, options):
    consumer = ck.Consumer({
        "bootstrap.servers": bootstrap, "group.id": "reader-" + topic,
        "enable.auto.commit": False})
    parts = consumer.list_topics(topic, 10).topics[topic].partitions
    consumer.assign([ck.TopicPartition(topic, p, ck.OFFSET_BEGINNING)
                     for p in parts])
    left = int(count)
    while left > 0:
        m = consumer.poll(1)
        if m is None:
            continue
        check(m)
        lines.record_out(m.partition(), m.offset(), m.timestamp()[1], m.key(),
                         m.value(), m.headers())
        left -= 1
    consumer.close()


def group(bootstrap, topic, group, options):
    settings = {"bootstrap.servers": bootstrap, "group.id": group,
                "auto.offset.reset": "earliest", "enable.auto.commit": False}
    names = {"session_ms": "session.timeout.ms",
             "heartbeat_ms": "heartbeat.interval.ms",
             "instance": "group.instance.id"}
    settings.update({n: options[k] for k, n in names.items() if k in options})
    if options.get("assignor") == "cooperative":
        settings["partition.assignment.strategy"] = "cooperative-sticky"
    consumer = ck.Consumer(settings)
    consumer.subscribe([topic])
    state = lines.Group(options)
    while not state.ended:
        messages = consumer.consume(500, 0.1)
        if consumer.assignment() or state.shown:
            state.assigned(p.partition for p in consumer.assignment())
        for m in messages:
            check(m)
            state.record(m.partition(), m.offset(), m.value())
        if messages:
            try:
                consumer.commit(asynchronous=False)
            except ck.KafkaException as e:
                # A rebalance came between: the next owner reads them again.
                if e.args[0].code() != ck.KafkaError.ILLEGAL_GENERATION:
                    raise
                continue
            state.committed()
    consumer.close()


def offsets(bootstrap, topic, partition, timestamp):
    consumer = ck.Consumer({"bootstrap.servers": bootstrap, "group.id": "-"})
    tp = ck.TopicPartition(topic, int(partition))
    low, high = consumer.get_watermark_offsets(tp, 10)
    lines.say("beginning", low)
    lines.say("end", high)
    at = consumer.offsets_for_times(
        [ck.TopicPartition(topic, int(partition), int(timestamp))], 10)[0]
    lines.say("at", at.offset)
    consumer.assign([at])
    lines.say("seek", lines.pack(check(consumer.poll(20)).value()))
    consumer.close()


def admin(bootstrap, what, topic=None, partitions="1"):
    client = AdminClient({"bootstrap.servers": bootstrap})
    if what == "create":
        client.create_topics([NewTopic(topic, int(partitions), 1)])[
            topic].result()
    elif what == "delete":
        client.delete_topics([topic])[topic].result()
    else:
        for name in client.list_topics(timeout=10).topics:
            lines.say(name)


if __name__ == "__main__":
    lines.main(sys.modules[__name__])
