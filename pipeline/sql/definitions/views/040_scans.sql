-- view: one row per scan of the slots
-- column: time_ns int64 (ns); begin of the scan
-- column: duration_ns int64 (ns); length of the scan
-- column: cpu int16; CPU that scanned
-- column: task int32; task that scanned
-- column: op int64; operation that caused it
-- column: scanned int64; number of slots scanned
-- column: freed int32; number of slots freed
-- kept: a session makes it once
SELECT run, time_ns, duration_ns, cpu, task, op, value AS scanned, other AS freed
FROM events WHERE event = 'scan'
