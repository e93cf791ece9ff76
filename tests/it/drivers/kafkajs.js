// The driver of kafkajs (see README.md).
'use strict'

const path = require('node:path')
const { createRequire } = require('node:module')
const load = createRequire(
  path.join(process.env.IT_BUILD, 'node', 'package.json'))
const {
  Kafka, CompressionTypes, CompressionCodecs, logLevel
} = load('kafkajs')
// The compiled part of lz4 is not built here: what it gives browsers does.
load('lz4/lib/utils-js.js')
load.cache[load.resolve('lz4/lib/utils.js')] =
  load.cache[load.resolve('lz4/lib/utils-js.js')]
const SnappyCodec = load('kafkajs-snappy')
const LZ4Codec = load('kafkajs-lz4')
const lines = require('./lines.js')

CompressionCodecs[CompressionTypes.Snappy] = SnappyCodec
CompressionCodecs[CompressionTypes.LZ4] = new LZ4Codec().codec

const connect = bootstrap =>
  new Kafka({ brokers: [bootstrap], logLevel: logLevel.ERROR })

async function version () {
  lines.say(load('kafkajs/package.json').version)
}

// kafkajs has an object for headers: a name that repeats holds a list.
function headersObject (pairs) {
  const object = {}
  for (const [name, value] of pairs) {
    const before = object[name]
    object[name] = before === undefined ? value : [].concat(before, value)
  }
  return object
}

const headerPairs = object => Object.entries(object).flatMap(
  ([name, value]) => [].concat(value).map(v => [name, v]))

async function produce (bootstrap, topic, options) {
  const producer = connect(bootstrap).producer(
    options.idempotent ? { idempotent: options.idempotent === '1' } : {})
  await producer.connect()
  const settings = {}
  if (options.codec) {
    const name = Object.keys(CompressionTypes).find(
      n => n.toLowerCase() === options.codec)
    settings.compression = CompressionTypes[name]
  }
  if (options.acks) {
    settings.acks = options.acks === 'all' ? -1 : Number(options.acks)
  }
  const messages = lines.recordsIn().map(
    r => ({ ...r, headers: headersObject(r.headers) }))
  const answer = await producer.send({ topic, messages, ...settings })
  if (answer.some(part => part.errorCode !== 0)) {
    throw new Error(JSON.stringify(answer))
  }
  for (const m of messages) lines.say(m.partition ?? '-', '-')
  await producer.disconnect()
}

async function consume (bootstrap, topic, count) {
  const consumer = connect(bootstrap).consumer(
    { groupId: `reader-${topic}-${process.pid}` })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  let left = Number(count)
  await new Promise((resolve, reject) => {
    consumer.on(consumer.events.CRASH, e => reject(e.payload.error))
    consumer.run({
      eachMessage: async ({ partition, message: m }) => {
        if (left <= 0) return
        lines.recordOut(partition, m.offset, m.timestamp, m.key, m.value,
          headerPairs(m.headers))
        if (--left === 0) resolve()
      }
    }).catch(reject)
  })
  await consumer.disconnect()
}

async function group (bootstrap, topic, groupId, options) {
  const settings = { groupId }
  if (options.session_ms) settings.sessionTimeout = Number(options.session_ms)
  if (options.heartbeat_ms) {
    settings.heartbeatInterval = Number(options.heartbeat_ms)
  }
  const consumer = connect(bootstrap).consumer(settings)
  let left = Number(options.count ?? Infinity)
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  consumer.on(consumer.events.GROUP_JOIN, e => lines.say('assigned',
    (e.payload.memberAssignment[topic] ?? []).sort((a, b) => a - b).join(',')))
  await new Promise((resolve, reject) => {
    process.on('SIGTERM', resolve)
    consumer.on(consumer.events.CRASH, e => reject(e.payload.error))
    consumer.run({
      autoCommit: false,
      eachBatch: async ({ batch, resolveOffset }) => {
        for (const m of batch.messages) {
          if (left <= 0) return
          lines.say('record', batch.partition, m.offset, lines.pack(m.value))
          resolveOffset(m.offset)
          left--
        }
        await consumer.commitOffsets([{
          topic,
          partition: batch.partition,
          offset: String(BigInt(batch.lastOffset()) + 1n)
        }])
        lines.say('committed')
        if (left <= 0) resolve()
      }
    }).catch(reject)
  })
  await consumer.disconnect()
}

async function offsets (bootstrap, topic, partition, timestamp) {
  const kafka = connect(bootstrap)
  const admin = kafka.admin()
  await admin.connect()
  const ours = p => p.partition === Number(partition)
  const ends = (await admin.fetchTopicOffsets(topic)).find(ours)
  lines.say('beginning', ends.low)
  lines.say('end', ends.high)
  const at = (await admin.fetchTopicOffsetsByTimestamp(
    topic, Number(timestamp))).find(ours).offset
  lines.say('at', at)
  await admin.disconnect()

  const consumer = kafka.consumer({ groupId: `seeker-${topic}` })
  await consumer.connect()
  await consumer.subscribe({ topic })
  await new Promise((resolve, reject) => {
    let done = false
    consumer.on(consumer.events.CRASH, e => reject(e.payload.error))
    consumer.run({
      eachMessage: async ({ partition: from, message }) => {
        if (from !== Number(partition) || done) return
        done = true
        lines.say('seek', lines.pack(message.value))
        resolve()
      }
    }).catch(reject)
    consumer.seek({ topic, partition: Number(partition), offset: at })
  })
  await consumer.disconnect()
}

async function admin (bootstrap, what, topic, partitions) {
  const client = connect(bootstrap).admin()
  await client.connect()
  if (what === 'create') {
    await client.createTopics({
      topics: [{ topic, numPartitions: Number(partitions) }]
    })
  } else if (what === 'delete') {
    await client.deleteTopics({ topics: [topic] })
  } else {
    for (const name of await client.listTopics()) lines.say(name)
  }
  await client.disconnect()
}

lines.main({ version, produce, consume, group, offsets, admin })
