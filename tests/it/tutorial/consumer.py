"""Prints the registered users, old and new: python consumer.py [GROUP]

Consumers of one group share the users between them. Ctrl-C ends it.
"""
import json
import os
import sys

from kafka import KafkaConsumer

consumer = KafkaConsumer(
    "users",
    bootstrap_servers=os.environ.get("BROKER", "localhost:9092"),
    group_id=sys.argv[1] if len(sys.argv) > 1 else None,
    auto_offset_reset="earliest",
    value_deserializer=json.loads)

try:
    for message in consumer:
        print(f"{message.topic}/{message.partition} @{message.offset}:",
              message.value["name"], "born", message.value["born"],
              flush=True)
except KeyboardInterrupt:
    pass
finally:
    consumer.close()
