"""The driver of aiokafka (see README.md)."""
import asyncio
import signal
import sys

import aiokafka
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

import lines


def version():
    lines.say(aiokafka.__version__)


async def run_produce(bootstrap, topic, options):
    settings = {}
    if "codec" in options:
        settings["compression_type"] = options["codec"]
    if "acks" in options:
        acks = options["acks"]
        settings["acks"] = acks if acks == "all" else int(acks)
    if "idempotent" in options:
        settings["enable_idempotence"] = options["idempotent"] == "1"
    if "linger_ms" in options:
        settings["linger_ms"] = int(options["linger_ms"])
    producer = aiokafka.AIOKafkaProducer(
        bootstrap_servers=bootstrap, **settings)
    await producer.start()
    try:
        futures = [await producer.send(topic, value, key, partition,
                                       headers=headers)
                   for partition, key, value, headers in lines.records_in()]
        for future in futures:
            # With acks=0 there is nothing to tell.
            meta = await future
            lines.say(meta and meta.partition, meta and meta.offset)
    finally:
        await producer.stop()


async def run_consume(bootstrap, topic, count, options):
    consumer = aiokafka.AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        for _ in range(int(count)):
            m = await consumer.getone()
            lines.record_out(m.partition, m.offset, m.timestamp, m.key,
                             m.value, m.headers)
    finally:
        await consumer.stop()


async def run_group(bootstrap, topic, group, options):
    names = {"session_ms": ("session_timeout_ms", int),
             "heartbeat_ms": ("heartbeat_interval_ms", int),
             "instance": ("group_instance_id", str)}
    consumer = aiokafka.AIOKafkaConsumer(
        topic, group_id=group, bootstrap_servers=bootstrap,
        auto_offset_reset="earliest", enable_auto_commit=False,
        **{n: kind(options[k]) for k, (n, kind) in names.items()
           if k in options})
    state = lines.Group(options)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, state.end)
    await consumer.start()
    try:
        while not state.ended:
            polled = await consumer.getmany(timeout_ms=100)
            if consumer.assignment() or state.shown:
                state.assigned(p.partition for p in consumer.assignment())
            for tp, messages in polled.items():
                for m in messages:
                    state.record(tp.partition, m.offset, m.value)
            if polled:
                await consumer.commit()
                state.committed()
    finally:
        await consumer.stop()


async def run_offsets(bootstrap, topic, partition, timestamp):
    consumer = aiokafka.AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        tp = aiokafka.TopicPartition(topic, int(partition))
        consumer.assign([tp])
        lines.say("beginning", (await consumer.beginning_offsets([tp]))[tp])
        lines.say("end", (await consumer.end_offsets([tp]))[tp])
        at = (await consumer.offsets_for_times({tp: int(timestamp)}))[tp]
        lines.say("at", at.offset)
        consumer.seek(tp, at.offset)
        lines.say("seek", lines.pack((await consumer.getone()).value))
    finally:
        await consumer.stop()


async def run_admin(bootstrap, what, topic=None, partitions="1"):
    client = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await client.start()
    try:
        if what == "create":
            answer = await client.create_topics(
                [NewTopic(topic, int(partitions), 1)])
            failed = [e for e in answer.topic_errors if e[1] != 0]
            if failed:
                raise RuntimeError(failed)
        elif what == "delete":
            await client.delete_topics([topic])
        else:
            for name in await client.list_topics():
                lines.say(name)
    finally:
        await client.close()


def produce(*args, **options):
    asyncio.run(run_produce(*args, **options))


def consume(*args, **options):
    asyncio.run(run_consume(*args, **options))


def group(*args, **options):
    asyncio.run(run_group(*args, **options))


def offsets(*args):
    asyncio.run(run_offsets(*args))


def admin(*args):
    asyncio.run(run_admin(*args))


if __name__ == "__main__":
    lines.main(sys.modules[__name__])
