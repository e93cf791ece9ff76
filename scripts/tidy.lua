-- tidy.lua: does the house still stand?  Run from the top of the tree.
--
-- It fails on what must never be: an include that points up or sideways, an
-- outside library through a second door (core/FLOORS says what both are), an
-- exported function that only tests call, a warning that clients can cause
-- without a gate, and a page that names a function which does not exist.  Then it prints, as a guide that fails nothing, our
-- sizes beside those of C code that reads well, and each place that is longer,
-- or less explained, than nine tenths of it.
--
-- It reads C by lines and not by grammar.  That is enough because the code is
-- formatted: a function's braces stand alone in column 0.

local LIMIT = {
    c_lines = 1000, h_lines = 300, function_lines = 70, columns = 80,
    parameters = 6, nesting = 4, exported = 15,
}

-- Calls that few places alone may make: files, or folders with "/".
local RESERVED = {
    malloc = "base/mem.c", calloc = "base/mem.c", realloc = "base/mem.c",
    free = "base/mem.c", printf = "base/args.c cli/ broker/ main.c",
    fprintf = "base/args.c cli/ broker/ main.c base/trace.c base/must.c",
    strcpy = "", strcat = "", sprintf = "", strtok = "", atoi = "",
    alloca = "", gets = "", system = "",
}

-- Folders whose every warning a client can cause: as often as it likes.
local GATED = "api/ coord/"

-- Exported functions that only tests call, and what they are there for.
local FOR_TESTS = {
    ["a test looks into what the product only changes"] =
        "producer_state_find offsets_count rows_count state_find_offset " ..
        "topic_find_override replica_high_watermark quorum_applied " ..
        "quorum_last quorum_term reserve_is_held",
    ["the text of a transcript"] = "group_state_name row_kind_name",
    ["a step of the simulator or of a fuzzer"] =
        "log_abandon log_producers_open log_producers_close " ..
        "group_effects_clear",
    ["the slow way, beside the fast one"] = "crc32c_tables",
    ["tests that provoke errors are silent"] = "trace_level_set",
    ["a cluster of several nodes: simulated, not served yet"] =
        "quorum_read quorum_receive quorum_leader quorum_is_leader image_ref",
    ["a plugin as partitioner, two steps of an append"] =
        "log_reserve log_fill log_release",
    ["transactions: compared with Kafka's bytes"] = "batch_control",
    ["configs that change while a log is open"] = "log_configure",
}
local UNUSED = {}
for why, names in pairs(FOR_TESTS) do
    for name in names:gmatch("%S+") do UNUSED[name] = why end
end

-- Columns as in `sizes` below; numbers of the models as they were measured.
local MODELS = {
    { "lua", 33, "552 / 1900 / 2202", "105 / 865", "10 / 27 / 773", 99, 3.5,
        22, 92, 0.3, 69 },
    { "raft", 51, "244 / 962 / 2041", "47 / 444", "16 / 56 / 172", 93, 4,
        18, 45, 1.1, 50 },
    { "dqlite", 82, "199 / 1083 / 3212", "59 / 2188", "15 / 56 / 216", 93, 4,
        19, 53, 0.9, 54 },
    { "libuv", 62, "205 / 1181 / 2750", "82 / 597", "14 / 57 / 310", 94, 6,
        16, 17, 0.3, 27 },
    { "wrk", 13, "135 / 576 / 585", "39 / 133", "9 / 29 / 140", 98, 5 },
}

local failures = {}
local guide = {}

