-- wiregen.lua - turns schema/**/*.wire into C structs, decoders and encoders.
--
--   lua5.4 scripts/wiregen.lua DIR FILE.wire ...
--
-- writes DIR/<file>.[ch] for each file; DIR/apis.[ch], the list of requests; and
-- DIR/wire_tables.[ch], every message described as data, for tests and tools.
--
-- The language is described in wireschema.lua, which reads it.

local schema = dofile((arg[0]:match("^.*/") or "") .. "wireschema.lua")
local HUGE, fail, scalars = schema.HUGE, schema.fail, schema.scalars
local snake, meet = schema.snake, schema.meet
local format, concat = string.format, table.concat

--------------------------------------------------------------- versions --

local function inside(set, version)
    return set and version >= set[1] and version <= set[2]
end

-- The least bytes that a value takes on the wire, over all versions.
local function struct_bytes_min(s)
    local least = math.huge
    for version = s.range[1], s.range[2] do
        local flex, sum = inside(s.flexible, version), 0
        for _, f in ipairs(s.used) do
            if inside(f.range, version) and not f.tag then
                if f.array then
                    sum = sum + (flex and 1 or 4)
                elseif f.struct then
                    sum = sum + (f.null and 1 or struct_bytes_min(f.struct))
                else
                    local kind = scalars[f.type]
                    sum = sum + ((flex and not kind.read) and 1 or kind.bytes)
                end
            end
        end
        least = math.min(least, sum + (flex and 1 or 0))
    end
    return math.max(least, 1)
end

local function element_bytes_min(f, flex_possible)
    if f.struct then
        return struct_bytes_min(f.struct)
    end
    local kind = scalars[f.type]
    return (kind.read or not flex_possible) and kind.bytes or 1
end

-- A C condition for `version` being in set, given that it is in range: nil for
-- always, false for never.
local function condition(set, range)
    local met = meet(set, range)
    if not met then
        return false
    end
    local low = met[1] > range[1] and format("version >= %d", met[1]) or nil
    local high = met[2] < range[2] and format("version <= %d", met[2]) or nil
    if low and high and met[1] == met[2] then
        return format("version == %d", met[1])
    end
    return low and high and low .. " && " .. high or low or high
end

-- The same as an expression: "true", "false" or the condition.
local function truth(set, range)
    local c = condition(set, range)
    return c == nil and "true" or c or "false"
end

local function flex_of(s, f)
    if f and f.stiff then
        return "false"
    end
    local c = condition(s.flexible, s.range)
    return c == nil and "true" or c and "flex" or "false"
end

--------------------------------------------------------------- generating --

local function number(f, value)
    if f.type == "bool" then
        return value
    end
    local n = math.tointeger(tonumber(value)) or fail(f.where,
        "%q is not a number", value)
    if f.type == "int64" then
        return format("INT64_C(%d)", n)
    end
    return format("%d", n)
end

-- The default as a C expression; nil where it is all zero.
local function default(f)
    if f.array then
        return f.def == "null" and "-1" or nil
    end
    if f.type == "records" then
        return f.def == "null" and "{.bytes = -1}" or nil
    end
    if f.struct or not f.def or f.def == "null" or f.type == "uuid" then
        return nil
    end
    if f.def == '""' then
        return f.null and 'STR_LIT("")' or nil
    end
    if f.def == "0" or f.def == "false" then
        return nil
    end
    return number(f, f.def)
end

local function default_target(f)
    return f.array and f.c .. "_count" or f.c
end

local function assign_default(f)
    local value = default(f)
    if value and f.type == "records" and not f.array then
        value = "(struct wire_records)" .. value
    end
    return value and format("out->%s = %s;", default_target(f), value)
end

