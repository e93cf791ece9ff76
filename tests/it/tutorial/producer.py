"""Registers made-up users, one after the other: python producer.py [COUNT]"""
import json
import os
import sys

from faker import Faker
from kafka import KafkaProducer

count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
fake = Faker()
producer = KafkaProducer(
    bootstrap_servers=os.environ.get("BROKER", "localhost:9092"),
    key_serializer=str.encode,
    value_serializer=lambda user: json.dumps(user).encode())

for _ in range(count):
    user = {"name": fake.name(), "address": fake.address(),
            "born": fake.date_of_birth().isoformat()}
    producer.send("users", key=user["name"], value=user,
                  headers=[("source", b"tutorial")])
    print("registered", user["name"])
producer.flush()
