-- embed.lua - puts text files into the program.
--
--   lua5.4 scripts/embed.lua NAME HEADER TARGET.c FILE...
--
-- writes TARGET.c, which defines what HEADER declares: NAME, an array of
-- pointers to the files' bytes with a NUL behind them, in the order of their
-- names, and NULL at its end. Numbers and not texts, because C allows a text
-- only so many characters.

local name, header, target = arg[1], arg[2], arg[3]
if not target then
    io.stderr:write("usage: embed.lua NAME HEADER TARGET.c FILE...\n")
    os.exit(2)
end

local files = table.move(arg, 4, #arg, 1, {})
table.sort(files)

local out = {
    "/* Generated from " .. table.concat(files, ", ") .. ": edit that. */",
    ('#include "%s"'):format(header),
    "",
    "#include <stddef.h>",
    "",
}
for i, path in ipairs(files) do
    local f = assert(io.open(path, "rb"))
    local text = f:read("a")
    f:close()
    out[#out + 1] = ("static const char file_%d[] = {"):format(i)
    for at = 1, #text, 18 do
        local bytes = { text:byte(at, at + 17) }
        out[#out + 1] = "    " .. table.concat(bytes, ", ") .. ","
    end
    out[#out + 1] = "    0};"
    out[#out + 1] = ""
end
out[#out + 1] = ("const char *const %s[] = {"):format(name)
for i in ipairs(files) do
    out[#out + 1] = ("    file_%d,"):format(i)
end
out[#out + 1] = "    NULL};"

local f = assert(io.open(target, "w"))
f:write(table.concat(out, "\n"), "\n")
f:close()
