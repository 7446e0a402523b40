Texts that are cut.

--- a log line of continuation bytes
-- memory: 64mb
print(('\x80'):rep(70000))

--- log lines cut at any byte
-- memory: 256mb
for i = 65530, 65550 do for _, tail in ipairs { '\xe4\xba\xba', '\xf0\x9f\x98\x80', '\xbf\xbf\xbf\xbf\xbf', '\xc3' } do print(('x'):rep(i) .. tail:rep(10)) end end

--- a warning of continuation bytes
-- memory: 64mb
warn(('\xbf'):rep(70000)) io.write(('\xbf'):rep(70000))

--- an error of continuation bytes
-- error: (cut)
-- memory: 64mb
error(('\x80'):rep(70000))

--- a key of continuation bytes in what cannot be stored
-- error: not UTF-8 text
-- memory: 64mb
ctx:store('s'):put('k', { [('\x80'):rep(70000)] = print })

--- a chunk's name of continuation bytes
-- error: 1
-- memory: 64mb
load('error(1, 1)', '=' .. ('\x80'):rep(70000))()
