-- One request over and over: its body and its headers are those of a request
-- that the runner has sent.
function init(args)
  wrk.method = "POST"
  local body = assert(io.open(args[1]))
  wrk.body = body:read("*a")
  body:close()
  for line in io.lines(args[2]) do
    local name, value = line:match("^([^:]+): (.*)$")
    wrk.headers[name] = value
  end
end

function done(summary)
  local e = summary.errors
  local failed = e.connect + e.read + e.write + e.status + e.timeout
  io.write(string.format("requests=%d microseconds=%d failed=%d\n", summary.requests, summary.duration, failed))
end
