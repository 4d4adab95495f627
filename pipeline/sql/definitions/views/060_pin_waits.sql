-- view: one row per wait of a ready task for the CPU it was pinned to
-- column: time_ns int64 (ns); when it began
-- column: duration_ns int64 (ns); from ready to running
-- column: cpu int16; CPU it happened on
-- column: task int32; task it happened to
-- column: op int64; operation in whose course it happened
-- column: idle_cpus int64; CPUs that were idle when it became ready
SELECT run, time_ns, duration_ns, cpu, task, op, value AS idle_cpus FROM events WHERE event = 'pin_wait'
