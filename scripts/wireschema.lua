-- wireschema.lua - reads schema/**/*.wire for wiregen.lua.
--
-- The language, one line each, two spaces per level:
--
--   # Comment. The blocks at the top of a file and above a `data` line are kept.
--   api <key> <Name> versions=<V> served=<V> [advertised=<V>] flexible=<V>
--   request / response          the two messages of an api follow it
--   data <Name> versions=<V> flexible=<V>     a struct that is sent or stored
--     struct <Name> <V>         used by several fields; its fields below it
--     <Field>: <type> <V> [null=<V>] [tag=<n>@<V>] [def=<value>] [flex=none]
--                               # a sentence may follow
--
-- V is a set of versions: "3", "0-12", "4+", "none". A type is bool, int8,
-- int16, int32, int64, uint16, uint32, float64, uuid, string, bytes, records,
-- or a struct; []T is an array. `versions` is what can be encoded and decoded,
-- `served` what this broker answers, `advertised` what ApiVersions says where
-- that differs. Structs cannot contain themselves, so decoding has a bound.

local HUGE = 32767
local format = string.format

local function fail(where, text, ...)
    io.stderr:write(format("%s: " .. text .. "\n", where, ...))
    os.exit(1)
end

----------------------------------------------------------------- parsing --

local scalars = {
    bool = { c = "bool", read = "bool", bytes = 1 },
    int8 = { c = "int8_t", read = "i8", bytes = 1 },
    int16 = { c = "int16_t", read = "i16", bytes = 2 },
    int32 = { c = "int32_t", read = "i32", bytes = 4 },
    int64 = { c = "int64_t", read = "i64", bytes = 8 },
    uint16 = { c = "uint16_t", read = "u16", bytes = 2 },
    uint32 = { c = "uint32_t", read = "u32", bytes = 4 },
    float64 = { c = "double", read = "f64", bytes = 8 },
    uuid = { c = "struct uuid", read = "uuid", bytes = 16 },
    string = { c = "struct str", text = "str", bytes = 2 },
    bytes = { c = "struct str", text = "bytes", bytes = 4 },
    records = { c = "struct wire_records", bytes = 4 },
}

local function snake(name)
    return (name:gsub("(%l)(%u)", "%1_%2"):gsub("(%d)(%u)", "%1_%2")
        :gsub("(%u)(%u%l)", "%1_%2"):lower())
end

-- A set of versions as {low, high}; nil for none.
local function versions(text, where)
    if text == "none" then
        return nil
    end
    local low, high = text:match("^(%d+)%-(%d+)$")
    if low then
        return { tonumber(low), tonumber(high) }
    end
    low = text:match("^(%d+)%+$")
    if low then
        return { tonumber(low), HUGE }
    end
    low = text:match("^(%d+)$")
    if not low then
        fail(where, "%q is not a set of versions", text)
    end
    return { tonumber(low), tonumber(low) }
end

local function meet(a, b)
    if not a or not b then
        return nil
    end
    local low, high = math.max(a[1], b[1]), math.min(a[2], b[2])
    return low <= high and { low, high } or nil
end

local function hull(a, b)
    if not a or not b then
        return a or b
    end
    return { math.min(a[1], b[1]), math.max(a[2], b[2]) }
end

local reserved = {}
for word in ([[auto break case char const continue default do double else enum
    extern float for goto if inline int long register restrict return short
    signed sizeof static struct switch typedef union unsigned void volatile
    while bool true false version]]):gmatch("%S+") do
    reserved[word] = true
end

local function parse_field(line, where)
    local code, comment = line:match("^(.-)%s+#%s*(.*)$")
    code = code or line
    local name, array, kind, set, rest =
        code:match("^%s*(%w+):%s+(%[?%]?)([%w]+)%s+(%S+)(.*)$")
    if not name then
        fail(where, "cannot read the field %q", line)
    end
    local f = { name = name, array = array == "[]", type = kind,
        versions = versions(set, where), comment = comment }
    f.c = snake(name)
    if reserved[f.c] then
        f.c = f.c .. "_"
    end
    for key, value in rest:gmatch("(%w+)=(%S+)") do
        if key == "null" then
            f.null = versions(value, where)
        elseif key == "tag" then
            local tag, tagged = value:match("^(%d+)@(%S+)$")
            f.tag = tonumber(tag)
            tagged = versions(tagged, where)
            if tagged[1] ~= f.versions[1] or tagged[2] ~= f.versions[2] then
                fail(where, "%s must be tagged in all its versions", name)
            end
        elseif key == "def" then
            f.def = value
        elseif key == "flex" and value == "none" then
            f.stiff = true
        else
            fail(where, "unknown attribute %s=%s", key, value)
        end
    end
    return f
