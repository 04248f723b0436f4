"""Lua scripts for Redis. A number in an answer is an integer."""

from __future__ import annotations

from typing import Final

# KEYS: streams. ARGV: maxlen, ttl ms, max bytes (0: none), then for each stream the number of entries and the entries.
# Returns the last id.
PUBLISH: Final = """
local id
local at = 4
for _, stream in ipairs(KEYS) do
  local last = at + ARGV[at]
  for i = at + 1, last do id = redis.call('XADD', stream, 'MAXLEN', '~', ARGV[1], '*', 'd', ARGV[i]) end
  redis.call('PEXPIRE', stream, ARGV[2])
  local most = tonumber(ARGV[3])
  if most > 0 then
    local used = redis.call('MEMORY', 'USAGE', stream, 'SAMPLES', 5)
    if used > most then
      local keep = math.floor(redis.call('XLEN', stream) * most / used * 0.8)
      redis.call('XTRIM', stream, 'MAXLEN', math.max(keep, 1))
    end
  end
  at = last + 1
end
return id
"""
# KEYS: lease. ARGV: owner, ttl ms, 1 to take a free lease
HOLD: Final = """
local holder = redis.call('GET', KEYS[1])
if holder == ARGV[1] or (not holder and ARGV[3] == '1') then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return 1
end
return 0
"""
RELEASE: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""
# KEYS: counter. ARGV: limit, window ms. Returns the ms to wait, 0 within the limit.
HIT: Final = """
local hits = redis.call('INCR', KEYS[1])
if hits == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
if hits <= tonumber(ARGV[1]) then return 0 end
return math.max(redis.call('PTTL', KEYS[1]), 1)
"""
# KEYS: counter. Takes one attempt of the present window back.
UNHIT: Final = """
if tonumber(redis.call('GET', KEYS[1]) or '0') > 0 then return redis.call('DECR', KEYS[1]) end
return 0
"""
# KEYS: pacer. ARGV: turns at once, ms for each, longest wait in ms. The value is the time when all turns are over.
# Returns the ms to wait. Below 0 there is no turn: the ms until the last turn.
PACE: Final = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local each = tonumber(ARGV[2])
local idle_at = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now)
local wait = idle_at - (ARGV[1] - 1) * each - now
if wait > tonumber(ARGV[3]) then return -wait end
redis.call('SET', KEYS[1], idle_at + each, 'PX', idle_at + each - now)
return math.max(wait, 0)
"""
# KEYS: blob, other. ARGV: value. The blob ends with the other key.
SET_WITH: Final = """
local left = redis.call('PTTL', KEYS[2])
if left <= 0 then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', left)
return 1
"""
# KEYS: timetable. ARGV: until, again at, count
TAKE_DUE: Final = """
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
for _, member in ipairs(due) do redis.call('ZADD', KEYS[1], ARGV[2], member) end
return due
"""
# KEYS: collection. ARGV: ttl ms, command, its arguments...
ADD: Final = """
redis.call(ARGV[2], KEYS[1], unpack(ARGV, 3))
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return 1
"""
