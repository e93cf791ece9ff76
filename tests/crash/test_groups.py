"""What a kill leaves of groups."""
MIB = 1 << 20
FULL = 81


def join(connection, group, metadata):
    """As a new member, in one step, as version 3 does it."""
    answer = connection.call(
        "JoinGroup", 3, GroupId=group, SessionTimeoutMs=300000,
        RebalanceTimeoutMs=10000, MemberId="", ProtocolType="consumer",
        Protocols=[{"Name": "range", "Metadata": metadata}])
    return answer["ErrorCode"], {
        "GroupId": group, "MemberId": answer["MemberId"],
        "GenerationId": answer["GenerationId"]}


def sync(connection, member, assignment=None):
    answer = connection.call("SyncGroup", 3, **member, Assignments=[] if (
        assignment is None) else [{"MemberId": member["MemberId"],
                                   "Assignment": assignment}])
    return answer["ErrorCode"], answer["Assignment"]


def test_a_group_as_large_as_it_may_be_is_there_after_a_kill(node):
    """It is one entry of the quorum's log, and read back from there."""
    node.settings["coordinator.initial_rebalance_delay"] = "0s"
    owns = b"y" * 200_000
    node.start()
    with node.connect(timeout=60) as connection:
        error, member = join(connection, "g", b"m" * (8 * MIB - 400_000))
        assert error == 0
        assert sync(connection, member, owns) == (0, owns)
        assert join(connection, "h", b"m" * 8 * MIB)[0] == FULL
    node.kill()
    node.start()
    with node.connect(timeout=60) as connection:
        assert connection.call("Heartbeat", 3, **member)["ErrorCode"] == 0
        assert sync(connection, member) == (0, owns)
    node.stop()
