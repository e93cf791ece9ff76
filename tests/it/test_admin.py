"""Topics created, listed and deleted by each client that can."""
import time

import pytest


def names(client, bootstrap):
    return {line[0] for line in client.run("admin", bootstrap, "list")}


@pytest.mark.clients(admin=True)
def test_creates_lists_and_deletes(client, bootstrap, topic, raw):
    client.run("admin", bootstrap, "create", topic, 3)
    assert topic in names(client, bootstrap)
    answer = raw.call("Metadata", 9, Topics=[{"Name": topic}],
                      AllowAutoTopicCreation=False)
    assert len(answer["Topics"][0]["Partitions"]) == 3
    client.run("admin", bootstrap, "delete", topic)
    deadline = time.monotonic() + 5
    while topic in names(client, bootstrap):
        assert time.monotonic() < deadline, "listed 5 s after it was deleted"


@pytest.mark.clients(admin=False)
def test_lists(client, bootstrap, topic, create):
    create(topic)
    assert topic in names(client, bootstrap)
