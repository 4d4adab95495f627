// The simulated machine with `global_pool` in C++, as a reference for the speed of the compiled engine.
//
//     reference PARAMETERS ROWS      files written by benchmarks/reference.py
//
// The program supports a closed loop, one mapping at a time per task and the design's default options. Log rows
// are kept in memory. It simulates the same events as pipeline/machine/engine: counters, simulated time, the time
// of each CPU and the hash of the log are equal, as benchmarks/reference.py checks. The engine's sources explain
// the rules; the comments here describe only differences.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <fstream>
#include <iostream>
#include <map>
#include <string>
#include <vector>

namespace {

using i64 = std::int64_t;
using u64 = std::uint64_t;

constexpr i64 NEVER = i64{1} << 62;
constexpr i64 NO_TIMER = INT64_MAX;
constexpr int TASK_BITS = 17;
constexpr int TASK_MASK = (1 << TASK_BITS) - 1;
constexpr int PAGE_BITS = 31;
constexpr int INTERRUPTS = 8;
constexpr int LOG_ROWS = 1 << 13;
constexpr int LOG_MARGIN = 128;
constexpr int MOST_AHEAD = 16;

enum Phase { IDLE, SWITCH, THINK, WORK, SPIN, RELEASE, FLUSH, USE, NEXT, MAPPED, RESUME, STEP, ACT, UNMAP, DONE,
             PICK, WAIT };
enum TaskState { DORMANT, TIMER, READY, RUNNING, ASLEEP, ENDED };
enum Resume { R_THINK, R_STEP, R_FINISH };
enum Action { A_STEP, A_LOCK, A_UNLOCK, A_SLEEP, A_DONE, A_FLUSH_ALL, A_WAKE_ALL };
enum MapStep { ASK, SEARCH, FLUSHED, GOT, ASK_AGAIN };
enum UnmapStep { U_ASK, U_DROP, U_WAKE, U_END };
enum Category { C_IDLE, C_COMPUTE, C_IN_USE, C_CRITICAL, C_SCAN, C_SPIN, C_FLUSH, C_INTERRUPTED, C_SWITCH,
                CATEGORIES };
enum Event { E_SCAN, E_FLUSH, E_IPI, E_LOCAL_FLUSH, E_SLEEP, E_WAKE, E_PIN_WAIT, E_SWITCH, E_RELOCK, E_FALLBACK,
             E_FINDING };
enum Finding { DEADLOCK, STALE_TRANSLATION, COUNT_UNDERFLOW, LOST_WAKEUP, STARVATION };
enum Served { HIT, MISS };
enum Site { MAP, UNMAP_SITE };
enum Draw { DRAW_HEIR = 1, DRAW_BARGING = 2, DRAW_DEVICE = 3 };

struct Costs {
    i64 shared_entry_ns, recent_entry_ns, probe_ns, scan_slot_ns, free_slot_ns, atomic_ns, line_transfer_ns,
        pte_write_ns, walk_ns, tlb_flush_ns, tlb_refill_ns, broadcast, broadcast_ns, ipi_send_ns, ipi_latency_ns, ipi_handler_ns,
        hold_per_spinner_ns, handoff_local_ns, handoff_remote_ns, handoff_per_spinner_ns, handoff_spread_percent,
        barging_percent, starvation_passes, interrupt_gap_ns, interrupt_ns, interrupt_max_ns, switch_ns, wake_ns,
        timeslice_ns, preempt_after_ns, unfair;
};

struct TraceRow {
    i64 time_ns, think_ns, wait_ns, hold_ns, block_ns, page, op;
    std::int32_t task;
    std::int32_t kind;
};

struct Operation {
    i64 op, page, asked_ns, locked_ns, mapped_ns, unmap_asked_ns, done_ns, map_wait_ns, map_hold_ns,
        unmap_wait_ns, unmap_hold_ns, asleep_ns, pin_wait_ns, flush_op;
    std::int32_t task, process, slot, probed, scanned, local_flushes, sleeps, holder;
    std::int16_t cpu_map, cpu_unmap;
    std::int8_t kind, served, depth;
};

struct Request : Operation {
    std::int8_t side, locked_once;
    std::int32_t step, budget, draws;
    i64 hold_left_ns, block_left_ns, waited_ns, walk_ns;
};

struct EventRow {
    i64 time_ns, duration_ns, op, value;
    std::int32_t task, slot, other;
    std::int16_t cpu;
    std::int8_t event;
};

struct Task {
    std::int8_t state = DORMANT, resume = R_THINK;
    bool in_operation = false;
    std::int32_t last_cpu = 0, next = -1, queue = -1;
    i64 chunk = -1, rows_left = 0, think_left_ns = 0, since_ns = 0, free_ns = -1;
    const TraceRow *at = nullptr, *end = nullptr;
};

struct Interrupt {
    i64 at_ns, end_ns, stolen_ns;
};

struct Cpu {
    std::int32_t phase = IDLE, category = C_IDLE, task = -1, action = 0, node = 0, spin_lock = -1,
                 held_lock = -1, longest_holder = 0, irq_first = 0, irqs = 0;
    i64 since_ns = 0, stolen_ns = 0, scan_ns = 0, switch_ns = 0, slice_begin_ns = 0, slice_end_ns = 0, irq_at_ns = 0, irq_end_ns = 0,
        irq_done_ns = 0, device_at_ns = 0, devices = 0, epoch = 1, asked_ns = 0, longest_ns = 0,
        longest_flush_op = 0, got_ns = 0, got_wait_ns = 0, flushed_op = -1, ticket = 0, due = 0;
    Interrupt interrupts[INTERRUPTS] = {};
    i64 spent[CATEGORIES] = {};
};

struct Slot {
    std::int32_t count = 0;
    i64 page = 0;
};

struct SiteTotals {
    i64 acquisitions = 0, contended = 0, hold_ns = 0, hold_max_ns = 0, wait_ns = 0, wait_max_ns = 0;
};

struct Chunk {
    std::vector<TraceRow> rows;
    std::vector<std::int32_t> start;
    i64 left = 0;
};

i64 wrap(u64 x) { return static_cast<i64>(x); }
i64 times(i64 a, i64 b) { return wrap(static_cast<u64>(a) * static_cast<u64>(b)); }

constexpr i64 LANE0 = 0x1E3779B97F4A7C15, LANE1 = 0x3F58476D1CE4E5B9, LANE2 = 0x14D049BB133111EB,
              LANE3 = 0x2545F4914F6CDD1D;

i64 draw(i64 seed, i64 purpose, i64 row, i64 turn) {
    u64 x = static_cast<u64>(seed) * LANE0 + static_cast<u64>(purpose) * LANE1 + static_cast<u64>(row) * LANE2 +
            static_cast<u64>(turn) * LANE3;
    x = (x ^ (x >> 30)) * static_cast<u64>(LANE1);
    x = (x ^ (x >> 27)) * static_cast<u64>(LANE2);
    return static_cast<i64>((x >> 40) & 0xFFFF);
}

double thread_seconds() {
    timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// A tournament tree: the smallest of several keys. A changed key is updated along one path.
class Tournament {
  public:
    Tournament(std::size_t keys, i64 none) {
        while (leaves_ < keys) leaves_ *= 2;
        smallest_.assign(2 * leaves_, none);
    }
    void set(std::size_t k, i64 key) {
        std::size_t at = leaves_ + k;
        smallest_[at] = key;
        for (at >>= 1; at > 0; at >>= 1) smallest_[at] = std::min(smallest_[2 * at], smallest_[2 * at + 1]);
    }
    i64 get(std::size_t k) const { return smallest_[leaves_ + k]; }
    i64 first() const { return smallest_[1]; }
    i64 first_but(std::size_t k) const {
        i64 least = INT64_MAX;
        for (std::size_t at = leaves_ + k; at > 1; at >>= 1) least = std::min(least, smallest_[at ^ 1]);
        return least;
    }

  private:
    std::size_t leaves_ = 1;
    std::vector<i64> smallest_;
};

class Machine {
  public:
    Machine(const std::map<std::string, i64> &given, std::vector<TraceRow> trace)
        : seed_(given.at("seed")), n_cpus_(static_cast<int>(given.at("cpus"))),
          n_slots_(static_cast<int>(given.at("slots"))), chunk_rows_(static_cast<std::size_t>(given.at("chunk_rows"))),
          longest_think_ns_(given.at("longest_think_ns")), trace_(std::move(trace)),
          tasks_(static_cast<std::size_t>(given.at("tasks"))), requests_(tasks_.size()),
          cpus_(static_cast<std::size_t>(n_cpus_)), slots_(static_cast<std::size_t>(n_slots_)),
          slot_of_page_(static_cast<std::size_t>(given.at("pages")), 0),
          tlb_(slots_.size() * cpus_.size(), 0), keys_(cpus_.size(), NEVER), timers_(tasks_.size(), NO_TIMER),
          operations_(LOG_ROWS + LOG_MARGIN), events_(LOG_ROWS + LOG_MARGIN + 2 * tasks_.size()) {
        set_costs(given);
        const i64 gap_ns = costs_.interrupt_gap_ns;
        for (int c = 0; c < n_cpus_; ++c) {
            Cpu &cpu = cpus_[c];
            cpu.node = static_cast<std::int32_t>(given.at("node" + std::to_string(c)));
            cpu.device_at_ns = cpu.irq_at_ns = gap_ns ? gap_ns * (c + 1) / n_cpus_ : NEVER;
        }
        for (std::size_t k = 0; k < tasks_.size(); ++k) tasks_[k].last_cpu = static_cast<int>(k % cpus_.size());
        for (const TraceRow &row : trace_) tasks_[row.task].rows_left += 1;
        for (Task &task : tasks_) {
            if (task.rows_left == 0) task.state = ENDED;
            else live_ += 1, unstarted_ += 1;
        }
        idle_ = n_cpus_;
    }

    void run();
    void print() const;

  private:
    // Trace
    void admit_chunk();
    const TraceRow *peek(int task);
    void take(int task, const TraceRow &row);

    // Phases
    void cpu_event(int c, i64 t);
    Phase stretch(int c, Phase phase, Category category, i64 end_ns);
    Phase critical(int c, Phase phase, i64 end_ns);
    Phase think(int c, int task, i64 t);
    Phase ask(int c, int task);
    Phase step(int c, Request &r, i64 t);
    Phase act(int c, int task, Request &r, i64 t);
    Phase give_back(int c, int task, Request &r, i64 t);
    Phase mapped(int c, Request &r, i64 t);
    Phase inside(int c, int task, Request &r, i64 t);
    Phase use(int c, Request &r, i64 t);
    Phase next(int c, int task, i64 t);
    void fall_asleep(int task, Request &r, i64 t);
    int wake(int c, int task, const Request &r, i64 t);

    // The design
    Action map_step(Request &r);
    Action search(Request &r);
    Action unmap_step(Request &r);

    // Scheduler
    void set_timer(int task, i64 t, Resume resume);
    void dispatch(int c, int task, i64 t);
    void make_ready(int task, i64 t);
    void preempt(int c, i64 t);
    void pick(int c, i64 t);

    // Locks
    bool try_lock(int c, Request &r, i64 t);
    bool heir_takes(int c, Request &r, i64 t);
    void got(int c, Request &r, i64 t);
    void release(int c, Request &r, i64 t);
    void hand_off(int c, i64 t);

    // TLBs and interrupts
    void touch_mapping(int c, Request &r, i64 t);
    i64 begin_flush(int c, const Request &r, i64 t);
    void interrupt(int c, i64 at_ns, i64 stolen_ns);
    i64 take_interrupt(int c, i64 limit_ns);
    i64 take_interrupts(int c, i64 t);
    bool delay_by_interrupt(int c, i64 t);

    // Accounting
    void account(int c, i64 t);
    void mix(i64 a, i64 b, i64 c, i64 d);
    void log_event(int c, Event event, i64 time_ns, i64 duration_ns, int task, i64 op, int slot, i64 value,
                   i64 other);
    void log_finding(int c, Finding finding, i64 t, int task, i64 op, int slot);
    void log_operation(const Request &r);
    void set_costs(const std::map<std::string, i64> &given);
    i64 op_of(int task) const { return tasks_[task].in_operation ? requests_[task].op : -1; }
    SiteTotals &site(const Request &r) { return sites_[static_cast<int>(r.side)]; }

    i64 seed_;
    int n_cpus_, n_slots_;
    std::size_t chunk_rows_;
    i64 longest_think_ns_;
    std::vector<TraceRow> trace_;
    Costs costs_ = {};

    std::vector<Task> tasks_;
    std::vector<Request> requests_;
    std::vector<Cpu> cpus_;
    std::vector<Slot> slots_;
    std::vector<std::int32_t> slot_of_page_;
    std::vector<i64> tlb_;
    Tournament keys_, timers_;

    std::vector<Chunk *> chunks_;
    std::vector<Chunk *> free_chunks_;
    std::deque<Chunk> chunk_store_;
    std::size_t rows_admitted_ = 0;

    struct { std::int32_t holder = -1, spinners = 0, heir = -1, owner = -1; i64 ticket = 0, turns = 0; } lock_;
    struct { std::int32_t sleepers = 0, head = -1, tail = -1; } queue_;
    SiteTotals sites_[2];

    int cursor_ = 0;
    // Counts of the design's last step.
    struct { i64 critical_ns, scans, scanned, freed, probes; } done_ = {};

    i64 now_ns_ = 0, horizon_ns_ = 0;
    bool complete_ = false;
    int ahead_ = 0;
    int idle_ = 0, ready_head_ = -1, ready_tail_ = -1, live_ = 0, unstarted_ = 0;
    std::vector<Operation> operations_;
    std::vector<EventRow> events_;
    std::size_t operations_logged_ = 0, events_logged_ = 0;
    i64 hash_[4] = {};
    i64 operations_done_ = 0, hits_ = 0, misses_ = 0, probed_ = 0, scans_ = 0, scanned_ = 0, freed_ = 0,
        flushes_ = 0, ipis_ = 0, sleeps_ = 0, asleep_ns_ = 0, wakes_ = 0, woken_ = 0, switches_ = 0,
        migrations_ = 0, walks_ = 0, mapped_ = 0, max_mapped_ = 0, map_ns_ = 0, findings_ = 0;
    double seconds_ = 0;
};

void Machine::set_costs(const std::map<std::string, i64> &given) {
    const std::pair<const char *, i64 Costs::*> names[] = {
        {"shared_entry_ns", &Costs::shared_entry_ns}, {"recent_entry_ns", &Costs::recent_entry_ns},
        {"probe_ns", &Costs::probe_ns}, {"scan_slot_ns", &Costs::scan_slot_ns},
        {"free_slot_ns", &Costs::free_slot_ns}, {"atomic_ns", &Costs::atomic_ns},
        {"line_transfer_ns", &Costs::line_transfer_ns}, {"pte_write_ns", &Costs::pte_write_ns},
        {"walk_ns", &Costs::walk_ns}, {"tlb_flush_ns", &Costs::tlb_flush_ns},
        {"tlb_refill_ns", &Costs::tlb_refill_ns}, {"broadcast", &Costs::broadcast},
        {"broadcast_ns", &Costs::broadcast_ns}, {"ipi_send_ns", &Costs::ipi_send_ns},
        {"ipi_latency_ns", &Costs::ipi_latency_ns}, {"ipi_handler_ns", &Costs::ipi_handler_ns},
        {"hold_per_spinner_ns", &Costs::hold_per_spinner_ns}, {"handoff_local_ns", &Costs::handoff_local_ns},
        {"handoff_remote_ns", &Costs::handoff_remote_ns},
        {"handoff_per_spinner_ns", &Costs::handoff_per_spinner_ns},
        {"handoff_spread_percent", &Costs::handoff_spread_percent}, {"barging_percent", &Costs::barging_percent},
        {"starvation_passes", &Costs::starvation_passes}, {"interrupt_gap_ns", &Costs::interrupt_gap_ns},
        {"interrupt_ns", &Costs::interrupt_ns}, {"interrupt_max_ns", &Costs::interrupt_max_ns},
        {"switch_ns", &Costs::switch_ns}, {"wake_ns", &Costs::wake_ns}, {"timeslice_ns", &Costs::timeslice_ns},
        {"preempt_after_ns", &Costs::preempt_after_ns},
        {"arbitration", &Costs::unfair},
    };
    for (auto [name, member] : names) costs_.*member = given.at(name);
}

// ---- Trace ----------------------------------------------------------------------------------------------

void Machine::admit_chunk() {
    const double before = thread_seconds();
    for (std::size_t k = 0; k < chunks_.size(); ++k) {
        if (chunks_[k] != nullptr && chunks_[k]->left == 0) {
            free_chunks_.push_back(chunks_[k]);
            chunks_[k] = nullptr;
        }
    }
    if (free_chunks_.empty()) {
        chunk_store_.push_back({std::vector<TraceRow>(chunk_rows_), std::vector<std::int32_t>(tasks_.size() + 1), 0});
        free_chunks_.push_back(&chunk_store_.back());
    }
    Chunk &chunk = *free_chunks_.back();
    free_chunks_.pop_back();
    const std::size_t n = std::min(chunk_rows_, trace_.size() - rows_admitted_);
    const TraceRow *rows = &trace_[rows_admitted_];
    std::fill(chunk.start.begin(), chunk.start.end(), 0);
    for (std::size_t k = 0; k < n; ++k) chunk.start[rows[k].task + 1] += 1;
    for (std::size_t q = 0; q < tasks_.size(); ++q) chunk.start[q + 1] += chunk.start[q];
    for (std::size_t k = 0; k < n; ++k) chunk.rows[chunk.start[rows[k].task]++] = rows[k];
    for (std::size_t q = tasks_.size(); q > 0; --q) chunk.start[q] = chunk.start[q - 1];
    chunk.start[0] = 0;
    chunk.left = static_cast<i64>(n);
    chunks_.push_back(&chunk);
    rows_admitted_ += n;
    complete_ = rows_admitted_ == trace_.size();
    horizon_ns_ = rows[n - 1].time_ns - longest_think_ns_;
    for (std::size_t q = 0; q < tasks_.size(); ++q) {
        Task &task = tasks_[q];
        if (task.state != DORMANT || chunk.start[q] == chunk.start[q + 1]) continue;
        const TraceRow &row = *peek(static_cast<int>(q));
        unstarted_ -= 1;
        task.think_left_ns = row.think_ns;
        const i64 ready = std::max(row.time_ns - row.think_ns, i64{0});
        take(static_cast<int>(q), row);
        set_timer(static_cast<int>(q), ready, R_THINK);
    }
    seconds_ -= thread_seconds() - before;
}

// Return the next row of the task, reading more rows if necessary; null if there is none.
const TraceRow *Machine::peek(int q) {
    Task &task = tasks_[q];
    if (task.rows_left == 0) return nullptr;
    while (task.at == task.end) {
        const std::size_t number = static_cast<std::size_t>(task.chunk + 1);
        while (number >= chunks_.size()) admit_chunk();
        task.chunk += 1;
        if (const Chunk *chunk = chunks_[number]) {
            task.at = chunk->rows.data() + chunk->start[q];
            task.end = chunk->rows.data() + chunk->start[q + 1];
        }
    }
    return task.at;
}

void Machine::take(int q, const TraceRow &row) {
    Task &task = tasks_[q];
    task.at += 1;
    task.rows_left -= 1;
    chunks_[static_cast<std::size_t>(task.chunk)]->left -= 1;
    task.in_operation = true;
    Request &r = requests_[q];
    r.op = row.op;
    r.page = row.page;
    r.kind = static_cast<std::int8_t>(row.kind);
    r.depth = 0;
    r.task = q;
    r.slot = -1;
    r.draws = 0;
    r.pin_wait_ns = 0;
    r.side = MAP;
    r.hold_left_ns = row.hold_ns;
    r.block_left_ns = row.block_ns;
}

// ---- Accounting -----------------------------------------------------------------------------------------

inline void Machine::account(int c, i64 t) {
    Cpu &cpu = cpus_[c];
    i64 spent = t - cpu.since_ns - cpu.stolen_ns;
    if (cpu.scan_ns + cpu.switch_ns > 0) {
        cpu.spent[C_SCAN] += cpu.scan_ns;
        cpu.spent[C_SWITCH] += cpu.switch_ns;
        spent -= cpu.scan_ns + cpu.switch_ns;
        cpu.scan_ns = cpu.switch_ns = 0;
    }
    cpu.spent[cpu.category] += spent;
    cpu.since_ns = t;
    cpu.stolen_ns = 0;
}

inline void Machine::mix(i64 a, i64 b, i64 c, i64 d) {
    const i64 h0 = times(hash_[0] ^ a, LANE0), h1 = times(hash_[1] ^ b, LANE1), h2 = times(hash_[2] ^ c, LANE2),
              h3 = times(hash_[3] ^ d, LANE3);
    hash_[0] = h0 ^ (h1 >> 29);
    hash_[1] = h1 ^ (h2 >> 31);
    hash_[2] = h2 ^ (h3 >> 27);
    hash_[3] = h3 ^ (h0 >> 33);
}

inline void Machine::log_event(int c, Event event, i64 time_ns, i64 duration_ns, int task, i64 op, int slot,
                               i64 value, i64 other) {
    mix(time_ns, duration_ns, wrap(static_cast<u64>(value) << 8) ^ event ^ (i64{c} << 40),
        wrap(static_cast<u64>(op) << 20) ^ task ^ wrap(static_cast<u64>(other) << 44));
    EventRow &row = events_[events_logged_++];
    row = {time_ns, duration_ns, op, value, task, slot, static_cast<std::int32_t>(other),
           static_cast<std::int16_t>(c), static_cast<std::int8_t>(event)};
}

void Machine::log_finding(int c, Finding finding, i64 t, int task, i64 op, int slot) {
    findings_ += 1;
    log_event(c, E_FINDING, t, 0, task, op, slot, finding, task);
}

inline void Machine::log_operation(const Request &r) {
    auto up = [](i64 x, int by) { return wrap(static_cast<u64>(x) << by); };
    mix(r.asked_ns, r.locked_ns, r.mapped_ns, r.unmap_asked_ns);
    mix(r.done_ns, r.map_wait_ns, r.map_hold_ns, r.unmap_wait_ns ^ up(r.unmap_hold_ns, 20));
    mix(up(r.op, 8) ^ r.served, r.asleep_ns ^ up(r.pin_wait_ns, 20), r.slot ^ up(r.probed, 20) ^ up(r.flush_op, 40),
        r.cpu_map ^ up(r.cpu_unmap, 8) ^ up(r.holder, 32) ^ up(r.scanned, 16));
    operations_done_ += 1;
    operations_[operations_logged_++] = r;
}

// ---- Interrupts and TLBs --------------------------------------------------------------------------------

void Machine::interrupt(int c, i64 at_ns, i64 stolen_ns) {
    Cpu &cpu = cpus_[c];
    cpu.irq_end_ns = at_ns + stolen_ns;
    if (cpu.irqs == INTERRUPTS) {
        Interrupt &last = cpu.interrupts[(cpu.irq_first + INTERRUPTS - 1) % INTERRUPTS];
        last.end_ns = cpu.irq_end_ns;
        last.stolen_ns += stolen_ns;
        return;
    }
    cpu.interrupts[(cpu.irq_first + cpu.irqs) % INTERRUPTS] = {at_ns, cpu.irq_end_ns, stolen_ns};
    cpu.irq_at_ns = std::min(cpu.irq_at_ns, at_ns);
    cpu.irqs += 1;
}

i64 Machine::take_interrupt(int c, i64 limit_ns) {
    Cpu &cpu = cpus_[c];
    const i64 begin = std::max(cpu.irq_at_ns, cpu.irq_done_ns);
    i64 stolen, end;
    if (cpu.irqs == 0 || cpu.device_at_ns < cpu.interrupts[cpu.irq_first].at_ns) {
        const i64 turn = 2 * cpu.devices++;
        cpu.device_at_ns += 1 + ((2 * costs_.interrupt_gap_ns * draw(seed_, DRAW_DEVICE, c, turn)) >> 16);
        const i64 luck = draw(seed_, DRAW_DEVICE, c, turn + 1);
        stolen = std::min((costs_.interrupt_ns << 16) / (luck + 1), costs_.interrupt_max_ns);
        end = begin + stolen;
    } else {
        const Interrupt &pending = cpu.interrupts[cpu.irq_first];
        stolen = pending.stolen_ns;
        end = std::max(pending.end_ns, begin + stolen);
        cpu.irq_first = (cpu.irq_first + 1) % INTERRUPTS;
        cpu.irqs -= 1;
    }
    cpu.irq_done_ns = end;
    cpu.irq_at_ns = cpu.device_at_ns;
    if (cpu.irqs > 0) cpu.irq_at_ns = std::min(cpu.irq_at_ns, cpu.interrupts[cpu.irq_first].at_ns);
    stolen = std::max(stolen - std::max(end - limit_ns, i64{0}), i64{0});
    cpu.spent[C_INTERRUPTED] += stolen;
    cpu.stolen_ns += stolen;
    return end;
}

i64 Machine::take_interrupts(int c, i64 t) {
    i64 end = t;
    while (cpus_[c].irq_at_ns <= t) end = std::max(end, take_interrupt(c, NEVER));
    return end;
}

inline bool Machine::delay_by_interrupt(int c, i64 t) {
    Cpu &cpu = cpus_[c];
    if (cpu.irq_at_ns > t) return false;
    if (cpu.phase == SPIN || cpu.phase == FLUSH || cpu.phase == IDLE) {
        const i64 end = take_interrupts(c, t);
        keys_.set(c, (end << 6) | c);
        return end > t;
    }
    const i64 before = cpu.stolen_ns;
    take_interrupt(c, NEVER);
    keys_.set(c, keys_.get(c) + ((cpu.stolen_ns - before) << 6));
    return true;
}

inline void Machine::touch_mapping(int c, Request &r, i64 t) {
    if (r.slot < 0) return;
    i64 &loaded = tlb_[static_cast<std::size_t>(r.slot) * n_cpus_ + c];
    const i64 fresh = (cpus_[c].epoch << PAGE_BITS) | r.page;
    if (loaded == fresh) return;
    if (loaded >> PAGE_BITS == cpus_[c].epoch) log_finding(c, STALE_TRANSLATION, t, r.task, r.op, r.slot);
    loaded = fresh;
    walks_ += 1;
    r.walk_ns += costs_.walk_ns;
}

i64 Machine::begin_flush(int c, const Request &r, i64 t) {
    i64 sent = t, last = t, receivers = 0;
    if (costs_.broadcast) {
        last = t + costs_.broadcast_ns;
    } else {
        const i64 stolen = costs_.ipi_handler_ns + costs_.tlb_refill_ns;
        for (int other = 0; other < n_cpus_; ++other) {
            if (other == c) continue;
            Cpu &cpu = cpus_[other];
            sent += costs_.ipi_send_ns;
            const i64 begun = std::max(sent + costs_.ipi_latency_ns, cpu.irq_end_ns);
            interrupt(other, begun, stolen);
            last = std::max(last, begun + costs_.ipi_handler_ns);
            receivers += 1;
            log_event(other, E_IPI, begun, stolen, cpu.phase == IDLE ? -1 : cpu.task, r.op, -1, -1, c);
        }
    }
    const i64 end = std::max(last, sent + costs_.tlb_flush_ns) + costs_.tlb_refill_ns;
    ipis_ += receivers;
    flushes_ += 1;
    cpus_[c].flushed_op = r.op;
    log_event(c, E_FLUSH, t, end - t, r.task, r.op, -1, receivers, -1);
    return end;
}

// ---- Locks ----------------------------------------------------------------------------------------------

inline bool Machine::try_lock(int c, Request &r, i64 t) {
    Cpu &cpu = cpus_[c];
    bool barges = false;
    if (lock_.holder < 0 && lock_.heir >= 0 && costs_.unfair && costs_.barging_percent > 0) {
        barges = costs_.barging_percent == 100;
        if (!barges) {
            r.draws += 1;
            barges = draw(seed_, DRAW_BARGING, r.op, r.draws) * 100 < costs_.barging_percent << 16;
        }
    }
    if (lock_.holder < 0 && (lock_.heir < 0 || barges)) {
        cpu.asked_ns = t;
        cpu.longest_ns = 0;
        got(c, r, t);
        return true;
    }
    cpu.due = lock_.turns + lock_.spinners;
    lock_.spinners += 1;
    cpu.spin_lock = 0;
    cpu.asked_ns = t;
    cpu.ticket = lock_.ticket++;
    cpu.longest_ns = 0;
    cpu.longest_holder = cpus_[lock_.holder >= 0 ? lock_.holder : lock_.heir].task;
    cpu.longest_flush_op = -1;
    cpu.phase = SPIN;
    cpu.category = C_SPIN;
    keys_.set(c, NEVER);
    return false;
}

inline bool Machine::heir_takes(int c, Request &r, i64 t) {
    Cpu &cpu = cpus_[c];
    if (lock_.holder >= 0) {
        keys_.set(c, NEVER);
        return false;
    }
    if (costs_.starvation_passes > 0 && lock_.turns - cpu.due > costs_.starvation_passes)
        log_finding(c, STARVATION, t, cpu.task, r.op, -1);
    lock_.spinners -= 1;
    lock_.heir = -1;
    cpu.spin_lock = -1;
    got(c, r, t);
    return true;
}

inline void Machine::got(int c, Request &r, i64 t) {
    Cpu &cpu = cpus_[c];
    lock_.holder = c;
    lock_.owner = c;
    lock_.turns += 1;
    const i64 wait = t - cpu.asked_ns;
    cpu.held_lock = 0;
    cpu.got_ns = t;
    cpu.got_wait_ns = wait;
    cpu.flushed_op = -1;
    SiteTotals &s = site(r);
    s.acquisitions += 1;
    if (wait > 0) {
        s.contended += 1;
        s.wait_ns += wait;
        s.wait_max_ns = std::max(s.wait_max_ns, wait);
    }
    if (!r.locked_once) {
        if (r.side == MAP) {
            r.locked_ns = t;
            r.map_wait_ns = wait;
        } else {
            r.unmap_wait_ns = wait;
        }
    }
    if (wait > 0 && (cpu.longest_ns > r.waited_ns || r.holder < 0)) {
        r.waited_ns = cpu.longest_ns;
        r.holder = cpu.longest_holder;
        r.flush_op = cpu.longest_flush_op;
    }
}

inline void Machine::release(int c, Request &r, i64 t) {
    Cpu &cpu = cpus_[c];
    const i64 hold = t - cpu.got_ns;
    SiteTotals &s = site(r);
    s.hold_ns += hold;
    s.hold_max_ns = std::max(s.hold_max_ns, hold);
    if (!r.locked_once) {
        r.locked_once = 1;
        (r.side == MAP ? r.map_hold_ns : r.unmap_hold_ns) = hold;
    } else {
        log_event(c, E_RELOCK, cpu.got_ns, hold, cpu.task, r.op, r.side, cpu.got_wait_ns,
                  cpu.got_wait_ns > 0 ? cpu.longest_holder : -1);
    }
    cpu.held_lock = -1;
    lock_.holder = -1;
    if (lock_.spinners > 0) hand_off(c, t);
}

void Machine::hand_off(int c, i64 t) {
    const Cpu &releaser = cpus_[c];
    const i64 crowd_ns = costs_.handoff_per_spinner_ns * (lock_.spinners - 1);
    i64 best = NEVER, latency = 0;
    int heir = -1;
    for (int s = 0; s < n_cpus_; ++s) {
        Cpu &cpu = cpus_[s];
        if (cpu.spin_lock < 0) continue;
        // Only the former heir has a key.
        if (lock_.heir == s) keys_.set(s, NEVER);
        const i64 waited = t - std::max(releaser.got_ns, cpu.asked_ns);
        if (waited > cpu.longest_ns) {
            cpu.longest_ns = waited;
            cpu.longest_holder = releaser.task;
            cpu.longest_flush_op = releaser.flushed_op;
        }
        i64 reach_ns = (cpu.node == releaser.node ? costs_.handoff_local_ns : costs_.handoff_remote_ns) + crowd_ns;
        i64 rank = cpu.ticket;
        if (costs_.unfair) {
            Request &r = requests_[cpu.task];
            const i64 luck = draw(seed_, DRAW_HEIR, r.op, r.draws);
            r.draws += 1;
            const i64 spread = reach_ns * costs_.handoff_spread_percent / 100;
            reach_ns += ((2 * spread * luck) >> 16) - spread;
            rank = reach_ns;
        }
        if (rank < best) {
            best = rank;
            heir = s;
            latency = reach_ns;
        }
    }
    lock_.heir = heir;
    keys_.set(heir, ((t + latency) << 6) | heir);
}

// ---- Scheduler ------------------------------------------------------------------------------------------

void Machine::set_timer(int q, i64 t, Resume resume) {
    tasks_[q].state = TIMER;
    tasks_[q].resume = resume;
    timers_.set(q, (t << TASK_BITS) | q);
}

void Machine::dispatch(int c, int q, i64 t) {
    Cpu &cpu = cpus_[c];
    Task &task = tasks_[q];
    i64 start = t;
    if (cpu.phase == IDLE) {
        idle_ -= 1;
        start = take_interrupts(c, t);
        account(c, start);
    }
    if (task.last_cpu != c) {
        migrations_ += 1;
        task.last_cpu = c;
    }
    task.state = RUNNING;
    switches_ += 1;
    __builtin_prefetch(&requests_[q]);
    log_event(c, E_SWITCH, start, costs_.switch_ns, q, op_of(q), -1, -1, cpu.task);
    cpu.task = q;
    i64 end_ns = start + costs_.switch_ns;
    cpu.slice_begin_ns = end_ns;
    cpu.slice_end_ns = end_ns + costs_.timeslice_ns;
    if (task.resume == R_THINK) {
        const i64 now_ns = std::min(task.think_left_ns, costs_.timeslice_ns);
        task.think_left_ns -= now_ns;
        end_ns += now_ns;
        cpu.phase = THINK;
        cpu.category = C_COMPUTE;
        cpu.switch_ns = costs_.switch_ns;
    } else {
        cpu.phase = SWITCH;
        cpu.category = C_SWITCH;
    }
    keys_.set(c, (end_ns << 6) | c);
}

void Machine::preempt(int c, i64 t) {
    Cpu &cpu = cpus_[c];
    if (costs_.preempt_after_ns == 0 || cpu.phase != THINK) return;
    const i64 end_ns = std::max(t, cpu.slice_begin_ns + costs_.preempt_after_ns);
    if (end_ns >= cpu.slice_end_ns) return;
    cpu.slice_end_ns = end_ns;
    const i64 until_ns = keys_.get(c) >> 6;
    if (end_ns < until_ns) {
        tasks_[cpu.task].think_left_ns += until_ns - end_ns;
        keys_.set(c, (end_ns << 6) | c);
    }
}

void Machine::make_ready(int q, i64 t) {
    Task &task = tasks_[q];
    task.state = READY;
    task.since_ns = t;
    if (cpus_[task.last_cpu].phase == IDLE) return dispatch(task.last_cpu, q, t);
    task.next = -1;
    if (idle_ > 0) {
        int c = 0;
        while (cpus_[c].phase != IDLE) c += 1;
        return dispatch(c, q, t);
    }
    preempt(task.last_cpu, t);
    (ready_tail_ >= 0 ? tasks_[ready_tail_].next : ready_head_) = q;
    ready_tail_ = q;
}

inline void Machine::pick(int c, i64 t) {
    if (const int q = ready_head_; q >= 0) {
        ready_head_ = tasks_[q].next;
        if (ready_head_ < 0) ready_tail_ = -1;
        return dispatch(c, q, t);
    }
    Cpu &cpu = cpus_[c];
    idle_ += 1;
    cpu.phase = IDLE;
    cpu.task = -1;
    cpu.category = C_IDLE;
    keys_.set(c, NEVER);
}

// ---- The design: global_pool ----------------------------------------------------------------------------

inline Action Machine::map_step(Request &r) {
    if (r.step == ASK || r.step == ASK_AGAIN) {
        r.step = SEARCH;
        return A_LOCK;
    }
    if (r.step == GOT) return A_DONE;
    if (r.step == SEARCH) {
        r.budget = n_slots_;
        done_.critical_ns += costs_.shared_entry_ns;
        const int cached = slot_of_page_[r.page] - 1;
        if (cached >= 0) {
            done_.critical_ns += costs_.shared_entry_ns;
            slots_[cached].count += 1;
            r.slot = cached;
            r.served = HIT;
            r.step = GOT;
            return A_UNLOCK;
        }
    }
    return search(r);
}

inline Action Machine::search(Request &r) {
    bool advance = r.step == SEARCH;
    for (;; advance = true) {
        if (advance) {
            done_.critical_ns += costs_.probe_ns;
            done_.probes += 1;
            if (++cursor_ == n_slots_) {
                cursor_ = 0;
                r.budget = n_slots_;
                for (Slot &slot : slots_) {
                    if (slot.count == 1) {
                        slot.count = 0;
                        slot_of_page_[slot.page] = 0;
                        done_.freed += 1;
                    }
                }
                done_.scans += 1;
                done_.scanned += n_slots_;
                r.step = FLUSHED;
                return A_FLUSH_ALL;
            }
        }
        Slot &slot = slots_[cursor_];
        if (slot.count == 0) {
            done_.critical_ns += costs_.shared_entry_ns + costs_.pte_write_ns;
            slot.count = 2;
            slot.page = r.page;
            slot_of_page_[r.page] = cursor_ + 1;
            r.slot = cursor_;
            r.served = MISS;
            r.step = GOT;
            return A_UNLOCK;
        }
        if (--r.budget == 0) {
            r.step = ASK_AGAIN;
            return A_SLEEP;
        }
    }
}

inline Action Machine::unmap_step(Request &r) {
    switch (r.step) {
    case U_ASK:
        r.step = U_DROP;
        return A_LOCK;
    case U_DROP: {
        done_.critical_ns += costs_.recent_entry_ns;
        Slot &slot = slots_[r.slot];
        slot.count -= 1;
        r.step = slot.count == 1 && queue_.sleepers > 0 ? U_WAKE : U_END;
        return A_UNLOCK;
    }
    case U_WAKE:
        r.step = U_END;
        return A_WAKE_ALL;
    default:
        return A_DONE;
    }
}

// ---- Phases ---------------------------------------------------------------------------------------------

inline Phase Machine::stretch(int c, Phase phase, Category category, i64 end_ns) {
    cpus_[c].phase = phase;
    cpus_[c].category = category;
    keys_.set(c, (end_ns << 6) | c);
    return WAIT;
}

// Kernel work until `end_ns`, completed in one step if nothing else happens before.
inline Phase Machine::critical(int c, Phase phase, i64 end_ns) {
    Cpu &cpu = cpus_[c];
    const i64 rows_ns = unstarted_ > 0 && !complete_ ? horizon_ns_ : NEVER;
    const i64 others_ns = std::min({rows_ns, cpu.irq_at_ns, timers_.first() >> TASK_BITS});
    if (ahead_ == 0 || end_ns >= others_ns || ((end_ns << 6) | c) > keys_.first_but(c))
        return stretch(c, phase, C_CRITICAL, end_ns);
    ahead_ -= 1;
    now_ns_ = end_ns;
    cpu.category = C_CRITICAL;
    account(c, end_ns);
    return phase == WORK ? ACT : phase;
}

inline Phase Machine::think(int c, int q, i64 t) {
    Cpu &cpu = cpus_[c];
    Task &task = tasks_[q];
    if (t >= cpu.slice_end_ns) {
        if (ready_head_ >= 0) {
            cpu.phase = PICK;
            task.resume = R_THINK;
            make_ready(q, t);
            return PICK;
        }
        cpu.slice_begin_ns = t;
        cpu.slice_end_ns = t + costs_.timeslice_ns;
    }
    const i64 now_ns = std::min(task.think_left_ns, cpu.slice_end_ns - t);
    task.think_left_ns -= now_ns;
    return stretch(c, THINK, C_COMPUTE, t + now_ns);
}

inline Phase Machine::ask(int c, int q) {
    Request &r = requests_[q];
    r.asked_ns = now_ns_;
    r.cpu_map = r.cpu_unmap = static_cast<std::int16_t>(c);
    r.locked_ns = r.flush_op = r.waited_ns = -1;
    r.map_wait_ns = r.map_hold_ns = r.unmap_wait_ns = r.unmap_hold_ns = r.asleep_ns = r.walk_ns = 0;
    r.probed = r.scanned = r.local_flushes = r.sleeps = 0;
    r.holder = -1;
    r.step = ASK;
    r.locked_once = 0;
    return STEP;
}

inline Phase Machine::step(int c, Request &r, i64 t) {
    Cpu &cpu = cpus_[c];
    done_ = {};
    cpu.action = r.side == MAP ? map_step(r) : unmap_step(r);
    i64 work_ns = done_.critical_ns;
    // Taking a lock is an atomic operation on a cache line owned by the CPU that last had the lock.
    if (cpu.action == A_LOCK && n_cpus_ > 1)
        work_ns += costs_.atomic_ns + (lock_.owner == c ? 0 : costs_.line_transfer_ns);
    if (done_.probes > 0) {
        r.probed += static_cast<std::int32_t>(done_.probes);
        probed_ += done_.probes;
    }
    if (done_.scans > 0) {
        cpu.scan_ns = done_.scanned * costs_.scan_slot_ns + done_.freed * costs_.free_slot_ns;
        work_ns += cpu.scan_ns;
        r.scanned += static_cast<std::int32_t>(done_.scanned);
        scans_ += done_.scans;
        scanned_ += done_.scanned;
        freed_ += done_.freed;
        log_event(c, E_SCAN, t, cpu.scan_ns, r.task, r.op, -1, done_.scanned, done_.freed);
    }
    if (work_ns == 0) return ACT;
    __builtin_prefetch(&tlb_[static_cast<std::size_t>(std::max(r.slot, 0)) * n_cpus_ + c]);
    return critical(c, WORK, t + work_ns);
}

void Machine::fall_asleep(int q, Request &r, i64 t) {
    Task &task = tasks_[q];
    task.next = -1;
    task.queue = 0;
    (queue_.sleepers > 0 ? tasks_[queue_.tail].next : queue_.head) = q;
    queue_.tail = q;
    queue_.sleepers += 1;
    r.sleeps += 1;
    sleeps_ += 1;
    task.since_ns = t;
}

int Machine::wake(int c, int waker, const Request &r, i64 t) {
    int woken = 0;
    while (queue_.sleepers > 0) {
        const int q = queue_.head;
        Task &task = tasks_[q];
        queue_.head = task.next;
        queue_.sleepers -= 1;
        woken += 1;
        task.queue = -1;
        const i64 slept_ns = t - task.since_ns;
        requests_[q].asleep_ns += slept_ns;
        asleep_ns_ += slept_ns;
        log_event(task.last_cpu, E_SLEEP, task.since_ns, slept_ns, q, requests_[q].op, -1, 0, waker);
        if (task.state == ASLEEP) {
            task.resume = R_STEP;
            make_ready(q, t);
        }
    }
    if (woken > 0) {
        wakes_ += 1;
        woken_ += woken;
        log_event(c, E_WAKE, t, woken * costs_.wake_ns, waker, r.op, -1, woken, 0);
    }
    return woken;
}

inline Phase Machine::act(int c, int q, Request &r, i64 t) {
    Cpu &cpu = cpus_[c];
    switch (cpu.action) {
    case A_LOCK:
        return try_lock(c, r, t) ? STEP : WAIT;
    case A_SLEEP:
        fall_asleep(q, r, t);
        [[fallthrough]];
    case A_UNLOCK:
        if (const i64 delay_ns = costs_.hold_per_spinner_ns * lock_.spinners; delay_ns > 0)
            return critical(c, RELEASE, t + delay_ns);
        return give_back(c, q, r, t);
    case A_DONE:
        return r.side == MAP ? mapped(c, r, t) : DONE;
    case A_FLUSH_ALL:
        return stretch(c, FLUSH, C_FLUSH, begin_flush(c, r, t));
    case A_WAKE_ALL: {
        const int woken = wake(c, q, r, t);
        cpu.action = A_STEP;
        return woken > 0 ? stretch(c, WORK, C_SWITCH, t + woken * costs_.wake_ns) : STEP;
    }
    default:
        return STEP;
    }
}

inline Phase Machine::give_back(int c, int q, Request &r, i64 t) {
    release(c, r, t);
    if (cpus_[c].action == A_SLEEP && tasks_[q].queue >= 0) {
        tasks_[q].state = ASLEEP;
        return PICK;
    }
    return STEP;
}

inline Phase Machine::mapped(int c, Request &r, i64 t) {
    r.mapped_ns = t;
    r.cpu_map = static_cast<std::int16_t>(c);
    (r.served == HIT ? hits_ : misses_) += 1;
    mapped_ += 1;
    max_mapped_ = std::max(max_mapped_, mapped_);
    map_ns_ += t - r.asked_ns;
    touch_mapping(c, r, t);
    __builtin_prefetch(tasks_[r.task].at);
    return MAPPED;
}

inline Phase Machine::inside(int c, int q, Request &r, i64 t) {
    if (r.block_left_ns > 0) {
        const i64 until = t + r.block_left_ns;
        r.block_left_ns = 0;
        set_timer(q, until, R_FINISH);
        return PICK;
    }
    return use(c, r, t);
}

inline Phase Machine::use(int c, Request &r, i64 t) {
    const i64 use_ns = r.hold_left_ns + r.walk_ns;
    r.hold_left_ns = r.walk_ns = 0;
    return use_ns > 0 ? stretch(c, USE, C_IN_USE, t + use_ns) : UNMAP;
}

inline Phase Machine::next(int c, int q, i64 t) {
    Task &task = tasks_[q];
    task.free_ns = t;
    const TraceRow *row = peek(q);
    if (row == nullptr) {
        task.state = ENDED;
        live_ -= 1;
        return PICK;
    }
    task.think_left_ns = row->think_ns;
    const i64 ready = t + row->wait_ns;
    take(q, *row);
    if (ready > t) {
        set_timer(q, ready, R_THINK);
        return PICK;
    }
    return think(c, q, t);
}

void Machine::cpu_event(int c, i64 t) {
    if (delay_by_interrupt(c, t)) return;
    account(c, t);
    Cpu &cpu = cpus_[c];
    const int q = cpu.task;
    Request &r = requests_[q];
    Phase phase = WAIT;
    switch (cpu.phase) {
    case WORK: phase = ACT; break;
    case SWITCH: phase = RESUME; break;
    case THINK: phase = tasks_[q].think_left_ns > 0 ? think(c, q, t) : ask(c, q); break;
    case USE: phase = UNMAP; break;
    case SPIN: phase = heir_takes(c, r, t) ? STEP : WAIT; break;
    case RELEASE: phase = RELEASE; break;
    case FLUSH:
        for (Cpu &every : cpus_) every.epoch += 1;
        phase = STEP;
        break;
    default: break;
    }
    ahead_ = MOST_AHEAD;
    while (phase != WAIT) {
        t = now_ns_;
        switch (phase) {
        case RELEASE: phase = give_back(c, q, r, t); break;
        case STEP: phase = step(c, r, t); break;
        case ACT: phase = act(c, q, r, t); break;
        case MAPPED: phase = inside(c, q, r, t); break;
        case UNMAP:
            r.unmap_asked_ns = t;
            r.cpu_unmap = static_cast<std::int16_t>(c);
            r.side = UNMAP_SITE;
            r.locked_once = 0;
            r.step = U_ASK;
            phase = STEP;
            break;
        case DONE:
            r.done_ns = t;
            mapped_ -= 1;
            log_operation(r);
            tasks_[q].in_operation = false;
            phase = NEXT;
            break;
        case NEXT: phase = next(c, q, t); break;
        case RESUME:
            if (tasks_[q].resume == R_STEP) {
                phase = STEP;
            } else {
                touch_mapping(c, r, t);
                phase = use(c, r, t);
            }
            break;
        default:
            pick(c, t);
            phase = WAIT;
        }
    }
}

void Machine::run() {
    seconds_ -= thread_seconds();
    for (;;) {
        if (operations_logged_ >= LOG_ROWS || events_logged_ >= LOG_ROWS) operations_logged_ = events_logged_ = 0;
        const i64 key = keys_.first(), timer = timers_.first();
        const i64 timer_ns = timer == NO_TIMER ? NEVER : timer >> TASK_BITS;
        const i64 t = std::min(key >> 6, timer_ns);
        if (!complete_ && unstarted_ > 0 && t >= horizon_ns_) {
            admit_chunk();
            continue;
        }
        if (t >= NEVER >> 6) {
            if (live_ == 0 || complete_) break;
            admit_chunk();
            continue;
        }
        now_ns_ = t;
        if (timer_ns <= key >> 6) {
            const int q = static_cast<int>(timer & TASK_MASK);
            timers_.set(q, NO_TIMER);
            __builtin_prefetch(&tasks_[timers_.first() & TASK_MASK]);
            make_ready(q, timer_ns);
            __builtin_prefetch(&slot_of_page_[requests_[q].page]);
        } else {
            cpu_event(static_cast<int>(key & 63), t);
        }
    }
    seconds_ += thread_seconds();
    for (int c = 0; c < n_cpus_; ++c) {
        while (cpus_[c].irq_at_ns < now_ns_) take_interrupt(c, now_ns_);
        account(c, now_ns_);
    }
}

void Machine::print() const {
    std::printf("{\"cpu_seconds\": %.9f", seconds_);
    const std::pair<const char *, i64> counters[] = {
        {"now_ns", now_ns_}, {"operations", operations_done_}, {"hits", hits_}, {"misses", misses_},
        {"probed", probed_}, {"scans", scans_}, {"scanned", scanned_}, {"freed", freed_}, {"flushes", flushes_},
        {"ipis", ipis_}, {"sleeps", sleeps_}, {"asleep_ns", asleep_ns_}, {"wakes", wakes_}, {"woken", woken_},
        {"switches", switches_}, {"migrations", migrations_}, {"walks", walks_}, {"max_mapped", max_mapped_},
        {"map_ns", map_ns_}, {"hash0", hash_[0]}, {"hash1", hash_[1]}, {"hash2", hash_[2]}, {"hash3", hash_[3]},
    };
    for (auto [name, value] : counters) std::printf(", \"%s\": %lld", name, static_cast<long long>(value));
    std::printf(", \"findings\": %lld, \"sites\": [", static_cast<long long>(findings_));
    for (int k = 0; k < 2; ++k) {
        const SiteTotals &s = sites_[k];
        std::printf("%s[%lld, %lld, %lld, %lld, %lld, %lld]", k ? ", " : "", static_cast<long long>(s.acquisitions),
                    static_cast<long long>(s.contended), static_cast<long long>(s.hold_ns),
                    static_cast<long long>(s.hold_max_ns), static_cast<long long>(s.wait_ns),
                    static_cast<long long>(s.wait_max_ns));
    }
    std::printf("], \"spent\": [");
    for (int c = 0; c < n_cpus_; ++c)
        for (int k = 0; k < CATEGORIES; ++k)
            std::printf("%s%lld", c + k ? ", " : "", static_cast<long long>(cpus_[c].spent[k]));
    std::printf("]}\n");
}

}  // namespace

int main(int count, char **arguments) {
    if (count != 3) {
        std::cerr << "usage: reference PARAMETERS ROWS\n";
        return 2;
    }
    std::map<std::string, i64> given;
    std::ifstream parameters(arguments[1]);
    std::string name;
    for (i64 value; parameters >> name >> value;) given[name] = value;
    std::ifstream file(arguments[2], std::ios::binary);
    std::vector<TraceRow> trace(static_cast<std::size_t>(given.at("rows")));
    if (!file.read(reinterpret_cast<char *>(trace.data()), static_cast<std::streamsize>(trace.size() * sizeof(TraceRow)))) {
        std::cerr << arguments[2] << ": wanted " << trace.size() << " rows, found fewer\n";
        return 1;
    }
    Machine machine(given, std::move(trace));
    machine.run();
    machine.print();
}
