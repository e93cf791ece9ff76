// The line format of the drivers (README.md), for those in JavaScript.
'use strict'

const fs = require('node:fs')

const pack = data => data == null ? '-' : Buffer.from(data).toString('base64')
const unpack = field => field === '-' ? null : Buffer.from(field, 'base64')
const say = (...fields) => fs.writeSync(1, fields.join('\t') + '\n')

// headers: [name, value] pairs.
const packHeaders = headers =>
  headers.map(([n, v]) => pack(n) + ':' + pack(v)).join(',')

function recordsIn () {
  const lines = fs.readFileSync(0, 'utf8').split('\n').filter(l => l)
  return lines.map(line => {
    const [partition, key, value, headers] = line.split('\t')
    return {
      partition: partition === '-' ? undefined : Number(partition),
      key: unpack(key),
      value: unpack(value),
      headers: headers.split(',').filter(h => h)
        .map(h => h.split(':').map(unpack))
    }
  })
}

const recordOut = (partition, offset, timestamp, key, value, headers) =>
  say(partition, offset, timestamp, pack(key), pack(value),
    packHeaders(headers))

// Runs one verb of a driver, an object with a function for each.
function main (driver) {
  const [verb, ...args] = process.argv.slice(2)
  const options = Object.fromEntries(
    args.filter(a => a.includes('=')).map(a => a.split(/=(.*)/s)))
  driver[verb](...args.filter(a => !a.includes('=')), options).then(
    () => process.exit(0),
    error => {
      console.error(error)
      process.exit(1)
    })
}

module.exports = { main, pack, recordOut, recordsIn, say }
