-- view: one row per sleep for a slot
-- column: time_ns int64 (ns); when it began
-- column: duration_ns int64 (ns); from leaving the CPU to being woken
-- column: cpu int16; CPU it happened on
-- column: task int32; task it happened to
-- column: op int64; operation in whose course it happened
-- column: queue int64; wait queue it slept on
-- column: woken_by int32; task that woke it; NULL: nobody did
-- kept: a session makes it once
SELECT run, time_ns, duration_ns, cpu, task, op, value AS queue, other AS woken_by
FROM events WHERE event = 'sleep'