local function fail(where, ...)
    failures[#failures + 1] = where .. ": " .. string.format(...)
end

local function note(file, line, ...)
    guide[#guide + 1] = { file = file, line = line, text = string.format(...) }
end

local function read(path)
    local f = io.open(path, "rb")
    if not f then return nil end
    local text = f:read("a")
    f:close()
    return text
end

local function lines_of(text)
    local lines = {}
    for line in text:gmatch("([^\n]*)\n?") do lines[#lines + 1] = line end
    while lines[#lines] == "" do lines[#lines] = nil end
    return lines
end

-- core/FLOORS: folder (or main.c) -> number; header -> places; free headers.
local function read_floors()
    local floors, doors, free = {}, {}, {}
    for line in io.lines("core/FLOORS") do
        local number, rest = line:match("^(%d)%s+(.*)")
        if number then
            for folder in rest:gmatch("%S+") do
                floors[folder] = tonumber(number)
            end
        end
        local header, places = line:match("^door%s+(%S+)%s+(.*)")
        if header then
            doors[header] = {}
            for place in places:gmatch("%S+") do
                table.insert(doors[header], place)
            end
        end
        for name in (line:match("^free%s+(.*)") or ""):gmatch("%S+") do
            free[name] = true
        end
    end
    return floors, doors, free
end

local floors, doors, free = read_floors()

-- What a file of core/ belongs to: its folder, or itself at the top.
local function folder_of(file)
    return file:match("^([^/]+)/") or file
end

-- The longest entry of a table of headers and prefixes that covers a header.
local function entry_of(entries, header)
    local best
    for key in pairs(entries) do
        local covers = key == header or
            (not key:find("%.h$") and header:sub(1, #key) == key)
        if covers and (not best or #key > #best) then best = key end
    end
    return best and entries[best]
end

local function check_own(file, line, header)
    local from, to = folder_of(file), header:match("^([^/]+)/")
    local where = "core/" .. file .. ":" .. line
    if not to or not floors[to] then
        fail(where, 'include "%s" is not written from core/', header)
    elseif not floors[from] then
        fail(where, "%s is on no floor of core/FLOORS", from)
    elseif from ~= to and floors[to] >= floors[from] then
        fail(where, "%s (floor %d) includes %s, %s floor %d", from,
            floors[from], header,
            floors[to] > floors[from] and "up on" or "sideways on",
            floors[to])
    end
end

local function check_outside(file, line, header)
    local where = "core/" .. file .. ":" .. line
    local places = entry_of(doors, header)
    if not places then
        if not entry_of(free, header) then
            fail(where, "<%s> has no door in core/FLOORS", header)
        end
        return
    end
    for _, place in ipairs(places) do
        if file == place or folder_of(file) == place or
            file:gsub("%.[ch]$", "") == place then
            return
        end
    end
    fail(where, "<%s> enters by %s only", header,
        table.concat(places, ", "))
end

-- The text with comments and the insides of literals made blank, line for
-- line; and the comments alone, the same way.
local function split(text)
    local code, comments = {}, {}
    local function put(into, other, s)
        into[#into + 1] = s
        other[#other + 1] = s:gsub("[^\n]", " ")
    end
    local at = 1
    while true do
        local start = text:find("[/\"']", at)
        if not start then break end
        put(code, comments, text:sub(at, start - 1))
        local two, stop = text:sub(start, start + 1), nil
        if two == "/*" then
            stop = select(2, text:find("*/", start + 2, true)) or #text
            put(comments, code, text:sub(start, stop))
        elseif two == "//" then
            stop = (text:find("\n", start, true) or #text + 1) - 1
            put(comments, code, text:sub(start, stop))
        elseif two:sub(1, 1) == "/" then
            stop = start
            put(code, comments, "/")
        else
            local quote = two:sub(1, 1)
            stop = start + 1
            while stop <= #text and text:sub(stop, stop) ~= quote do
                stop = stop + (text:sub(stop, stop) == "\\" and 2 or 1)
            end
            put(code, comments, quote .. (" "):rep(stop - start - 1) .. quote)
        end
        at = stop + 1
    end
    put(code, comments, text:sub(at))
    return lines_of(table.concat(code)), lines_of(table.concat(comments))
end

-- Per file: its numbers, added to the totals of the tree.
local total = {
    c = {}, h = {}, functions = {}, exported = {}, lines = 0, wide = 0,
    comment = 0, code = 0, above = 0, placed = 0, asserts = 0, static = 0,
}
local included = {} -- header -> how many others include it
local words = {}    -- every identifier of the code
local exports = {}  -- { file, line, name } of each function that is not static
local uses = {}     -- name -> how often code names it, declarations apart
local headers = {}

local function parameters_of(signature)
    local inner = signature:match("%((.*)%)") or ""
    if inner:match("^%s*void%s*$") or inner:match("^%s*$") then return 0 end
    local flat = inner
    repeat
        local again
        flat, again = flat:gsub("%([^()]*%)", "")
    until again == 0
    return select(2, flat:gsub(",", "")) + 1
end

local function look_at_function(file, code, first, open, close)
    local signature = table.concat(code, " ", first, open - 1)
    local name = signature:match("([%w_]+)%s*%(") or "?"
    local length = close - first + 1
    table.insert(total.functions, length)
    if length > LIMIT.function_lines then
        note(file, first, "%s has %d lines", name, length)
    end
    local parameters = parameters_of(signature)
    if parameters > LIMIT.parameters then
        note(file, first, "%s has %d parameters", name, parameters)
    end
    local depth, deepest = 0, 0
    for i = open, close do
        for brace in code[i]:gmatch("[{}]") do
            depth = depth + (brace == "{" and 1 or -1)
            deepest = math.max(deepest, depth)
        end
        if code[i]:find("%f[%w_]must%(") then
            total.asserts = total.asserts + 1
        end
    end
    if deepest - 1 > LIMIT.nesting then
        note(file, first, "%s is nested %d deep", name, deepest - 1)
    end
    if signature:find("%f[%w_]static%f[^%w_]") then
        total.static = total.static + 1
        return nil
    end
    return name
end

local function look_at_functions(file, code)
    local exported = {}
    local open
    for i, line in ipairs(code) do
        if line:match("^{%s*$") then
            open = i
        elseif line:match("^}") and open then
            local first = open
            while first > 1 and code[first - 1]:find("%S") and
                not code[first - 1]:find("[;}]%s*$") and
                not code[first - 1]:find("^#") do
                first = first - 1
            end
            if table.concat(code, " ", first, open):find("%(") then
                local name = look_at_function(file, code, first, open, i)
                if name then
                    table.insert(exported, { name, first })
                    table.insert(exports, { file, first, name })
                end
            end
            open = nil
        end
    end
    if not file:match("%.c$") then return end
    table.insert(total.exported, #exported)
    if #exported > LIMIT.exported then
        note(file, 1, "exports %d functions", #exported)
    end
    -- A module of several files shares their first word; a request's handler
    -- is handle_ and its file.
    local whole = file:match("([^/]+)%.c$")
    local prefix = whole:match("^[^_]+")
    for _, f in ipairs(exported) do
        if f[1]:sub(1, #prefix) ~= prefix and f[1] ~= "handle_" .. whole then
            note(file, f[2], "%s does not carry the file's name", f[1])
        end
    end
end

-- A header's declarations of functions, each with a comment right above it,
-- or right below one that has.
local function look_at_docstrings(file, lines, code)
    local depth, start, documented = 0, nil, false
    for i, line in ipairs(code) do
        if depth == 0 and not start and line:find("^[%a_]") then
            start = i
            local above = lines[i - 1] or ""
            documented = above:find("%*/%s*$") ~= nil or
                (documented and above:find("%S") ~= nil)
        elseif depth == 0 and not start and line:find("^#") then
            documented = false
        end
        for brace in line:gmatch("[{}]") do
            depth = depth + (brace == "{" and 1 or -1)
        end
        if start and depth == 0 and line:find("[;}]%s*$") then
            local text = table.concat(code, " ", start, i)
            local name = text:match("^[^={]-([%w_]+)%s*%(")
            if name and not documented and not text:find("^typedef") and
                name ~= "static_assert" and name ~= "_Static_assert" then
                note(file, start, "%s has no docstring", name)
            end
            start = nil
        end
    end
end

local function is_in(file, places)
    for place in places:gmatch("%S+") do
        if file == place or
            (place:find("/$") and file:sub(1, #place) == place) then
            return true
        end
    end
    return false
end

local function look_at_line(file, i, line, code, comment)
    total.lines = total.lines + 1
    -- Characters, not bytes; an invalid line counts by bytes.
    local width = utf8.len(line) or #line
    if width > LIMIT.columns then
        total.wide = total.wide + 1
        note(file, i, "%d columns", width)
    end
    if code:find("%S") then total.code = total.code + 1 end
    if comment:find("%S") and not code:find("%S") then
        total.comment = total.comment + 1
        if i > 25 then
            total.placed = total.placed + 1
            if not line:find("^    ") then total.above = total.above + 1 end
        end
    end
    local mark = comment:match("%f[%w]TODO%f[%W]") or
        comment:match("%f[%w]FIXME%f[%W]") or comment:match("%f[%w]XXX%f[%W]")
    if mark then note(file, i, "%s", mark) end
    if code:find("typedef%s+struct") then note(file, i, "typedef struct") end
    for call in code:gmatch("%f[%w_]([%a_][%w_]*)%(") do
        local place = RESERVED[call]
        if place and not is_in(file, place) then
            note(file, i, "%s() %s", call, place == "" and "has no place"
                or "belongs to " .. place)
        end
    end
    -- In a header what stands in column 0 declares.
    local is_use = not file:find("%.h$") or code:find("^%s")
    for word in code:gmatch("[%a_][%w_]*") do
        words[word] = true
        if is_use then uses[word] = (uses[word] or 0) + 1 end
    end
end

local function look_at_includes(file, lines, code)
    local own = file:gsub("%.c$", ".h")
    local first
    for i, line in ipairs(lines) do
        local kind, header = line:match('^%s*#%s*include%s*([<"])([^>"]+)')
        if kind and code[i]:find("#") then
            if kind == "<" then
                check_outside(file, i, header)
            else
                check_own(file, i, header)
                if header ~= own then
                    included[header] = (included[header] or 0) + 1
                end
            end
            if not first and file:find("%.c$") and header ~= own and
                headers[own] and not header:find("_private%.h$") then
                note(file, i, "its own header does not come first")
            end
            first = first or header
        end
    end
end

-- What a client can cause once it can cause a thousand times.
local function look_for_bare_lines(file, code)
    for i, line in ipairs(code) do
        if line:find("%f[%w_]trace%(TRACE_WARN") then
            fail("core/" .. file .. ":" .. i,
                "a warning of %s passes a gate: trace_gated()",
                folder_of(file))
        end
    end
end

local function look_at(file)
    local text = read("core/" .. file)
    local lines = lines_of(text)
    local code, comments = split(text)
    local is_header = file:find("%.h$") ~= nil
    if is_in(file, GATED) then look_for_bare_lines(file, code) end
    table.insert(is_header and total.h or total.c, #lines)
    local limit = is_header and LIMIT.h_lines or LIMIT.c_lines
    if #lines > limit then note(file, 1, "%d lines", #lines) end
    for i, line in ipairs(lines) do
        look_at_line(file, i, line, code[i] or "", comments[i] or "")
    end
    look_at_includes(file, lines, code)
    look_at_functions(file, code)
    if is_header then
        look_at_docstrings(file, lines, code)
        local guard = file:upper():gsub("[^%w]", "_")
        if not text:find("#ifndef " .. guard .. "\n", 1, true) then
            note(file, 1, "its guard is not %s", guard)
        end
    elseif not (comments[1] or ""):find("/%*") then
        note(file, 1, "no story at its head")
    end
end

-- core/README.md tells the life of a request by names: `name()`, `some_name`.
-- A name that is no word of the code is a story about another program.
local function look_at_readme()
    local text = read("core/README.md")
    if not text then return end
    for i, line in ipairs(lines_of(text)) do
        for quoted in line:gmatch("`([^`]+)`") do
            local name = quoted:match("^([%a_][%w_]*)%(%)$") or
                quoted:match("^([a-z][a-z0-9]*_[a-z0-9_]+)$")
            if name and not words[name] then
                fail("core/README.md:" .. i, "no %s in the code", name)
            end
        end
    end
end

-- An exported function that only tests call is theirs, or nobody's. What
-- scripts write into generated code ("reader_%s") is called there.
local function look_for_unused()
    local written = {}
    for path in io.popen("ls scripts/*.lua"):lines() do
        for name in read(path):gmatch("[%a_][%w_]*_%%s") do
            written[name:match("^[^_]+")] = true
        end
    end
    for _, e in ipairs(exports) do
        local file, line, name = table.unpack(e)
        local is_unused = uses[name] == 1 and name ~= "main" and
            not (file:find("^wire/") and written[name:match("^[^_]+")])
        if is_unused and not UNUSED[name] then
            fail("core/" .. file .. ":" .. line, "only tests call %s", name)
        elseif UNUSED[name] and not is_unused then
            note(file, line, "%s is called: tidy.lua has it for tests", name)
        end
    end
end

local function at(sorted, share)
    if #sorted == 0 then return 0 end
    return sorted[math.max(1, math.ceil(#sorted * share))]
end

local function percent(part, whole)
    return whole == 0 and 0 or math.floor(100 * part / whole + 0.5)
end

local function spread(numbers, with_p90)
    table.sort(numbers)
    local parts = { at(numbers, 0.5), at(numbers, 0.9), at(numbers, 1) }
    if not with_p90 then table.remove(parts, 2) end
    return table.concat(parts, " / ")
end

local function sizes()
    local short = 0
    for _, n in ipairs(total.functions) do
        if n <= LIMIT.function_lines then short = short + 1 end
    end
    table.sort(total.exported)
    local count = #total.functions
    local ours = {
        "ours", #total.c, spread(total.c, true), spread(total.h),
        spread(total.functions, true), percent(short, count),
        at(total.exported, 0.5),
        percent(total.comment, total.comment + total.code),
        percent(total.above, total.placed),
        string.format("%.1f", total.asserts / math.max(1, count)),
        percent(total.static, count),
    }
    local heads = {
        "", ".c", ".c: median/p90/max", ".h: median/max",
        "function: median/p90/max", "<=70 %", "exported", "comment %",
        "above %", "must/function", "static %",
    }
    for _, row in ipairs({ heads, ours, table.unpack(MODELS) }) do
        local cells = {}
        for i, head in ipairs(heads) do
            local width = math.max(6, #head)
            cells[i] = string.format("%" .. width .. "s", row[i] or "-")
        end
        print(table.concat(cells, "  "))
    end
    print(string.format("%d lines, %d of them over %d columns",
        total.lines, total.wide, LIMIT.columns))
end

local files = {}
for path in io.popen("find core -name '*.[ch]' | LC_ALL=C sort"):lines() do
    local file = path:gsub("^core/", "")
    table.insert(files, file)
    if file:find("%.h$") then headers[file] = true end
end
for _, file in ipairs(files) do look_at(file) end

-- "The file is the prefix" needs names that are unique in all of core/.
local homes = {}
for _, file in ipairs(files) do
    local name = file:match("([^/]+)$"):gsub("_core%.", ".")
    local other = homes[name]
    if other and folder_of(other) ~= folder_of(file) then
        note(file, 1, "core/%s has this name", other)
    end
    homes[name] = homes[name] or file
end
look_at_readme()
look_for_unused()
for file in pairs(headers) do
    if not included[file] then note(file, 1, "no other file includes it") end
end

table.sort(guide, function(a, b)
    if a.file ~= b.file then return a.file < b.file end
    return a.line < b.line
end)
for _, g in ipairs(guide) do
    print(string.format("core/%s:%d: %s", g.file, g.line, g.text))
end
if #guide > 0 then print() end
sizes()
for _, line in ipairs(failures) do print("FAILED " .. line) end
local bad = {}
for _, line in ipairs(failures) do bad[line:match("^[^:]+")] = true end
local count = 0
for _ in pairs(bad) do count = count + 1 end
print(string.format("%d passed, %d failed", #files - count, count))
os.exit(#failures == 0)
