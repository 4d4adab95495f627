-- view: one row per global or directed TLB flush
-- column: time_ns int64 (ns); when it began
-- column: duration_ns int64 (ns); from the first IPI to the slowest answer
-- column: cpu int16; CPU it happened on
-- column: task int32; task it happened to
-- column: op int64; operation in whose course it happened
-- column: cpus_interrupted int64; CPUs that had to answer
-- kept: a session makes it once
SELECT run, time_ns, duration_ns, cpu, task, op, value AS cpus_interrupted FROM events WHERE event = 'flush'
