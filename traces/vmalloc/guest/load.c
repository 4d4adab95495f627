/*
 * Make the kernel allocate and free areas of vmalloc on all CPUs: what load.py does, in one process per CPU.
 *
 *   load ROUNDS THREADS ARRAYS FILTERS
 *
 * A round starts THREADS threads and creates ARRAYS arrays of BPF of 12 to 504 pages. In the second half of the
 * rounds it also attaches FILTERS filters of 1 to 4,000 instructions, which purge if BPF is not compiled. It then
 * closes and ends them. Kernel threads of all CPUs free these areas.
 */
#define _GNU_SOURCE
#include <linux/bpf.h>
#include <linux/filter.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST = 1024, INSTRUCTIONS = 4000, USER_STACK = 16384 };

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void *wait_at_gate(void *nothing)
{
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
	return nothing;
}

/* Between 1 and `most`, each order of magnitude as often as another. */
static int draw(unsigned *seed, double most)
{
	return (int)pow(most, rand_r(seed) / (RAND_MAX + 1.0));
}

static int make_array(int pages)
{
	union bpf_attr attributes;

	memset(&attributes, 0, sizeof(attributes));
	attributes.map_type = BPF_MAP_TYPE_ARRAY;
	attributes.key_size = 4;
	attributes.value_size = 4096;
	attributes.max_entries = pages;
	return syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof(attributes));
}

static int make_filtered(int instructions)
{
	static struct sock_filter code[INSTRUCTIONS];
	struct sock_fprog program = { .len = instructions, .filter = code };
	int end = socket(AF_UNIX, SOCK_DGRAM, 0);

	memset(code, 0, sizeof(code));
	code[instructions - 1] = (struct sock_filter){ BPF_RET | BPF_K, 0, 0, 0xFFFF };
	if (end < 0 || setsockopt(end, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)))
		fail("filter");
	return end;
}

static void run(unsigned cpu, int rounds, int threads, int arrays, int filters)
{
	static pthread_t started[MOST];
	static int descriptors[2 * MOST];
	unsigned seed = cpu + 1;
	int half = rounds / 2;
	pthread_attr_t small;
	cpu_set_t own;

	CPU_ZERO(&own);
	CPU_SET(cpu, &own);
	if (sched_setaffinity(0, sizeof(own), &own))
		fail("affinity");
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, USER_STACK);
	while (rounds--) {
		int open = 0, begun = 0, refused = 0;

		pthread_mutex_lock(&gate);
		while (begun < threads && !pthread_create(&started[begun], &small, wait_at_gate, NULL))
			begun++;
		for (int array = 0; array < arrays; array++) {
			int made = make_array(12 * draw(&seed, 42.0));

			if (made >= 0)
				descriptors[open++] = made;
			else
				refused++;
		}
		for (int filter = 0; rounds < half && filter < filters; filter++)
			descriptors[open++] = make_filtered(draw(&seed, INSTRUCTIONS));
		while (open)
			close(descriptors[--open]);
		pthread_mutex_unlock(&gate);
		while (begun)
			pthread_join(started[--begun], NULL);
		if (refused)
			fprintf(stderr, "load: CPU %u: %d arrays refused\n", cpu, refused);
	}
}

int main(int count, char **words)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (count != 5 || atoi(words[2]) > MOST || atoi(words[3]) > MOST || atoi(words[4]) > MOST) {
		fprintf(stderr, "usage: load ROUNDS THREADS ARRAYS FILTERS\n");
		return 2;
	}
	for (long cpu = 0; cpu < cpus; cpu++)
		if (fork() == 0) {
			run(cpu, atoi(words[1]), atoi(words[2]), atoi(words[3]), atoi(words[4]));
			return 0;
		}
	while (wait(NULL) > 0)
		;
	return 0;
}
