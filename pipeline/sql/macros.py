"""The macros that SQL may use beside the views: what several queries do, defined and documented once.

A macro that takes a relation takes its name as text: of a view, or of a CTE of the same query, as in
`WITH mine AS (...) SELECT * FROM quantiles('mine')`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Macro:
    """A documented macro: a table to use after FROM.

    `parameters` and `columns` are pairs of a name and its meaning; `example` is a statement that uses it.
    """

    name: str
    doc: str
    parameters: tuple[tuple[str, str], ...]
    columns: tuple[tuple[str, str], ...]
    sql: str
    example: str

    @property
    def call(self) -> str:
        """How it is written: its name with its parameters."""
        return f"{self.name}({', '.join(name for name, _ in self.parameters)})"

    @property
    def definition(self) -> str:
        """The statement that makes it."""
        return f"CREATE MACRO {self.call} AS TABLE {self.sql}"


_RUN = ("run", "the run's name")
_PART = ("part", "what else tells the histograms apart, such as the site")
_HISTOGRAM = (
    "histogram",
    "name of a relation with the columns run, part, value (a whole number) and n (how often it occurs)",
)
_BUCKETS = ("buckets", "how many buckets of time the longest run is divided into")
_START = ("time_ns", "when the bucket begins")

QUANTILES = Macro(
    "quantiles",
    "exact quantiles of whole numbers: the smallest value that at least this share of all does not exceed",
    (_HISTOGRAM,),
    (
        _RUN,
        _PART,
        ("n", "how many values"),
        ("mean", "their mean"),
        ("least", "the smallest"),
        ("p50", "half are no larger"),
        ("p90", "90 % are no larger"),
        ("p99", "99 % are no larger"),
        ("most", "the largest"),
    ),
    # Cells of near values tell in which of them a quantile lies; only the values of those are sorted.
    """
    WITH given AS (
        SELECT run, part, value, n,
            CASE WHEN value > 0 THEN CAST(floor(32 * log2(value)) AS BIGINT) ELSE value - 1 END AS cell
        FROM query_table(histogram)
    ),
    cells AS (
        SELECT run, part, cell, sum(n) AS n, sum(CAST(value AS DOUBLE) * n) AS sum_of_values,
            min(value) AS least, max(value) AS most
        FROM given GROUP BY run, part, cell
    ),
    summed AS (
        SELECT *, sum(n) OVER (PARTITION BY run, part ORDER BY cell) - n AS below,
            sum(n) OVER (PARTITION BY run, part) AS total
        FROM cells
    ),
    ranked AS (
        SELECT g.run, g.part, g.value, s.total,
            s.below + sum(g.n) OVER (PARTITION BY g.run, g.part, g.cell ORDER BY g.value) AS up_to
        FROM given AS g
        INNER JOIN summed AS s
            ON g.run = s.run AND g.part IS NOT DISTINCT FROM s.part AND g.cell = s.cell
        WHERE (s.below < 0.50 * s.total AND s.below + s.n >= 0.50 * s.total)
            OR (s.below < 0.90 * s.total AND s.below + s.n >= 0.90 * s.total)
            OR (s.below < 0.99 * s.total AND s.below + s.n >= 0.99 * s.total)
    ),
    points AS (
        SELECT run, part,
            min(value) FILTER (WHERE up_to >= 0.50 * total) AS p50,
            min(value) FILTER (WHERE up_to >= 0.90 * total) AS p90,
            min(value) FILTER (WHERE up_to >= 0.99 * total) AS p99
        FROM ranked GROUP BY run, part
    ),
    whole AS (
        SELECT run, part, sum(n) AS n, sum(sum_of_values) / sum(n) AS mean, min(least) AS least,
            max(most) AS most
        FROM cells GROUP BY run, part
    )
    SELECT w.run, w.part, w.n, w.mean, w.least, p.p50, p.p90, p.p99, w.most
    FROM whole AS w INNER JOIN points AS p ON w.run = p.run AND w.part IS NOT DISTINCT FROM p.part
    """,
    "FROM quantiles('hold_histogram')",
)

TAIL = Macro(
    "tail",
    "how many values are at least so large, exact at each point; of each interval its first point is kept, "
    "and of the whole curve its last, so that no tail is cut",
    (_HISTOGRAM, ("per_octave", "intervals per doubling of the value")),
    (
        _RUN,
        _PART,
        ("value", "a value"),
        ("at_least", "how many values are at least as large"),
        ("total", "how many values there are"),
    ),
    # At least as large as an interval's first value are all values of this interval and of those above it.
    """
    WITH octaves AS (
        SELECT run, part, floor(log2(value) * per_octave) AS octave, sum(n) AS n, min(value) AS least,
            max(value) AS most, arg_max(n, value) AS n_most
        FROM query_table(histogram) GROUP BY run, part, octave
    ),
    summed AS (
        SELECT *, sum(n) OVER (PARTITION BY run, part ORDER BY octave DESC) AS at_least,
            sum(n) OVER (PARTITION BY run, part) AS total
        FROM octaves
    )
    SELECT run, part, least AS value, at_least, total FROM summed
    UNION ALL
    SELECT run, part, most, n_most, total FROM summed WHERE at_least = n AND most > least
    """,
    "FROM tail('hold_histogram', 4)",
)

TIME_BUCKETS = Macro(
    "time_buckets",
    "equal buckets of time, the same for all runs that have a log, up to each run's end",
    (_BUCKETS,),
    (
        _RUN,
        ("bucket", "number of the bucket, from 0"),
        _START,
        ("width_ns", "how long a bucket is"),
    ),
    """
    SELECT run, bucket, bucket * width_ns AS time_ns, width_ns
    FROM (
        SELECT run, wall_ns, events,
            greatest(max(wall_ns) OVER (), buckets) / buckets AS width_ns, unnest(range(buckets)) AS bucket
        FROM runs
    )
    WHERE events = 'full' AND bucket * width_ns < wall_ns
    """,
    "FROM time_buckets(10)",
)

LEVELS = Macro(
    "levels",
    "how many of something there are, from each moment at which that changes until the next one; in order "
    "of run and time",
    (
        (
            "steps",
            "name of a relation with the columns run, time_ns and change (1 comes, -1 goes, 0 stays); "
            "what comes must go within its run",
        ),
    ),
    (
        _RUN,
        ("time_ns", "from when"),
        ("until_ns", "until when; NULL: from the last step on"),
        ("level", "how many there were"),
        ("before", "how many there had been until then"),
    ),
    # Time and change are sorted as one number. Windows without an order of their own take the sorted rows as
    # they come, where PARTITION BY would sort them again; a run begins at 0 because the one before ended so.
    # Of the steps of one moment, in whatever order, only the last has a length: its level is that of all.
    """
    SELECT run, time_ns, until_ns, level, lag(level, 1, 0) OVER () AS before
    FROM (
        SELECT run, step >> 2 AS time_ns,
            CASE WHEN lead(run) OVER () = run THEN lead(step) OVER () >> 2 END AS until_ns,
            count(*) FILTER (WHERE step & 3 = 2) OVER (ROWS UNBOUNDED PRECEDING)
            - count(*) FILTER (WHERE step & 3 = 0) OVER (ROWS UNBOUNDED PRECEDING) AS level
        FROM (
            SELECT run, CAST(time_ns AS BIGINT) * 4 + change + 1 AS step FROM query_table(steps)
            ORDER BY run, step
        )
    )
    WHERE until_ns IS NULL OR until_ns > time_ns
    """,
    "WITH steps AS (SELECT run, time_ns, 1 AS change FROM sleeps) FROM levels('steps')",
)

LEVEL_OVER_TIME = Macro(
    "level_over_time",
    "how many intervals are under way at once, over time",
    (
        ("intervals", "name of a relation with the columns run, time_ns and duration_ns"),
        _BUCKETS,
    ),
    (
        _RUN,
        _START,
        ("mean", "how many were under way, mean over the bucket"),
        ("most", "most that were under way at once in it"),
    ),
    # Each bucket's start is a step of 0, so that no stretch between two steps crosses into another bucket.
    """
    WITH bounds AS (SELECT run, time_ns, width_ns FROM time_buckets(buckets)),
    given AS MATERIALIZED (SELECT run, time_ns, duration_ns FROM query_table(intervals)),
    changes AS (
        SELECT run, time_ns, 1 AS change FROM given
        UNION ALL
        SELECT run, time_ns + duration_ns, -1 FROM given
        UNION ALL
        SELECT run, CAST(ceil(time_ns) AS BIGINT), 0 FROM bounds
    ),
    width AS (SELECT DISTINCT run, width_ns FROM bounds)
    SELECT run, bucket_ns AS time_ns, sum(level_ns) / any_value(width_ns) AS mean, max(level) AS most
    FROM (
        SELECT l.run, l.level, width.width_ns,
            CAST(l.level * (coalesce(l.until_ns, l.time_ns) - l.time_ns) AS DOUBLE) AS level_ns,
            least(floor(l.time_ns / width.width_ns), buckets - 1) * width.width_ns AS bucket_ns
        FROM levels('changes') AS l INNER JOIN width ON l.run = width.run
    )
    GROUP BY run, bucket_ns
    """,
    "FROM level_over_time('sleeps', 10)",
)

MAPPED_AT = Macro(
    "mapped_at",
    "the mappings in force at given instants, from operations whose mapping is there and not yet undone. "
    "Time is cut into 65,536 cells, so that only operations in a cell with an instant are compared with it",
    (("instants", "name of a relation with the columns run and time_ns"),),
    (
        _RUN,
        ("time_ns", "the instant"),
        ("slots", "slots with a mapping in force: pinned, so that no scan can free them"),
        ("mappings", "mappings in force; more than slots where several map one page, or need no slot"),
    ),
    # Instants need not be whole numbers, and of others `//` keeps the fraction.
    """
    WITH width AS (
        SELECT run, wall_ns // 65536 + 1 AS cell_ns FROM runs WHERE events = 'full'
    ),
    asked AS (
        SELECT DISTINCT i.run, i.time_ns, CAST(floor(i.time_ns / w.cell_ns) AS BIGINT) AS cell
        FROM query_table(instants) AS i INNER JOIN width AS w ON i.run = w.run
    ),
    spans AS NOT MATERIALIZED (
        SELECT o.run, o.slot, o.mapped_ns, o.done_ns,
            o.mapped_ns // w.cell_ns AS first_cell,
            o.done_ns // w.cell_ns AS last_cell
        FROM operations AS o INNER JOIN width AS w ON o.run = w.run
    ),
    cells AS (
        SELECT run, slot, mapped_ns, done_ns, first_cell AS cell FROM spans
        UNION ALL
        SELECT run, slot, mapped_ns, done_ns, unnest(range(first_cell + 1, last_cell + 1))
        FROM spans WHERE last_cell > first_cell
    ),
    there AS (
        SELECT a.run, a.time_ns, count(DISTINCT c.slot) AS slots, count(*) AS mappings
        FROM cells AS c
        INNER JOIN asked AS a
            ON c.run = a.run AND c.cell = a.cell AND c.mapped_ns <= a.time_ns AND c.done_ns > a.time_ns
        GROUP BY a.run, a.time_ns
    )
    SELECT a.run, a.time_ns, coalesce(t.slots, 0) AS slots, coalesce(t.mappings, 0) AS mappings
    FROM asked AS a
    LEFT JOIN there AS t ON a.run = t.run AND a.time_ns = t.time_ns
    """,
    "FROM mapped_at('scans')",
)

# In the order in which they are made: a macro comes after those that it uses, and all after the views.
MACROS: dict[str, Macro] = {
    macro.name: macro for macro in (QUANTILES, TAIL, TIME_BUCKETS, LEVELS, LEVEL_OVER_TIME, MAPPED_AT)
}
