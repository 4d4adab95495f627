-- view: one row per global or directed TLB flush
-- column: time_ns int64 (ns); begin of the flush
-- column: duration_ns int64 (ns); time from the first IPI to the last response
-- column: cpu int16; CPU that flushed
-- column: task int32; task that flushed
-- column: op int64; operation that caused it
-- column: cpus_interrupted int64; number of interrupted CPUs
-- kept: a session makes it once
SELECT run, time_ns, duration_ns, cpu, task, op, value AS cpus_interrupted FROM events WHERE event = 'flush'
