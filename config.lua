-- config.lua: what `tidemark serve` reads when it is started in this folder.
--
-- It is plain data with a little Lua. All but the topic is the default already,
-- or commented out: a broker needs no config at all. After a change:
--
--   tidemark config check     says what is wrong, without starting anything
--   tidemark config list      prints every setting there is
--
-- Paths are relative to this file. A setting can also be given on the command
-- line, over this file:  tidemark serve --set limits.memory=1GiB

node = {
  id = tonumber(env("NODE_ID", "1")),
  data_dir = env("DATA_DIR", "./data"),
  -- rack = "eu-1a",
  -- Settings of Kafka's brokers work under their own names, too:
  -- config = { ["group.initial.rebalance.delay.ms"] = "1s" },
}

-- Where clients connect. Beyond this machine a listener needs
-- allow_insecure = true: there is no authentication yet, and whoever reaches
-- the port can read and write everything. Clients are told the address that
-- they connected to, unless `advertise` names another one.
--
-- listeners = {
--   { bind = "127.0.0.1:9092" },
--   { name = "LAN", bind = "0.0.0.0:9093", advertise = "broker1.example:9093",
--     allow_insecure = true },
-- }

storage = {
  flush = "commit", -- an answer means: on disk. "async": Kafka's way
  -- segment = "1GiB",
  -- retention_check = "5m",
}

limits = {
  memory = "25%", -- for requests in flight
  connections = 10000,
}

-- For topics that do not say otherwise.
defaults = {
  partitions = 1,
  -- config = { ["retention.ms"] = "7d" },
}

-- Topics that are asked for but not there: created for clients on this machine
-- ("loopback"), for all (true), for none (false).
auto_create = "loopback"

-- Topics to create at start where they are absent. Nothing that exists is ever
-- changed or deleted by this file.
topics = {
  users = { partitions = 4 }, -- the README's tutorial
  -- orders = { partitions = 6, config = { ["retention.ms"] = "30d" } },
}

-- for _, region in ipairs { "eu", "us", "ap" } do
--   topics["events." .. region] = { partitions = 3 }
-- end

-- include "topics/*.lua"
