-- wireimport.lua - how schema/wire/ was made, once, from a folder of message
-- descriptions (one NNN-Name.txt per API, headers.txt, consumer-protocol.txt).
--
--   lua5.4 scripts/wireimport.lua MESSAGES_DIR schema/wire
--
-- schema/wire/ has been ours since: it is edited by hand, and this script is
-- kept only to show where it came from. It takes the APIs of Kafka's client
-- listeners with all versions that any broker accepted, and shortens the names
-- of nested structs, which are not on the wire.

local from, to = arg[1], arg[2]
if not to then
    io.stderr:write("usage: wireimport.lua MESSAGES_DIR TARGET_DIR\n")
    os.exit(2)
end

local sentences = {
    Produce = "appends a record batch to each of some partitions. Source: KIP-98, KIP-467, KIP-516, KIP-951.",
    Fetch = "reads record batches from partitions, in sessions. Source: KIP-227, KIP-320, KIP-392, KIP-516, KIP-951.",
    ListOffsets = "finds offsets by timestamp, or a partition's first and last. Source: KIP-79, KIP-734, KIP-1005, KIP-1023.",
    Metadata = "names the brokers, topics and leaders of the cluster. Source: KIP-430, KIP-516, KIP-526, KIP-700.",
    OffsetCommit = "stores how far a group has read. Source: KIP-211, KIP-320, KIP-345, KIP-848.",
    OffsetFetch = "tells how far groups have read. Source: KIP-447, KIP-709, KIP-848.",
    FindCoordinator = "names the broker that coordinates a group or transaction. Source: KIP-98, KIP-699, KIP-932.",
    JoinGroup = "makes a consumer a member of its group's next generation. Source: KIP-62, KIP-345, KIP-394, KIP-814.",
    Heartbeat = "keeps a member in its group and tells it of a rebalance. Source: KIP-62, KIP-345.",
    LeaveGroup = "takes members out of their group. Source: KIP-62, KIP-345, KIP-800.",
    SyncGroup = "hands out the leader's assignment to each member. Source: KIP-62, KIP-345, KIP-559.",
    DescribeGroups = "shows classic groups and their members. Source: KIP-430, KIP-345, KIP-1043.",
    ListGroups = "lists the groups that a broker coordinates. Source: KIP-518, KIP-848.",
    SaslHandshake = "chooses the mechanism of authentication. Source: KIP-43, KIP-152.",
    ApiVersions = "tells which requests a broker serves, in which versions. Source: KIP-35, KIP-511, KIP-584.",
    CreateTopics = "creates topics. Source: KIP-4, KIP-464, KIP-516, KIP-525.",
    DeleteTopics = "deletes topics by name or id. Source: KIP-4, KIP-516.",
    DeleteRecords = "moves the start of partitions forward. Source: KIP-107.",
    InitProducerId = "gives a producer its id and epoch. Source: KIP-98, KIP-360, KIP-939.",
    OffsetForLeaderEpoch = "tells where a leader epoch ends in a partition. Source: KIP-101, KIP-279, KIP-320.",
    AddPartitionsToTxn = "adds partitions to a transaction. Source: KIP-98, KIP-890.",
    AddOffsetsToTxn = "adds a group's offsets to a transaction. Source: KIP-98, KIP-890.",
    EndTxn = "commits or aborts a transaction. Source: KIP-98, KIP-890.",
    WriteTxnMarkers = "writes the markers that end a transaction. Source: KIP-98.",
    TxnOffsetCommit = "stores a group's offsets inside a transaction. Source: KIP-98, KIP-447, KIP-890.",
    DescribeAcls = "lists access rules. Source: KIP-140, KIP-290.",
    CreateAcls = "adds access rules. Source: KIP-140, KIP-290.",
    DeleteAcls = "removes access rules. Source: KIP-140, KIP-290.",
    DescribeConfigs = "shows configuration and where it comes from. Source: KIP-133, KIP-226, KIP-569.",
    AlterConfigs = "replaces configuration. Source: KIP-133.",
    AlterReplicaLogDirs = "moves replicas between folders of a broker. Source: KIP-113.",
    DescribeLogDirs = "shows the folders of a broker and what they hold. Source: KIP-113, KIP-827.",
    SaslAuthenticate = "carries the messages of the mechanism. Source: KIP-152, KIP-368.",
    CreatePartitions = "adds partitions to topics. Source: KIP-195, KIP-599.",
    CreateDelegationToken = "creates a delegation token. Source: KIP-48, KIP-373.",
    RenewDelegationToken = "makes a delegation token last longer. Source: KIP-48.",
    ExpireDelegationToken = "ends a delegation token. Source: KIP-48.",
    DescribeDelegationToken = "lists delegation tokens. Source: KIP-48, KIP-373.",
    DeleteGroups = "deletes groups without members. Source: KIP-229.",
    ElectLeaders = "starts elections of partition leaders. Source: KIP-183, KIP-460.",
    IncrementalAlterConfigs = "changes single keys of configuration. Source: KIP-339.",
    AlterPartitionReassignments = "starts or cancels moves of replicas. Source: KIP-455, KIP-860.",
    ListPartitionReassignments = "shows moves of replicas under way. Source: KIP-455.",
    OffsetDelete = "deletes offsets of a group. Source: KIP-496.",
    DescribeClientQuotas = "shows quotas of clients. Source: KIP-546.",
    AlterClientQuotas = "changes quotas of clients. Source: KIP-546.",
    DescribeUserScramCredentials = "shows which SCRAM credentials users have. Source: KIP-554.",
    AlterUserScramCredentials = "changes users' SCRAM credentials. Source: KIP-554.",
    DescribeQuorum = "shows the voters of the metadata quorum. Source: KIP-595, KIP-836, KIP-853.",
    UpdateFeatures = "finalizes feature levels. Source: KIP-584, KIP-778.",
    DescribeCluster = "names the brokers or controllers of the cluster. Source: KIP-700, KIP-919, KIP-1073.",
    DescribeProducers = "shows the producers known to partitions. Source: KIP-664.",
    UnregisterBroker = "removes the registration of a broker. Source: KIP-500.",
    DescribeTransactions = "shows transactions. Source: KIP-664.",
    ListTransactions = "lists transactions. Source: KIP-664, KIP-994, KIP-1152.",
    ConsumerGroupHeartbeat = "joins, keeps and leaves a consumer group. Source: KIP-848.",
    ConsumerGroupDescribe = "shows consumer groups. Source: KIP-848, KIP-1099.",
    GetTelemetrySubscriptions = "tells a client which metrics to push. Source: KIP-714.",
    PushTelemetry = "takes a client's metrics. Source: KIP-714.",
    ListConfigResources = "lists resources that have configuration. Source: KIP-714, KIP-1142.",
    DescribeTopicPartitions = "shows topics in pages. Source: KIP-966.",
    ShareGroupHeartbeat = "joins, keeps and leaves a share group. Source: KIP-932.",
    ShareGroupDescribe = "shows share groups. Source: KIP-932.",
    ShareFetch = "fetches records of a share group. Source: KIP-932, KIP-1206, KIP-1222.",
    ShareAcknowledge = "acknowledges records of a share group. Source: KIP-932, KIP-1222.",
    AddRaftVoter = "adds a voter to the metadata quorum. Source: KIP-853.",
    RemoveRaftVoter = "removes a voter from the metadata quorum. Source: KIP-853.",
    InitializeShareGroupState = "starts the stored state of a share group. Source: KIP-932.",
    ReadShareGroupState = "reads the stored state of a share group. Source: KIP-932.",
    WriteShareGroupState = "writes the stored state of a share group. Source: KIP-932.",
    DeleteShareGroupState = "deletes the stored state of a share group. Source: KIP-932.",
    ReadShareGroupStateSummary = "reads a summary of a share group's state. Source: KIP-932.",
    StreamsGroupHeartbeat = "joins, keeps and leaves a streams group. Source: KIP-1071.",
    StreamsGroupDescribe = "shows streams groups. Source: KIP-1071.",
    DescribeShareGroupOffsets = "shows the offsets of share groups. Source: KIP-932, KIP-1226.",
    AlterShareGroupOffsets = "changes the offsets of a share group. Source: KIP-932.",
    DeleteShareGroupOffsets = "deletes the offsets of a share group. Source: KIP-932.",
    StreamsGroupTopologyDescriptionUpdate = "stores how a streams group describes its topology. Source: KIP-1071.",
    UnregisterController = "removes the registration of a controller. Source: KIP-853.",
}

