"""The stream in Redis or Valkey: two keys, and the scripts that change and read them, each as one step.

They begin with the stream's name, `signalr` unless the URL has another one. `{signalr}:messages_0` is the stream:
message 7 has the id 7-0, and its fields are the payload `p`, the sender `s`, the server's time in microseconds `t`, the
sender and the time of the message before it `b`, and how many bytes the stream has had with it, `n`.
`{signalr}:messages_0_id` is its counter: the newest number `top`, its mark `mark`, the bytes `bytes` and the `epoch`. A
third key for each sender holds the number of its newest batch, for an hour. The braces have a cluster keep them
together.
"""

from typing import Any, NamedTuple
from uuid import UUID

VERSION = 1
SENDER_SECONDS = 3600

_HEAD = """
local stream, counter, sender = KEYS[1], KEYS[2], KEYS[3]
local function text(number) return string.format('%.0f', number) end
local function now()
  local time = redis.call('TIME')
  return time[1] .. string.format('%06d', tonumber(time[2]))
end
local function number_of(entry) return tonumber(string.match(entry[1], '^%d+')) end
local function field(entry, name)
  for index = 1, #entry[2], 2 do
    if entry[2][index] == name then return entry[2][index + 1] end
  end
end
local function first_from(number)
  return redis.call('XRANGE', stream, text(number), '+', 'COUNT', 1)[1]
end
-- The newest number for which all entries up to it are so; the one before the oldest, if none is.
local function last_where(is_so)
  local oldest = redis.call('XRANGE', stream, '-', '+', 'COUNT', 1)[1]
  if not oldest then return 0 end
  local low, high = number_of(oldest) - 1, tonumber(redis.call('HGET', counter, 'top'))
  while low < high do
    local middle = math.ceil((low + high) / 2)
    local entry = first_from(middle)
    if entry and is_so(entry) then low = math.max(middle, number_of(entry)) else high = middle - 1 end
  end
  return low
end
"""

_INSTALL = """
local version = tonumber(redis.call('HGET', counter, 'version') or ARGV[1])
if version ~= tonumber(ARGV[1]) then return version end
local top = tonumber(redis.call('HGET', counter, 'top'))
-- A stream that was trimmed to nothing still refuses the numbers that it had.
local highest, state = 0, redis.pcall('XINFO', 'STREAM', stream)
for index = 1, state.err and 0 or #state, 2 do
  if state[index] == 'last-generated-id' then highest = tonumber(string.match(state[index + 1], '^%d+')) end
end
if not top or not redis.call('HGET', counter, 'epoch') or highest > top then
  local newest = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
  local mark = newest and field(newest, 's') .. field(newest, 't') or ''
  local bytes = newest and field(newest, 'n') or '0'
  redis.call('HSET', counter, 'version', ARGV[1], 'epoch', ARGV[2], 'top', text(math.max(top or 0, highest)),
    'mark', mark, 'bytes', bytes)
end
return version
"""

# A batch has a number of its sender's own. One that is done, or given up by `settle`, is not done again.
_SEND = """
local batch = tonumber(ARGV[2])
local known = redis.call('HMGET', counter, 'top', 'mark', 'bytes', 'epoch')
local top, mark, bytes = tonumber(known[1]), known[2], tonumber(known[3])
if not top or not mark or not bytes or not known[4] then return redis.error_reply('NOCOUNTER') end
if tonumber(redis.call('GET', sender) or 0) >= batch then return top end
local time = now()
for index = 4, #ARGV do
  top, bytes = top + 1, bytes + #ARGV[index]
  redis.call('XADD', stream, text(top) .. '-0', 'p', ARGV[index], 's', ARGV[1], 't', time, 'b', mark, 'n', text(bytes))
  mark = ARGV[1] .. time
end
redis.call('HSET', counter, 'top', text(top), 'mark', mark, 'bytes', text(bytes))
redis.call('SET', sender, ARGV[2], 'EX', ARGV[3])
return top
"""

_SETTLE = """
local done = tonumber(redis.call('GET', sender) or 0) >= tonumber(ARGV[1])
redis.call('SET', sender, ARGV[1], 'EX', ARGV[2])
return done and 1 or 0
"""

_READ = """
local known = redis.call('HMGET', counter, 'top', 'epoch', 'mark')
local top = tonumber(known[1])
if not top or not known[2] then return redis.error_reply('NOCOUNTER') end
if ARGV[1] == '' then return {text(top), known[2], now(), known[3], {}} end
local after, count, bytes = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local mark, entries, size = false, {}, 0
local last = redis.call('XRANGE', stream, text(after) .. '-0', text(after) .. '-0')[1]
if last then mark = field(last, 's') .. field(last, 't') end
local next = after + 1
while #entries < count do
  local entry = first_from(next)
  if not entry then break end
  size = size + #field(entry, 'p')
  if #entries > 0 and size > bytes then break end
  if not mark and number_of(entry) == after + 1 then mark = field(entry, 'b') end
  entries[#entries + 1] = entry
  next = number_of(entry) + 1
end
return {text(top), known[2], now(), mark or '', entries}
"""

_RENEW = """
if redis.call('HGET', counter, 'epoch') == ARGV[1] then redis.call('HSET', counter, 'epoch', ARGV[2]) end
return redis.call('HGET', counter, 'epoch') or redis.error_reply('NOCOUNTER')
"""

_LAST_UNTIL = "return text(last_where(function(entry) return tonumber(field(entry, 't')) <= tonumber(ARGV[1]) end))"

# The last of what is too old stays, by which a server knows that it has missed nothing.
_TIDY = """
local top, bytes = tonumber(redis.call('HGET', counter, 'top')), tonumber(redis.call('HGET', counter, 'bytes'))
if not top or not bytes then return 0 end
local since = tonumber(now()) - tonumber(ARGV[1])
local old = last_where(function(entry) return tonumber(field(entry, 't')) < since end)
local too_large = bytes - tonumber(ARGV[3])
local large = last_where(function(entry) return tonumber(field(entry, 'n')) <= too_large end)
local first = math.max(old, large, top - tonumber(ARGV[2]) + 1)
return redis.call('XTRIM', stream, 'MINID', text(first) .. '-0')
"""

INSTALL, SEND, SETTLE, READ, RENEW, LAST_UNTIL, TIDY = (
    _HEAD + body for body in (_INSTALL, _SEND, _SETTLE, _READ, _RENEW, _LAST_UNTIL, _TIDY)
)


class Keys(NamedTuple):
    """The keys of a stream, as the scripts take them."""

    stream: str
    counter: str
    sender: str

    @classmethod
    def of(cls, name: str, sender: UUID) -> "Keys":
        """Those of the stream of that name, for one of its senders."""
        stream = f"{{{name}}}:messages_0"
        return cls(stream, f"{stream}_id", f"{stream}:sender:{sender}")


def fields_of(entry: Any) -> dict[bytes, bytes]:
    """Give an entry's fields, which a script returns as a list and a command as a mapping."""
    fields = entry[1]
    return fields if isinstance(fields, dict) else dict(zip(fields[::2], fields[1::2], strict=True))
