-- view: one row per sleep for a slot
-- column: time_ns int64 (ns); begin of the sleep
-- column: duration_ns int64 (ns); time from leaving the CPU to the wake-up
-- column: cpu int16; CPU of the task before the sleep
-- column: task int32; task that slept
-- column: op int64; operation that slept
-- column: queue int64; wait queue of the sleep
-- column: woken_by int32; task that woke it; NULL if it was never woken
-- kept: a session makes it once
SELECT run, time_ns, duration_ns, cpu, task, op, value AS queue, other AS woken_by
FROM events WHERE event = 'sleep'