-- Names of structs that the rules below leave clumsy.
local renamed = {
    TopicProduceData = "Topic", PartitionProduceData = "Partition",
    TopicProduceResponse = "Topic", PartitionProduceResponse = "Partition",
    BatchIndexAndErrorMessage = "RecordError",
    LeaderIdAndEpoch = "Leader", FetchableTopicResponse = "Topic",
    PartitionData = "Partition", TopicData = "Topic",
    CreatableTopic = "Topic", CreatableTopicResult = "Topic",
    CreatableReplicaAssignment = "Assignment",
    CreatableTopicConfig = "Config", CreatableTopicConfigs = "Config",
    DeleteTopicState = "Topic", DeletableTopicResult = "Topic",
    OffsetForLeaderTopic = "Topic", OffsetForLeaderPartition = "Partition",
    OffsetForLeaderTopicResult = "Topic",
    EpochEndOffset = "Partition", SupportedFeatureKey = "SupportedFeature",
    FinalizedFeatureKey = "FinalizedFeature",
}

local function snake(name)
    return (name:gsub("(%l)(%u)", "%1_%2"):gsub("(%d)(%u)", "%1_%2"):lower())
end

-- The served range: what Kafka 4.3 advertises, unstable versions left out.
local function served(releases)
    local set = releases:match("4%.3=(%S+)")
    if not set or set == "-" or set == "none" then
        return "none"
    end
    if set:sub(-1) == "u" then
        local low, high = set:match("^(%d+)%-(%d+)u$")
        return low and ("%s-%d"):format(low, high - 1) or "none"
    end
    return set