-- The designated initialisers that differ from zero, or nil.
local function initialisers(s)
    local parts = {}
    for _, f in ipairs(s.used) do
        local value = default(f)
        if f.struct and not f.array and not f.null then
            local nested = initialisers(f.struct)
            value = nested and "{" .. nested .. "}"
        end
        if value then
            parts[#parts + 1] = format(".%s = %s", default_target(f), value)
        end
    end
    return #parts > 0 and concat(parts, ", ") or nil
end

local function declare(f)
    local lines = {}
    if f.comment then
        lines[1] = "/* " .. f.comment .. " */"
    end
    local kind = f.struct and "struct " .. f.struct.c or scalars[f.type].c
    if f.array then
        lines[#lines + 1] = format("%s *%s;", kind, f.c)
        lines[#lines + 1] = format("int32_t %s_count;", f.c)
    elseif f.struct and f.null then
        lines[#lines + 1] = format("%s *%s;", kind, f.c)
    else
        lines[#lines + 1] = format("%s %s;", kind, f.c)
    end
    return lines
end

-- The expression that reads one value that is no struct.
local function read_scalar(s, f, element)
    local kind = scalars[f.type]
    if kind.read then
        return format("reader_%s(r)", kind.read)
    end
    local flex = flex_of(s, f)
    local null = element and "false" or truth(f.null, f.range)
    if f.type == "records" then
        return format("reader_records(r, %s, %s)", flex, null)
    end
    local plain = format("reader_%s(r, %s)", kind.text, flex)
    local nullable = format("reader_%s_nullable(r, %s)", kind.text, flex)
    return null == "true" and nullable or null == "false" and plain
        or format("%s ? %s : %s", null, nullable, plain)
end

local function decode_value(s, f)
    if f.array then
        local lines = {
            format("out->%s = reader_array(r, a,", f.c),
            format("    (struct reader_array){%s, %s, %d, sizeof(*out->%s)},",
                flex_of(s, f), truth(f.null, f.range),
                element_bytes_min(f, s.flexible), f.c),
            format("    &out->%s_count);", f.c),
            format("for (int32_t i = 0; i < out->%s_count; i++) {", f.c),
            f.struct
                and format("    %s_read(r, a, version, &out->%s[i]);",
                    f.struct.c, f.c)
                or format("    out->%s[i] = %s;", f.c, read_scalar(s, f, true)),
            "}",
        }
        return lines
    end
    if f.struct and f.null then
        if truth(f.null, f.range) ~= "true" then
            fail(f.where, "a struct is nullable in all versions or in none")
        end
        return {
            format("out->%s = reader_struct(r, a, sizeof(*out->%s));", f.c, f.c),
            format("if (out->%s != NULL) {", f.c),
            format("    %s_read(r, a, version, out->%s);", f.struct.c, f.c),
            "}",
        }
    end
    if f.struct then
        return { format("%s_read(r, a, version, &out->%s);", f.struct.c, f.c) }
    end
    return { format("out->%s = %s;", f.c, read_scalar(s, f)) }
end

local function indent(lines, by)
    local pad, out = ("    "):rep(by or 1), {}
    for i, line in ipairs(lines) do
        out[i] = line == "" and "" or pad .. line
    end
    return out
end

local function append(out, lines)
    for _, line in ipairs(lines) do
        out[#out + 1] = line
    end
end

-- Wraps lines in `if (c) { }`; with an else where given.
local function guard(out, c, lines, otherwise)
    if c == nil then
        append(out, lines)
        return
    end
    out[#out + 1] = format("if (%s) {", c)
    append(out, indent(lines))
    if otherwise then
        out[#out + 1] = "} else {"
        append(out, indent(otherwise))
    end
    out[#out + 1] = "}"
end

local function tagged_fields(s)
    local tagged = {}
    for _, f in ipairs(s.used) do
        if f.tag then
            tagged[#tagged + 1] = f
        end
    end
    table.sort(tagged, function(x, y) return x.tag < y.tag end)
    return tagged
end

-- A tagged struct is default when it is absent, nested ones included.
local function set_struct_defaults(f, out)
    if f.struct and not f.array and not f.null and initialisers(f.struct) then
        out[#out + 1] = format("%s_init(&out->%s);", f.struct.c, f.c)
    end
end

local function decode_tags(s)
    local tagged, out = tagged_fields(s), {}
    if #tagged == 0 then
        return { "reader_tags_skip(r);" }
    end
    append(out, {
        "for (uint32_t n = reader_uvarint(r); n > 0 && !r->failed; n--) {",
        "    struct reader_tag tag = reader_tag_open(r);",
        "",
        "    switch (tag.tag) {",
    })
    for _, f in ipairs(tagged) do
        out[#out + 1] = format("    case %d:", f.tag)
        local body = {}
        guard(body, condition(f.range, s.flexible), decode_value(s, f))
        append(out, indent(body, 2))
        out[#out + 1] = "        break;"
    end
    append(out, {
        "    default:",
        "        break;",
        "    }",
        "    reader_tag_close(r, &tag);",
        "}",
    })
    return out
end

local function decode_body(s)
    local out = {}
    for _, f in ipairs(s.used) do
        local set = assign_default(f)
        if f.tag then
            out[#out + 1] = set
            set_struct_defaults(f, out)
        else
            local c = condition(f.range, s.range)
            local otherwise = set and { set }
            if c and not otherwise then
                local fresh = {}
                set_struct_defaults(f, fresh)
                otherwise = #fresh > 0 and fresh or nil
            end
            guard(out, c, decode_value(s, f), otherwise)
        end
    end
    if s.flexible then
        guard(out, condition(s.flexible, s.range), decode_tags(s))
    end
    return out
end

local function write_value(s, f)
    local flex, null = flex_of(s, f), truth(f.null, f.range)
    local kind = scalars[f.type]
    local function scalar(value, element)
        if kind.read then
            return format("writer_%s(w, %s);", kind.read, value)
        end
        if f.type == "records" then
            return format("writer_records(w, %s, %s, &%s);", flex, null, value)
        end
        return format("writer_%s(w, %s, %s, %s);", kind.text, flex,
            element and "false" or null, value)
    end
    if f.array then
        return {
            format("n = writer_count(w, %s, %s, in->%s_count);", flex, null,
                f.c),
            "for (int32_t i = 0; i < n; i++) {",
            f.struct
                and format("    %s_write(w, version, &in->%s[i]);", f.struct.c,
                    f.c)
                or "    " .. scalar(format("in->%s[i]", f.c), true),
            "}",
        }
    end
    if f.struct and f.null then
        return {
            format("if (writer_struct(w, in->%s)) {", f.c),
            format("    %s_write(w, version, in->%s);", f.struct.c, f.c),
            "}",
        }
    end
    if f.struct then
        return { format("%s_write(w, version, &in->%s);", f.struct.c, f.c) }
    end
    return { scalar("in->" .. f.c) }
end

-- The C condition under which a field differs from its default.
local function differs(f)
    local value = "in->" .. f.c
    if f.array then
        if f.def == "null" then
            return format("%s_count >= 0", value)
        end
        return format("%s_count %s 0", value, f.null and "!=" or ">")
    end
    if f.struct then
        if f.null then
            return format("%s != NULL", value)
        end
        f.struct.compared = true
        return format("!%s_is_default(&%s)", f.struct.c, value)
    end
    if f.type == "uuid" then
        return format("!uuid_is_zero(%s)", value)
    end
    if f.type == "records" then
        return format("%s.bytes %s", value, f.def == "null" and ">= 0"
            or f.null and "!= 0" or "> 0")
    end
    if scalars[f.type].text then
        if f.def == "null" then
            return format("%s.ptr != NULL", value)
        end
        return f.null and format("(%s.ptr == NULL || %s.len > 0)", value, value)
            or format("%s.len > 0", value)
    end
    if f.type == "bool" then
        return f.def == "true" and "!" .. value or value
    end
    return format("%s != %s", value, number(f, f.def or "0"))
end

local function encode_tags(s)
    local tagged, out, sum = tagged_fields(s), {}, {}
    if #tagged == 0 then
        return { "writer_uvarint(w, 0);" }
    end
    for _, f in ipairs(tagged) do
        local c = condition(f.range, s.flexible)
        out[#out + 1] = format("const bool has_%s = %s%s;", f.c,
            c and c .. " && " or "", differs(f))
        sum[#sum + 1] = format("(has_%s ? 1u : 0u)", f.c)
    end
    out[#out + 1] = ""
    out[#out + 1] = format("writer_uvarint(w, %s);", concat(sum, " + "))
    for _, f in ipairs(tagged) do
        local body = {}
        body[1] = format("at = writer_tag_open(w, %d);", f.tag)
        append(body, write_value(s, f))
        body[#body + 1] = "writer_tag_close(w, at);"
        guard(out, "has_" .. f.c, body)
    end
    return out
end

local function encode_body(s)
    local out = {}
    for _, f in ipairs(s.used) do
        if not f.tag then
            guard(out, condition(f.range, s.range), write_value(s, f))
        end
    end
    if s.flexible then
        local c = condition(s.flexible, s.range)
        local tags = encode_tags(s)
        if c == nil and #tags > 1 then
            out[#out + 1] = "{"
            append(out, indent(tags))
            out[#out + 1] = "}"
        else
            guard(out, c, tags)
        end
    end
    return out
end

-- Puts what the body needs before it, and marks what it does not use.
local function function_body(body, s, parameters, locals)
    local text = concat(body, "\n")
    local function uses(word)
        return text:find("%f[%w_]" .. word .. "%f[^%w_]") ~= nil
    end
    local out = {}
    if uses("flex") then
        out[#out + 1] = format("const bool flex = %s;",
            truth(s.flexible, s.range))
    end
    for _, l in ipairs(locals) do
        if uses(l[1]) then
            out[#out + 1] = l[2]
        end
    end
    if #out > 0 then
        out[#out + 1] = ""
    end
    local head = concat(out, "\n")
    for _, p in ipairs(parameters) do
        if not uses(p) and not head:find("%f[%w_]" .. p .. "%f[^%w_]") then
            out[#out + 1] = format("(void)%s;", p)
        end
    end
    append(out, body)
    return indent(out)
end

local function emit_function(out, head, body)
    append(out, head)
    out[#out + 1] = "{"
    append(out, body)
    append(out, { "}", "" })
end

local function is_default_body(s)
    local parts = {}
    for _, f in ipairs(s.used) do
        parts[#parts + 1] = "(" .. differs(f) .. ")"
    end
    return { format("    return !(%s);", concat(parts, " ||\n             ")) }
end

local function emit_struct_code(out, s)
    local init = initialisers(s)
    local decode = function_body(decode_body(s), s, { "a", "version" }, {})
    local encode = function_body(encode_body(s), s, { "version" },
        { { "n", "int32_t n;" }, { "at", "size_t at;" } })
    if s.compared then
        emit_function(out, {
            format("static bool %s_is_default(const struct %s *in)", s.c, s.c),
        }, is_default_body(s))
    end
    emit_function(out, { format("void %s_init(struct %s *out)", s.c, s.c) },
        { format("    *out = (struct %s){%s};", s.c, init or "0") })
    emit_function(out, {
        format("static void %s_read(struct reader *r, struct arena *a,", s.c),
        format("    int16_t version, struct %s *out)", s.c),
    }, decode)
    emit_function(out, {
        format("static void %s_write(struct writer *w, int16_t version,", s.c),
        format("    const struct %s *in)", s.c),
    }, encode)
end

local function emit_message_code(out, message)
    for _, s in ipairs(message.order) do
        for _, f in ipairs(s.used) do
            if f.tag then
                differs(f)
            end
        end
    end
    for i = #message.order, 1, -1 do
        if message.order[i].compared then
            is_default_body(message.order[i])
        end
    end
    for _, s in ipairs(message.order) do
        emit_struct_code(out, s)
    end
    local c = message.c
    emit_function(out, {
        format("void %s_decode(struct reader *r, struct arena *a,", c),
        format("    int16_t version, struct %s *out)", c),
    }, {
        format("    *out = (struct %s){0};", c),
        format("    %s_read(r, a, version, out);", c),
    })
    emit_function(out, {
        format("void %s_encode(struct writer *w, int16_t version,", c),
        format("    const struct %s *in)", c),
    }, { format("    %s_write(w, version, in);", c) })
end

local function emit_struct_declaration(out, s)
    out[#out + 1] = format("struct %s {", s.c)
    for _, f in ipairs(s.used) do
        append(out, indent(declare(f)))
    end
    if #s.used == 0 then
        out[#out + 1] = "    char nothing; /* the message has no fields */"
    end
    append(out, { "};", "", format("void %s_init(struct %s *out);", s.c, s.c),
        "" })
end

local function emit_message_header(out, message)
    out[#out + 1] = format("/* %s, versions %d to %d.%s", message.name,
        message.versions[1], message.versions[2],
        #message.comments > 0 and "" or " */")
    for i, line in ipairs(message.comments) do
        out[#out + 1] = " * " .. line .. (message.comments[i + 1] and "" or " */")
    end
    out[#out + 1] = ""
    for _, s in ipairs(message.order) do
        emit_struct_declaration(out, s)
    end
    local c = message.c
    append(out, {
        format("void %s_decode(struct reader *r, struct arena *a,", c),
        format("    int16_t version, struct %s *out);", c),
        format("void %s_encode(struct writer *w, int16_t version,", c),
        format("    const struct %s *in);", c),
        "",
    })
end

local function write(path, lines)
    local f = assert(io.open(path, "w"))
    f:write(concat(lines, "\n"), "\n")
    f:close()
end

local function generate(dir, file)
    local h = { format("/* Generated from %s: edit that.", file.path), " *" }
    for _, line in ipairs(file.comments) do
        h[#h + 1] = (" * " .. line):gsub("%s+$", "")
    end
    append(h, {
        " *",
        " * decode fills a struct whose texts, bytes and records are slices of the",
        " * reader's input and whose arrays lie in the arena; check the reader after",
        " * it. encode drops what the version lacks. init sets the protocol's",
        " * defaults, which are not all zero. A count of -1 is a null array; a text",
        " * that the version lacks is null. */",
        format("#ifndef WIRE_%s_H", file.name:upper()),
        format("#define WIRE_%s_H", file.name:upper()),
        "",
        "#include \"wire/reader.h\"",
        "#include \"wire/writer.h\"",
        "",
    })
    local c = {
        format("/* Generated from %s: edit that. */", file.path),
        format("#include \"wire/%s.h\"", file.name),
        "",
    }
    for _, message in ipairs(file.messages) do
        emit_message_header(h, message)
        emit_message_code(c, message)
    end
    append(h, { "#endif" })
    c[#c] = nil
    write(dir .. "/" .. file.name .. ".h", h)
    write(dir .. "/" .. file.name .. ".c", c)
end

--------------------------------------------------------------- apis.[ch] --

local function generate_apis(dir, files)
    local apis, last = {}, -1
    for _, file in ipairs(files) do
        if file.api then
            if apis[file.api.key] then
                fail(file.path, "key %d is taken", file.api.key)
            end
            apis[file.api.key] = file.api
            last = math.max(last, file.api.key)
        end
    end
    local h = {
        "/* Generated from the schemas of all requests: edit those.",
        " *",
        " * Which requests exist, and in which versions. What this broker answers is",
        " * decided by its dispatch table, within these ranges. */",
        "#ifndef WIRE_APIS_H",
        "#define WIRE_APIS_H",
        "",
        "#include <stdint.h>",
        "",
        "enum api_key {",
    }
    for key = 0, last do
        if apis[key] then
            h[#h + 1] = format("    API_%s = %d,", snake(apis[key].name):upper(),
                key)
        end
    end
    append(h, {
        "};",
        "",
        format("enum { API_KEY_MAX = %d };", last),
        "",
        "struct api_info {",
        "    int16_t key;",
        "    int16_t version_min; /* served; min > max: in no version */",
        "    int16_t version_max;",
        "    int16_t advertised_min; /* as ApiVersions says it */",
        "    int16_t flexible_min;   /* INT16_MAX: never */",
        "    const char *name;",
        "};",
        "",
        "/* NULL for a key that no request has. */",
        "const struct api_info *api_find(int16_t key);",
        "",
        "#endif",
    })
    local c = {
        "/* Generated from the schemas of all requests: edit those. */",
        "#include \"wire/apis.h\"",
        "",
        "#include <stddef.h>",
        "",
        "static const struct api_info apis[API_KEY_MAX + 1] = {",
    }
    for key = 0, last do
        local api = apis[key]
        if api then
            local served = api.served or { 0, -1 }
            c[#c + 1] = format("    [%d] = {%d, %d, %d, %d, %d, %q},", key, key,
                served[1], served[2], (api.advertised or served)[1],
                api.flexible and api.flexible[1] or HUGE, api.name)
        end
    end
    append(c, {
        "};",
        "",
        "const struct api_info *api_find(int16_t key)",
        "{",
        "    if (key < 0 || key > API_KEY_MAX || apis[key].name == NULL) {",
        "        return NULL;",
        "    }",
        "    return &apis[key];",
        "}",
    })
    write(dir .. "/apis.h", h)
    write(dir .. "/apis.c", c)
end

---------------------------------------------------------------- the tables --

local function range_text(set)
    return set and format("{%d, %d}", set[1], set[2]) or "{1, 0}"
end

local function table_field(s, f)
    local kind = f.struct and "WIRE_STRUCT" or "WIRE_" .. f.type:upper()
    local member = "struct " .. s.c
    local def = "0"
    if not f.array and not f.struct and f.def and scalars[f.type].read
        and f.type ~= "uuid" then
        def = number(f, f.def)
    end
    return format("    {%q, %s, %s, %s, %s, %d, %s, %s, %s, %s, "
        .. "sizeof(%s), %s, %s},",
        f.name:sub(1, 1):lower() .. f.name:sub(2), kind, f.array,
        range_text(f.range), range_text(meet(f.null, f.range)), f.tag or -1,
        f.stiff or false, f.def == "null",
        format("offsetof(%s, %s)", member, f.c),
        f.array and format("offsetof(%s, %s_count)", member, f.c) or "0",
        f.struct and "struct " .. f.struct.c or scalars[f.type].c,
        f.struct and "&table_" .. f.struct.c or "NULL", def)
end

local function emit_message_table(out, message)
    for _, s in ipairs(message.order) do
        out[#out + 1] = format("static const struct wire_field fields_%s[] = {",
            s.c)
        for _, f in ipairs(s.used) do
            out[#out + 1] = table_field(s, f)
        end
        append(out, {
            "    {0},",
            "};",
            format("static const struct wire_struct table_%s = {%q, "
                .. "sizeof(struct %s), fields_%s, %d};", s.c, s.c, s.c, s.c,
                #s.used),
            "",
        })
    end
    append(out, {
        format("static void decode_%s(struct reader *r, struct arena *a, "
            .. "int16_t v, void *out)", message.c),
        format("{\n    %s_decode(r, a, v, out);\n}\n", message.c),
        format("static void encode_%s(struct writer *w, int16_t v, "
            .. "const void *in)", message.c),
        format("{\n    %s_encode(w, v, in);\n}\n", message.c),
        format("static void init_%s(void *out)", message.c),
        format("{\n    %s_init(out);\n}\n", message.c),
    })
end

local function generate_tables(dir, files)
    local h = [[
/* Generated from the schemas: edit those.
 *
 * Every message described as data, so that tests and tools can fill, print and
 * compare all of them by one function each. */
#ifndef WIRE_TABLES_H
#define WIRE_TABLES_H

#include "wire/reader.h"
#include "wire/writer.h"

enum wire_type {
    WIRE_BOOL,
    WIRE_INT8,
    WIRE_INT16,
    WIRE_INT32,
    WIRE_INT64,
    WIRE_UINT16,
    WIRE_UINT32,
    WIRE_FLOAT64,
    WIRE_UUID,
    WIRE_STRING,
    WIRE_BYTES,
    WIRE_RECORDS,
    WIRE_STRUCT,
};

/* From first to last; empty when first > last. */
struct wire_range {
    int first;
    int last;
};

struct wire_field {
    const char *name; /* camelCase, as JSON has it */
    enum wire_type type;
    bool is_array;
    struct wire_range versions;
    struct wire_range null_versions;
    int tag; /* -1: none */
    bool is_stiff;
    bool default_is_null;
    size_t at;
    size_t count_at;
    size_t size;
    const struct wire_struct *of;
    int64_t default_number;
};

struct wire_struct {
    const char *name;
    size_t size;
    const struct wire_field *fields;
    int count;
};

struct wire_message {
    const char *name;
    const char *kind; /* "request", "response", "data" */
    int key;          /* -1 for data */
    struct wire_range versions;
    struct wire_range flexible;
    const struct wire_struct *top;
    void (*decode)(struct reader *r, struct arena *a, int16_t v, void *out);
    void (*encode)(struct writer *w, int16_t v, const void *in);
    void (*init)(void *out);
};

extern const struct wire_message wire_messages[];
extern const int wire_messages_count;

#endif]]
    local c = { "/* Generated from the schemas: edit those. */",
        "#include \"wire/wire_tables.h\"", "" }
    for _, file in ipairs(files) do
        c[#c + 1] = format("#include \"wire/%s.h\"", file.name)
    end
    c[#c + 1] = ""
    for _, file in ipairs(files) do
        for _, message in ipairs(file.messages) do
            emit_message_table(c, message)
        end
    end
    c[#c + 1] = "const struct wire_message wire_messages[] = {"
    local count = 0
    for _, file in ipairs(files) do
        for _, message in ipairs(file.messages) do
            count = count + 1
            c[#c + 1] = format("    {%q, %q, %d, %s, %s, &table_%s, decode_%s, "
                .. "encode_%s, init_%s},", message.name, message.kind,
                message.key or -1, range_text(message.versions),
                range_text(meet(message.flexible, message.versions)),
                message.c, message.c, message.c, message.c)
        end
    end
    append(c, { "};", "",
        format("const int wire_messages_count = %d;", count) })
    write(dir .. "/wire_tables.h", { h })
    write(dir .. "/wire_tables.c", c)
end

--------------------------------------------------------------------- main --

local dir = arg[1]
if not arg[2] then
    io.stderr:write("usage: wiregen.lua DIR FILE.wire ...\n")
    os.exit(2)
end

local files, names = {}, {}
for i = 2, #arg do
    local file = schema.parse(arg[i])
    if names[file.name] then
        fail(arg[i], "another file has the same name")
    end
    names[file.name] = true
    for _, message in ipairs(file.messages) do
        schema.resolve(message)
    end
    files[#files + 1] = file
end

for _, file in ipairs(files) do
    generate(dir, file)
end
generate_apis(dir, files)
generate_tables(dir, files)
