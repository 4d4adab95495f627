-- view: one row per pass over the slots
-- column: time_ns int64 (ns); when it began
-- column: duration_ns int64 (ns); how long the pass took
-- column: cpu int16; CPU it happened on
-- column: task int32; task it happened to
-- column: op int64; operation in whose course it happened
-- column: scanned int64; slots passed over
-- column: freed int32; slots that became free
-- kept: a session makes it once
SELECT run, time_ns, duration_ns, cpu, task, op, value AS scanned, other AS freed
FROM events WHERE event = 'scan'