end

local function joined(versions, legacy)
    if not legacy then
        return versions
    end
    return legacy:match("^%d+") .. "-" .. (versions:match("%d+$"))
end

-- Shortens a struct's name, unless the short one is taken in its message.
local function shorten(name, api, taken)
    local short = renamed[name]
    if not short then
        short = name
        for _, prefix in ipairs({ api .. "Request", api .. "Response", api }) do
            if short:sub(1, #prefix) == prefix and #short > #prefix then
                short = short:sub(#prefix + 1)
                break
            end
        end
        short = short:match("^(%u%w+)Result$") or short:match("^(%u%w+)Response$")
            or short:match("^(%u%w+)Request$") or short
    end
    if taken[short] then
        return name
    end
    return short
end

local primitive = {}
for p in ("bool int8 int16 int32 int64 uint16 uint32 float64 uuid string bytes records")
    :gmatch("%S+") do
    primitive[p] = true
end

local function read(path)
    local lines = {}
    for line in io.lines(path) do
        lines[#lines + 1] = line
    end
    return lines
end

-- One message: its lines after the head and @releases.
local function body(lines, api)
    local names, taken = {}, {}
    local function short(name)
        if not names[name] then
            names[name] = shorten(name, api, taken)
            taken[names[name]] = true
        end
        return names[name]
    end
    local out = {}
    for _, line in ipairs(lines) do
        local indent, struct, rest = line:match("^(%s+)struct (%w+)(.*)$")
        if struct then
            out[#out + 1] = indent .. "struct " .. short(struct) .. rest
        else
            local lead, array, kind, tail =
                line:match("^(%s+%w+: )(%[?%]?)(%w+)(.*)$")
            if not primitive[kind] then
                kind = short(kind)
            end
            tail = tail:gsub(" ign%f[%s\0]", ""):gsub(" key%f[%s\0]", "")
                :gsub(" zc%f[%s\0]", ""):gsub(" entity=%S+", "")
            out[#out + 1] = lead .. array .. kind .. tail
        end
    end
    return table.concat(out, "\n")
end

local function split(lines)
    local messages, current = {}, nil
    for _, line in ipairs(lines) do
        if line:match("^%l") then
            current = { head = line, lines = {} }
            messages[#messages + 1] = current
        elseif line:match("^  @releases") then
            current.releases = line
        elseif current and line:match("%S") then
            current.lines[#current.lines + 1] = line
        end
    end
    return messages
end

local function write(name, text)
    local f = assert(io.open(to .. "/" .. name .. ".wire", "w"))
    f:write(text)
    f:close()
end

local function import_api(path)
    local request, response = table.unpack(split(read(path)))
    local name = request.head:match("^request (%w+)Request ")
    local listeners = request.head:match("listeners=(%S+)") or ""
    if not ("," .. listeners .. ","):find(",broker,", 1, true) then
        return
    end
    local range = served(request.releases)
    local all = joined(request.head:match("versions=(%S+)"),
        request.head:match("legacy=(%S+)"))
    local head = ("api %s %s versions=%s served=%s%s flexible=%s"):format(
        request.head:match("key=(%d+)"), name, all, range,
        name == "Produce" and " advertised=0-13" or "",
        request.head:match("flexible=(%S+)"))
    local sentence = assert(sentences[name], name):gsub(" Source:", "\n# Source:")
    write(snake(name), ("# %s %s\n%s\n\nrequest\n%s\n\nresponse\n%s\n"):format(
        name, sentence, head,
        body(request.lines, name), body(response.lines, name)))
end

local function import_data(path, name, comment)
    local out = { comment }
    for _, message in ipairs(split(read(path))) do
        out[#out + 1] = ("data %s versions=%s flexible=%s\n%s\n"):format(
            message.head:match("^%l+ (%w+)"),
            joined(message.head:match("versions=(%S+)"),
                message.head:match("legacy=(%S+)")),
            message.head:match("flexible=(%S+)"), body(message.lines, ""))
    end
    write(name, table.concat(out, "\n"))
end

local list = assert(io.popen("ls " .. from .. "/[0-9]*.txt"))
for path in list:lines() do
    import_api(path)
end
list:close()
import_data(from .. "/headers.txt", "header",
    "# What stands before every request and response. Source: KIP-482.\n")
import_data(from .. "/consumer-protocol.txt", "consumer_protocol",
    "# What consumers put into JoinGroup's metadata and SyncGroup's assignment,\n"
    .. "# after an int16 version. Source: KIP-62, KIP-429, KIP-792, KIP-881.\n")
