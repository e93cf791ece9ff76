-- 0001_start.sql - the first schema of data/meta.db.
--
-- Carried out as the command `migrate 1`, on every node at the same index.
-- Never edited after a release: what changes comes as the next number. Every
-- column is explained in schema/README.md. Names are an interface: people ask
-- these tables with SQL. Times are integers, milliseconds since 1970; the
-- readable_* views print them.

create table applied (
    one integer primary key check (one = 1),
    log_index integer not null,
    term integer not null
);

create table migrations (
    version integer primary key,
    at integer not null
);

create table cluster (
    one integer primary key check (one = 1),
    cluster_id text not null,
    created_at integer not null
);

create table brokers (
    broker_id integer primary key,
    rack text,
    incarnation text not null,
    epoch integer not null,
    registered_at integer not null
);

create table broker_listeners (
    broker_id integer not null,
    place integer not null,
    name text not null,
    host text not null,
    port integer not null,
    primary key (broker_id, place)
) without rowid;

create table topics (
    name text primary key,
    topic_id text not null unique,
    partitions integer not null,
    created_at integer not null,
    source text not null
) without rowid;

create table topic_configs (
    topic text not null,
    name text not null,
    value text not null,
    primary key (topic, name)
) without rowid;

create table partitions (
    topic text not null,
    partition integer not null,
    leader integer not null,
    leader_epoch integer not null,
    partition_epoch integer not null,
    replicas text not null,
    isr text not null,
    primary key (topic, partition)
) without rowid;

create table producer_ids (
    broker_id integer primary key,
    first_id integer not null,
    id_count integer not null,
    allocated_at integer not null
);

create table coordinators (
    slot integer primary key,
    broker_id integer not null,
    epoch integer not null
);

create table groups (
    group_id text primary key,
    generation integer not null,
    protocol_type text not null,
    protocol text,
    leader text,
    saved_at integer not null
) without rowid;

create table group_members (
    group_id text not null,
    member_id text not null,
    instance_id text,
    client_id text not null,
    client_host text not null,
    session_timeout_ms integer not null,
    rebalance_timeout_ms integer not null,
    subscription blob not null,
    assignment blob not null,
    place integer not null,
    primary key (group_id, place)
) without rowid;

create table offsets (
    group_id text not null,
    topic text not null,
    partition integer not null,
    "offset" integer not null,
    leader_epoch integer not null,
    metadata text not null,
    committed_at integer not null,
    expire_at integer,
    primary key (group_id, topic, partition)
) without rowid;

create table config_history (
    change integer primary key,
    at integer not null,
    log_index integer not null,
    topic text not null,
    name text not null,
    old_value text,
    new_value text,
    source text not null
);

create view readable_topics as
select name, topic_id, partitions,
    strftime('%Y-%m-%dT%H:%M:%fZ', created_at / 1000.0, 'unixepoch')
        as created_at,
    source
from topics;

create view readable_groups as
select group_id, generation, protocol_type, protocol, leader,
    (select count(*) from group_members m where m.group_id = g.group_id)
        as members,
    strftime('%Y-%m-%dT%H:%M:%fZ', saved_at / 1000.0, 'unixepoch') as saved_at
from groups g;

create view readable_offsets as
select group_id, topic, partition, "offset", leader_epoch, metadata,
    strftime('%Y-%m-%dT%H:%M:%fZ', committed_at / 1000.0, 'unixepoch')
        as committed_at,
    strftime('%Y-%m-%dT%H:%M:%fZ', expire_at / 1000.0, 'unixepoch')
        as expire_at
from offsets;

create view readable_config_history as
select change,
    strftime('%Y-%m-%dT%H:%M:%fZ', at / 1000.0, 'unixepoch') as at,
    log_index, topic, name, old_value, new_value, source
from config_history;
