// The driver of @platformatic/kafka (see README.md).
'use strict'

const path = require('node:path')
const { pathToFileURL } = require('node:url')
const lines = require('./lines.js')

const home = path.join(
  process.env.IT_BUILD, 'node', 'node_modules', '@platformatic', 'kafka')
const library = import(pathToFileURL(path.join(home, 'dist', 'index.js')))

const connection = bootstrap =>
  ({ clientId: 'it', bootstrapBrokers: [bootstrap] })

async function version () {
  lines.say(require(path.join(home, 'package.json')).version)
}

async function produce (bootstrap, topic, options) {
  const { Producer } = await library
  // The client creates no topics unless it is told to.
  const producer = new Producer(
    { ...connection(bootstrap), autocreateTopics: true })
  const settings = {}
  if (options.codec) settings.compression = options.codec
  if (options.acks) {
    settings.acks = options.acks === 'all' ? -1 : Number(options.acks)
  }
  if (options.idempotent) settings.idempotent = options.idempotent === '1'
  const records = lines.recordsIn()
  await producer.send({
    messages: records.map(r => ({
      topic,
      partition: r.partition,
      key: r.key ?? undefined,
      value: r.value ?? undefined,
      headers: new Map(r.headers)
    })),
    ...settings
  })
  for (const r of records) lines.say(r.partition ?? '-', '-')
  await producer.close()
}

async function consume (bootstrap, topic, count) {
  const { Consumer } = await library
  const consumer = new Consumer({
    ...connection(bootstrap), groupId: `reader-${topic}-${process.pid}`
  })
  const stream = await consumer.consume({ topics: [topic], mode: 'earliest' })
  let left = Number(count)
  for await (const m of stream) {
    lines.recordOut(m.partition, m.offset, m.timestamp, m.key, m.value,
      [...m.headers])
    if (--left === 0) break
  }
  await consumer.close(true)
}

async function group (bootstrap, topic, groupId, options) {
  const { Consumer } = await library
  const settings = {}
  if (options.session_ms) {
    settings.sessionTimeout = Number(options.session_ms)
    settings.rebalanceTimeout = 2 * settings.sessionTimeout
  }
  if (options.heartbeat_ms) {
    settings.heartbeatInterval = Number(options.heartbeat_ms)
  }
  if (options.instance) settings.groupInstanceId = options.instance
  const consumer = new Consumer(
    { ...connection(bootstrap), groupId, ...settings })
  consumer.on('consumer:group:join', ({ assignments }) => {
    const ours = (assignments ?? []).filter(a => a.topic === topic)
      .flatMap(a => a.partitions)
    lines.say('assigned', ours.sort((a, b) => a - b).join(','))
  })
  const stream = await consumer.consume({
    topics: [topic],
    autocommit: false,
    mode: 'committed',
    fallbackMode: 'earliest'
  })
  process.on('SIGTERM', () => stream.close())
  let left = Number(options.count ?? Infinity)
  for await (const m of stream) {
    lines.say('record', m.partition, m.offset, lines.pack(m.value))
    await m.commit()
    lines.say('committed')
    if (--left === 0) break
  }
  await consumer.close(true)
}

async function offsets (bootstrap, topic, partition, timestamp) {
  const { Consumer, ListOffsetTimestamps } = await library
  const consumer = new Consumer(
    { ...connection(bootstrap), groupId: `seeker-${topic}` })
  const ask = async when => (await consumer.listOffsets(
    { topics: [topic], timestamp: when })).get(topic)[partition]
  lines.say('beginning', await ask(ListOffsetTimestamps.EARLIEST))
  lines.say('end', await ask(ListOffsetTimestamps.LATEST))
  const at = await ask(BigInt(timestamp))
  lines.say('at', at)
  const stream = await consumer.consume({
    topics: [topic],
    mode: 'manual',
    offsets: [{ topic, partition: Number(partition), offset: at }]
  })
  for await (const m of stream) {
    if (m.partition !== Number(partition)) continue
    lines.say('seek', lines.pack(m.value))
    break
  }
  await consumer.close(true)
}

async function admin (bootstrap, what, topic, partitions) {
  const { Admin } = await library
  const client = new Admin(connection(bootstrap))
  if (what === 'create') {
    await client.createTopics(
      { topics: [topic], partitions: Number(partitions), replicas: 1 })
  } else if (what === 'delete') {
    await client.deleteTopics({ topics: [topic] })
  } else {
    for (const name of await client.listTopics()) lines.say(name)
  }
  await client.close()
}

lines.main({ version, produce, consume, group, offsets, admin })
