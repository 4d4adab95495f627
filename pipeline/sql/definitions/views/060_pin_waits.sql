-- view: one row per wait of a ready task for the CPU it was pinned to
-- column: time_ns int64 (ns); begin of the wait
-- column: duration_ns int64 (ns); time from ready to running
-- column: cpu int16; CPU to which the task was pinned
-- column: task int32; task that waited
-- column: op int64; operation of the task
-- column: idle_cpus int64; number of idle CPUs when it became ready
SELECT run, time_ns, duration_ns, cpu, task, op, value AS idle_cpus FROM events WHERE event = 'pin_wait'