end

local function attributes(line, where)
    local found = {}
    for key, value in line:gmatch("(%w+)=(%S+)") do
        found[key] = versions(value, where)
    end
    return found
end

-- Reads one file into {comments, api, messages}.
local function parse(path)
    local file = { path = path, comments = {}, messages = {},
        name = path:match("([%w_]+)%.wire$") }
    local message, stack
    local number, pending = 0, {}
    local function start(name, kind, attrs)
        message = { comments = pending, name = name, kind = kind, structs = {}, order = {},
            versions = attrs.versions, flexible = attrs.flexible }
        message.top = { name = "", fields = {}, message = message }
        stack, pending = { [0] = message.top }, {}
        table.insert(file.messages, message)
    end
    for line in io.lines(path) do
        number = number + 1
        local where = path .. ":" .. number
        local indent = #line:match("^ *") // 2
        local word = line:match("^%s*(%S+)")
        if not word or word:sub(1, 1) == "#" then
            if word and indent == 0 then
                table.insert(pending, (line:gsub("^#%s?", "")))
            elseif not word and #file.comments == 0 and not message then
                file.comments, pending = pending, {}
            end
        elseif indent == 0 and word == "api" then
            local key, name = line:match("^api (%d+) (%w+)")
            file.api = attributes(line, where)
            file.api.key, file.api.name = tonumber(key), name
            file.comments, pending = pending, {}
        elseif indent == 0 and (word == "request" or word == "response") then
            local suffix = word == "request" and "Request" or "Response"
            start(file.api.name .. suffix, word, file.api)
            message.key = file.api.key
        elseif indent == 0 and word == "data" then
            start(line:match("^data (%w+)"), "data", attributes(line, where))
        elseif not message or not stack[indent - 1] then
            fail(where, "this line is nested under nothing")
        elseif word == "struct" then
            local name, set = line:match("^%s*struct (%w+) (%S+)")
            local s = { name = name, fields = {}, message = message,
                versions = versions(set, where) }
            message.structs[name] = s
            stack[indent] = s
            stack[indent + 1] = nil
        else
            local f = parse_field(line, where)
            f.where = where
            table.insert(stack[indent - 1].fields, f)
            stack[indent] = nil
            if not scalars[f.type] then
                -- Nested lines, if any follow, belong to this field's struct.
                stack[indent] = message.structs[f.type]
                    or { name = f.type, fields = {}, message = message }
                if #stack[indent].fields > 0 then
                    stack[indent] = nil
                else
                    message.structs[f.type] = stack[indent]
                end
            end
        end
    end
    return file
end

---------------------------------------------------------------- resolving --

-- Finds each field's struct, orders structs so that parts come before wholes,
-- and works out in which versions each struct can occur.
local function resolve(message)
    local state = {}
    local function visit(s, where)
        if state[s] == "open" then
            fail(where, "struct %s contains itself", s.name)
        end
        if state[s] then
            return
        end
        state[s] = "open"
        for _, f in ipairs(s.fields) do
            if not scalars[f.type] then
                f.struct = message.structs[f.type]
                if not f.struct or #f.struct.fields == 0 then
                    fail(f.where, "no struct %s", f.type)
                end
                visit(f.struct, f.where)
            end
        end
        state[s] = "done"
        table.insert(message.order, s)
    end
    visit(message.top, message.name)
    message.c = snake(message.name)
    for _, s in ipairs(message.order) do
        s.c = s == message.top and message.c
            or message.c .. "_" .. snake(s.name)
    end
    message.top.range = message.versions
    for i = #message.order, 1, -1 do
        local s = message.order[i]
        for _, f in ipairs(s.fields) do
            f.range = meet(f.versions, s.range)
            if f.struct then
                f.struct.range = hull(f.struct.range, f.range)
            end
        end
    end
    for _, s in ipairs(message.order) do
        s.flexible = meet(s.range, message.flexible)
        s.used = {}
        for _, f in ipairs(s.fields) do
            if f.range then
                table.insert(s.used, f)
            end
        end
    end
end

return {
    HUGE = HUGE,
    fail = fail,
    scalars = scalars,
    snake = snake,
    meet = meet,
    parse = parse,
    resolve = resolve,
}
