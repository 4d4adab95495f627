/*
 * Load for a kernel with highmem: tasks that read directories of a minix file system.
 *
 * A minix directory's pages are in the page cache, mostly in highmem, and the kernel maps them with kmap() while
 * it copies entries out. In Linux 6.1, this is the easiest way to use the pool of persistent mappings.
 *
 *   load wrap DIR DIRECTORIES TASKS READS      processes read directories at random and hold each mapping briefly
 *   load hold DIR DIRECTORIES TASKS READS MS   threads whose buffer page is missing when the kernel writes to it;
 *                                              it is provided after MS to 3 MS milliseconds, and the kernel
 *                                              sleeps meanwhile with the directory's page mapped
 *
 * READS is per task. Only the number of arguments is checked, because `init` calls the program.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096 };

static const char *root;
static int directories, reads, missing_ms, faults;
static char *buffers;

static void die(const char *what)
{
	perror(what);
	_exit(1);
}

static uint32_t drawn(uint32_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

/* Read the first entries of a directory into `buffer`: the kernel maps the directory's page meanwhile. */
static void read_directory(int number, char *buffer)
{
	char name[256];
	snprintf(name, sizeof name, "%s/%d", root, number);
	int directory = open(name, O_RDONLY | O_DIRECTORY);
	if (directory < 0)
		die(name);
	if (syscall(SYS_getdents64, directory, buffer, PAGE) < 0)
		die("getdents64");
	close(directory);
}

static void *hold_mappings(void *argument)
{
	long task = (long)argument;
	char *buffer = buffers + task * PAGE;
	uint32_t state = 2654435761u * (task + 1);
	for (int i = 0; i < reads; i++) {
		read_directory(drawn(&state) % directories, buffer);
		if (madvise(buffer, PAGE, MADV_DONTNEED))
			die("madvise");
	}
	return NULL;
}

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* Give each missing page when its time has come. At most one page of a task is missing at once. */
static _Noreturn void *give_pages(void *argument)
{
	int tasks = (int)(long)argument;
	int64_t *due = calloc(tasks, sizeof *due);
	uint32_t state = 1;
	for (;;) {
		struct pollfd ready = { .fd = faults, .events = POLLIN };
		struct uffd_msg message;
		poll(&ready, 1, 1);
		while (read(faults, &message, sizeof message) == sizeof message)
			if (message.event == UFFD_EVENT_PAGEFAULT) {
				int task = ((uintptr_t)message.arg.pagefault.address - (uintptr_t)buffers) / PAGE;
				due[task] = now_ms() + missing_ms + drawn(&state) % (2 * missing_ms);
			}
		int64_t now = now_ms();
		for (int task = 0; task < tasks; task++)
			if (due[task] && due[task] <= now) {
				struct uffdio_zeropage page = { .range = { (uintptr_t)buffers + task * PAGE, PAGE } };
				due[task] = 0;
				if (ioctl(faults, UFFDIO_ZEROPAGE, &page) && errno != EEXIST)
					die("UFFDIO_ZEROPAGE");
			}
	}
}

static void hold(int tasks)
{
	pthread_t giver, *threads = calloc(tasks, sizeof *threads);
	pthread_attr_t small;
	struct uffdio_api api = { .api = UFFD_API };
	faults = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (faults < 0 || ioctl(faults, UFFDIO_API, &api))
		die("userfaultfd");
	buffers = mmap(NULL, (size_t)tasks * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buffers == MAP_FAILED)
		die("mmap");
	struct uffdio_register range = {
		.range = { (uintptr_t)buffers, (size_t)tasks * PAGE }, .mode = UFFDIO_REGISTER_MODE_MISSING
	};
	if (ioctl(faults, UFFDIO_REGISTER, &range))
		die("UFFDIO_REGISTER");
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 64 * 1024);
	if (pthread_create(&giver, NULL, give_pages, (void *)(long)tasks))
		die("pthread_create");
	for (long task = 0; task < tasks; task++)
		if (pthread_create(&threads[task], &small, hold_mappings, (void *)task))
			die("pthread_create");
	for (int task = 0; task < tasks; task++)
		pthread_join(threads[task], NULL);
}

static void wrap(int tasks)
{
	static char buffer[PAGE];
	for (int task = 0; task < tasks; task++)
		if (fork() == 0) {
			uint32_t state = 2654435761u * (task + 1);
			for (int i = 0; i < reads; i++)
				read_directory(drawn(&state) % directories, buffer);
			_exit(0);
		}
	while (wait(NULL) > 0)
		;
}

int main(int count, char **words)
{
	if (count < 6)
		return 2;
	root = words[2];
	directories = atoi(words[3]);
	reads = atoi(words[5]);
	if (!strcmp(words[1], "hold") && count == 7) {
		missing_ms = atoi(words[6]);
		hold(atoi(words[4]));
	} else {
		wrap(atoi(words[4]));
	}
	return 0;
}
