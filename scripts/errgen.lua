-- errgen.lua - makes `enum err` out of schema/errors.lua.
--
--   lua5.4 scripts/errgen.lua schema/errors.lua build/gen/base/errors
--
-- writes errors.h and errors.c. Kafka's codes form one dense table, ours a
-- second one; a name or number given twice, a gap, and a `wire` that names no
-- Kafka code are refused.

local source, target = arg[1], arg[2]
if not target then
    io.stderr:write("usage: errgen.lua SCHEMA TARGET\n")
    os.exit(2)
end
local errors = dofile(source)

local function check(list, first)
    local seen = {}
    for i, e in ipairs(list) do
        local number, name, retriable, text = table.unpack(e, 1, 4)
        if number ~= first + i - 1 then
            error(("%s: %s has number %d, expected %d"):format(source, name,
                number, first + i - 1), 0)
        end
        if seen[name] or type(retriable) ~= "boolean" or type(text) ~= "string"
        then
            error(("%s: %s is listed twice or incomplete"):format(source,
                name), 0)
        end
        seen[name] = number
    end
    return seen
end

local numbers = check(errors.kafka, -1)
check(errors.ours, 1000)

local function write(path, lines)
    local f = assert(io.open(path, "w"))
    f:write(table.concat(lines, "\n"), "\n")
    f:close()
end

local h = {
    "/* Generated from schema/errors.lua: edit that. */",
    "#ifndef BASE_ERRORS_H",
    "#define BASE_ERRORS_H",
    "",
    "#include <stdbool.h>",
    "#include <stdint.h>",
    "",
    "/* Kafka's codes have Kafka's numbers; ours start at 1000. */",
    "enum err {",
}
for _, list in ipairs({ errors.kafka, errors.ours }) do
    for _, e in ipairs(list) do
        h[#h + 1] = ("    ERR_%s = %d,"):format(e[2], e[1])
    end
end
for _, line in ipairs({
    "};",
    "",
    "/* The name without prefix, as Kafka writes it: \"NOT_CONTROLLER\". A number",
    " * that is no error gives \"UNKNOWN_SERVER_ERROR\". */",
    "const char *err_name(enum err err);",
    "",
    "/* One sentence for people: lower case, no full stop. */",
    "const char *err_text(enum err err);",
    "",
    "/* Whether the same request may succeed later, as Kafka's clients see it. */",
    "bool err_is_retriable(enum err err);",
    "",
    "/* The code that a client gets: Kafka's own number; ours are mapped. */",
    "int16_t err_wire(enum err err);",
    "",
    "#endif",
}) do
    h[#h + 1] = line
end

local c = {
    "/* Generated from schema/errors.lua: edit that. */",
    "#include \"base/errors.h\"",
    "",
    "#include <stddef.h>",
    "",
    "struct error_fact {",
    "    const char *name;",
    "    const char *text;",
    "    int16_t wire;",
    "    bool is_retriable;",
    "};",
    "",
}
local function facts(array, list)
    c[#c + 1] = ("static const struct error_fact %s[] = {"):format(array)
    for _, e in ipairs(list) do
        local wire = e.wire and numbers[e.wire] or e[1]
        if e[1] >= 1000 and not numbers[e.wire] then
            error(("%s: %s needs the Kafka code that clients get"):format(
                source, e[2]), 0)
        end
        c[#c + 1] = ("    {%q, %q, %d, %s},"):format(e[2], e[4], wire, e[3])
    end
    c[#c + 1] = "};\n"
end
facts("kafka_errors", errors.kafka)
facts("own_errors", errors.ours)
c[#c + 1] = ([[
static const struct error_fact *error_fact(enum err err)
{
    int code = (int)err;

    if (code >= -1 && code <= %d) {
        return &kafka_errors[code + 1];
    }
    if (code >= 1000 && code <= %d) {
        return &own_errors[code - 1000];
    }
    return &kafka_errors[0];
}

const char *err_name(enum err err)
{
    return error_fact(err)->name;
}

const char *err_text(enum err err)
{
    return error_fact(err)->text;
}

bool err_is_retriable(enum err err)
{
    return error_fact(err)->is_retriable;
}

int16_t err_wire(enum err err)
{
    return error_fact(err)->wire;
}]]):format(errors.kafka[#errors.kafka][1], errors.ours[#errors.ours][1])

write(target .. ".h", h)
write(target .. ".c", c)
