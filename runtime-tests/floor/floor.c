/* The floor of every command: the kernel work it cannot avoid and nothing else.
 *
 *   floor run BUNDLE NAME              cgroups, clone, mounts, exec, wait, removal
 *   floor docker BUNDLE NAME           the same with 30 binds, limits and a filter
 *   floor create BUNDLE NAME DIR       ... up to a gate, DIR/NAME, a fifo
 *   floor start|state|delete NAME DIR
 *   floor kill NAME DIR SIGNAL
 *   floor exec NAME DIR                /bin/true in all namespaces of the container
 *
 * No config is read, no error is explained, and the state is one line, the pid:
 * cgroups, one clone3 with all namespaces, the mounts, devices, masks and
 * read-only paths of the `spec` template, pivot_root, host name, capabilities,
 * execve, wait, removal. The loopback interface is brought up and cgroup2 gets a
 * device program, because every runtime gives a default container both; the
 * program is the shortest there is. What runs is /bin/true; a created container that is to
 * stay runs `/bin/sleep 1000`, if the bundle has a file named `sleeps`. The seccomp
 * filter of `docker`, too, is the shortest there is. No runtime can be faster without
 * doing less. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/sched.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_HIERARCHIES 16
#define CHECK(call) do { if ((call) < 0) { perror(#call); _exit(1); } } while (0)

static const char *bundle, *name, *directory;
static int docker;
static char hierarchies[MAX_HIERARCHIES][64];
static int tasks[MAX_HIERARCHIES], count, unified;

static void put(const char *directory, const char *file, const char *value)
{
	char path[512];
	snprintf(path, sizeof path, "%s/%s", directory, file);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return; /* not a file of this hierarchy */
	if (write(fd, value, strlen(value)) < 0 && errno != EINVAL)
		perror(path);
	close(fd);
}

static void copy_cpuset(const char *to)
{
	char value[256];
	for (int i = 0; i < 2; i++) {
		const char *file = i ? "cpuset.mems" : "cpuset.cpus";
		char path[512];
		snprintf(path, sizeof path, "/sys/fs/cgroup/cpuset/%s", file);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t length = fd < 0 ? 0 : read(fd, value, sizeof value - 1);
		if (fd >= 0)
			close(fd);
		if (length > 0) {
			value[length] = 0;
			put(to, file, value);
		}
	}
}

static void device_rules(const char *directory)
{
	static const char *const allowed[] = { "c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm",
		"c 1:8 rwm", "c 1:9 rwm", "c 5:0 rwm", "c 5:2 rwm", "c 136:* rwm" };
	put(directory, "devices.deny", "a");
	for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
		put(directory, "devices.allow", allowed[i]);
}

static void limits(const char *directory)
{
	if (!docker)
		return;
	put(directory, unified ? "memory.max" : "memory.limit_in_bytes", "268435456");
	put(directory, "pids.max", "512");
	put(directory, unified ? "cpu.weight" : "cpu.shares", unified ? "20" : "512");
}

/* cgroup2 has no devices.allow: a program decides. This one allows everything. */
static void device_program(int cgroup)
{
	struct bpf_insn allow[] = { { .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = 1 }, { .code = BPF_JMP | BPF_EXIT } };
	union bpf_attr load = { .prog_type = BPF_PROG_TYPE_CGROUP_DEVICE, .insn_cnt = 2,
		.insns = (uint64_t)(uintptr_t)allow, .license = (uint64_t)(uintptr_t)"GPL" };
	union bpf_attr attach = { .target_fd = (uint32_t)cgroup, .attach_type = BPF_CGROUP_DEVICE };
	int program = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);
	CHECK(program);
	attach.attach_bpf_fd = (uint32_t)program;
	CHECK(syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach));
	close(program);
}

static void bring_up_loopback(void)
{
	struct ifreq loopback = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int socket_of_any_kind = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	CHECK(ioctl(socket_of_any_kind, SIOCSIFFLAGS, &loopback));
	close(socket_of_any_kind);
}

/* Makes the cgroups; on cgroup2 returns the directory for clone3. */
static int make_cgroups(void)
{
	char path[512];
	unified = access("/sys/fs/cgroup/cgroup.procs", F_OK) == 0;
	if (unified) {
		snprintf(path, sizeof path, "/sys/fs/cgroup/%s", name);
		CHECK(mkdir(path, 0755));
		limits(path);
		int cgroup = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		CHECK(cgroup);
		device_program(cgroup);
		return cgroup;
	}
	DIR *root = opendir("/sys/fs/cgroup");
	for (struct dirent *entry; (entry = readdir(root)) && count < MAX_HIERARCHIES;) {
		if (entry->d_name[0] == '.' || entry->d_type != DT_DIR)
			continue;
		snprintf(path, sizeof path, "/sys/fs/cgroup/%s/%s", entry->d_name, name);
		if (mkdir(path, 0755) < 0)
			continue;
		snprintf(hierarchies[count], sizeof hierarchies[count], "%s", entry->d_name);
		if (!strcmp(entry->d_name, "cpuset"))
			copy_cpuset(path);
		if (!strcmp(entry->d_name, "devices"))
			device_rules(path);
		limits(path);
		strcat(path, "/tasks");
		int fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0) {
			*strrchr(path, '/') = 0;
			strcat(path, "/cgroup.procs");
			fd = open(path, O_WRONLY | O_CLOEXEC);
		}
		tasks[count++] = fd;
	}
	closedir(root);
	return -1;
}

static void remove_cgroups(void)
{
	char path[512];
	if (unified) {
		snprintf(path, sizeof path, "/sys/fs/cgroup/%s", name);
		rmdir(path);
	}
	for (int i = 0; i < count; i++) {
		snprintf(path, sizeof path, "/sys/fs/cgroup/%s/%s", hierarchies[i], name);
		rmdir(path);
	}
}

static void mount_cgroup(void)
{
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
	char from[512], to[512];
	if (unified) {
		CHECK(mount("cgroup2", "sys/fs/cgroup", "cgroup2", flags | MS_RDONLY, NULL));
		return;
	}
	CHECK(mount("tmpfs", "sys/fs/cgroup", "tmpfs", flags, "mode=755"));
	for (int i = 0; i < count; i++) {
		snprintf(from, sizeof from, "/sys/fs/cgroup/%s/%s", hierarchies[i], name);
		snprintf(to, sizeof to, "sys/fs/cgroup/%s", hierarchies[i]);
		CHECK(mkdir(to, 0755));
		CHECK(mount(from, to, NULL, MS_BIND, NULL));
		CHECK(mount(NULL, to, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | flags, NULL));
	}
	CHECK(mount(NULL, "sys/fs/cgroup", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | flags, NULL));
}

static void fill_dev(void)
{
	static const struct { const char *path; int major, minor; } nodes[] = { { "dev/null", 1, 3 }, { "dev/zero", 1, 5 },
		{ "dev/full", 1, 7 }, { "dev/random", 1, 8 }, { "dev/urandom", 1, 9 }, { "dev/tty", 5, 0 } };
	for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++)
		CHECK(mknod(nodes[i].path, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)));
	CHECK(symlink("pts/ptmx", "dev/ptmx"));
	CHECK(symlink("/proc/self/fd", "dev/fd"));
	CHECK(symlink("/proc/self/fd/0", "dev/stdin"));
	CHECK(symlink("/proc/self/fd/1", "dev/stdout"));
	CHECK(symlink("/proc/self/fd/2", "dev/stderr"));
}

static void mount_all(void)
{
	char root[512];
	snprintf(root, sizeof root, "%s/rootfs", bundle);
	CHECK(mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL));
	CHECK(mount(root, root, NULL, MS_BIND | MS_REC, NULL));
	CHECK(chdir(root));
	CHECK(mount("proc", "proc", "proc", 0, NULL));
	CHECK(mount("tmpfs", "dev", "tmpfs", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k"));
	CHECK(mkdir("dev/pts", 0755));
	CHECK(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"));
	CHECK(mkdir("dev/shm", 0755));
	CHECK(mount("shm", "dev/shm", "tmpfs", MS_NOSUID | MS_NOEXEC | MS_NODEV, "mode=1777,size=65536k"));
	CHECK(mkdir("dev/mqueue", 0755));
	CHECK(mount("mqueue", "dev/mqueue", "mqueue", MS_NOSUID | MS_NOEXEC | MS_NODEV, NULL));
	CHECK(mount("sysfs", "sys", "sysfs", MS_NOSUID | MS_NOEXEC | MS_NODEV | MS_RDONLY, NULL));
	mount_cgroup();
	fill_dev();
	for (int i = 0; docker && i < 30; i++) {
		char from[512], to[64];
		snprintf(from, sizeof from, "%s/../volume%d", bundle, i);
		snprintf(to, sizeof to, "volumes/%d", i);
		CHECK(mount(from, to, NULL, MS_BIND | MS_REC, NULL));
		CHECK(mount(NULL, to, NULL, MS_PRIVATE | MS_REC, NULL));
	}
	CHECK(syscall(SYS_pivot_root, ".", "."));
	CHECK(umount2(".", MNT_DETACH));
	CHECK(chdir("/"));
}

static void hide_paths(void)
{
	static const char *const masked[] = { "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
		"/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi" };
	static const char *const read_only[] = { "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger" };
	const char *first = NULL;
	struct stat status;
	for (size_t i = 0; i < sizeof read_only / sizeof *read_only; i++) {
		if (mount(read_only[i], read_only[i], NULL, MS_BIND | MS_REC, NULL) < 0)
			continue;
		CHECK(mount(NULL, read_only[i], NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL));
	}
	for (size_t i = 0; i < sizeof masked / sizeof *masked; i++) {
		if (stat(masked[i], &status) < 0)
			continue;
		if (!S_ISDIR(status.st_mode)) {
			CHECK(mount("/dev/null", masked[i], NULL, MS_BIND, NULL));
		} else if (first) {
			CHECK(mount(first, masked[i], NULL, MS_BIND, NULL));
		} else {
			CHECK(mount("tmpfs", masked[i], "tmpfs", MS_RDONLY, "nr_blocks=1,nr_inodes=2"));
			first = masked[i];
		}
	}
}

static void drop_capabilities(void)
{
	const uint64_t kept = 1u << 5 | 1u << 10 | 1u << 29;
	for (int one = 0; prctl(PR_CAPBSET_READ, one) >= 0; one++)
		if (!(kept & 1ull << one))
			prctl(PR_CAPBSET_DROP, one);
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { { (uint32_t)kept, (uint32_t)kept, 0 }, { 0, 0, 0 } };
	CHECK(syscall(SYS_capset, &header, data));
}

static void filter(void)
{
	struct sock_filter allow[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
	struct sock_fprog program = { sizeof allow / sizeof *allow, allow };
	if (docker)
		CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
}

/* Init. `gate` is the fifo it waits at, `ready` what it closes before; -1 without. */
static void child(int gate, int ready)
{
	struct rlimit limit = { 1024, 1024 };
	char *const args[] = { "/bin/true", NULL };
	char *const sleeps[] = { "/bin/sleep", "1000", NULL };
	char *const env[] = { "PATH=/bin", NULL };
	char word, path[512];
	snprintf(path, sizeof path, "%s/sleeps", bundle);
	int sleeper = gate >= 0 && access(path, F_OK) == 0;
	for (int i = 0; i < count; i++)
		if (write(tasks[i], "0", 1) < 0)
			perror(hierarchies[i]);
	/* v1: only now is the process where its cgroup namespace begins. */
	if (!unified)
		CHECK(unshare(CLONE_NEWCGROUP));
	setsid();
	bring_up_loopback();
	umask(0);
	mount_all();
	umask(022);
	CHECK(sethostname("floor", 5));
	hide_paths();
	CHECK(mount(NULL, "/", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL));
	CHECK(setrlimit(RLIMIT_NOFILE, &limit));
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	drop_capabilities();
	filter();
	if (gate >= 0) {
		close(ready);
		/* Opened for both: a read waits, whoever else has it open. */
		if (read(gate, &word, 1) != 1)
			_exit(1);
	}
	/* By the exec, not before: start() waits for it. */
	CHECK(syscall(SYS_close_range, 3, ~0u, CLOSE_RANGE_CLOEXEC));
	execve(sleeper ? sleeps[0] : args[0], sleeper ? sleeps : args, env);
	perror(args[0]);
	_exit(127);
}

static pid_t clone_init(int gate, int ready)
{
	int pidfd = -1, cgroup = make_cgroups();
	struct clone_args args = { .flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&pidfd, .exit_signal = SIGCHLD };
	if (unified) {
		args.flags |= CLONE_NEWCGROUP | CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)cgroup;
	}
	long pid = syscall(SYS_clone3, &args, sizeof args);
	CHECK(pid);
	if (pid == 0)
		child(gate, ready);
	return (pid_t)pid;
}

static const char *state_path(const char *suffix)
{
	static char path[512];
	snprintf(path, sizeof path, "%s/%s%s", directory, name, suffix);
	return path;
}

static pid_t read_pid(void)
{
	char text[32] = "";
	int fd = open(state_path(".pid"), O_RDONLY | O_CLOEXEC);
	CHECK(fd);
	CHECK(read(fd, text, sizeof text - 1));
	close(fd);
	return atoi(text);
}

static int run(void)
{
	int status = 0;
	pid_t pid = clone_init(-1, -1);
	CHECK(waitpid(pid, &status, 0));
	remove_cgroups();
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int create(void)
{
	int ready[2];
	char text[32], word;
	CHECK(mkfifo(state_path(""), 0600));
	int gate = open(state_path(""), O_RDWR | O_CLOEXEC);
	CHECK(gate);
	CHECK(pipe2(ready, O_CLOEXEC));
	pid_t pid = clone_init(gate, ready[1]);
	close(ready[1]);
	CHECK(read(ready[0], &word, 1));
	int fd = open(state_path(".pid"), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	CHECK(fd);
	CHECK(write(fd, text, (size_t)snprintf(text, sizeof text, "%d", pid)));
	return 0;
}

static int start(void)
{
	int gate = open(state_path(""), O_WRONLY | O_CLOEXEC);
	CHECK(gate);
	CHECK(write(gate, "1", 1));
	/* Until the last reader has gone: the program is being executed. */
	struct pollfd gone = { .fd = gate };
	CHECK(poll(&gone, 1, -1));
	return 0;
}

static int state(void)
{
	char text[512], path[64];
	snprintf(path, sizeof path, "/proc/%d/stat", read_pid());
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd);
	ssize_t length = read(fd, text, sizeof text);
	CHECK(length);
	CHECK(write(1, text, (size_t)length));
	return 0;
}

static int kill_it(int signal)
{
	int pidfd = (int)syscall(SYS_pidfd_open, read_pid(), 0);
	CHECK(pidfd);
	CHECK(syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0));
	return 0;
}

/* The names of the hierarchies, which create(1) found by making the cgroups. */
static void find_cgroups(void)
{
	char path[512];
	unified = access("/sys/fs/cgroup/cgroup.procs", F_OK) == 0;
	DIR *root = unified ? NULL : opendir("/sys/fs/cgroup");
	for (struct dirent *entry; root && (entry = readdir(root)) && count < MAX_HIERARCHIES;) {
		if (entry->d_name[0] == '.' || entry->d_type != DT_DIR)
			continue;
		snprintf(hierarchies[count], sizeof hierarchies[count], "%s", entry->d_name);
		snprintf(path, sizeof path, "/sys/fs/cgroup/%s/%s/tasks", entry->d_name, name);
		tasks[count++] = open(path, O_WRONLY | O_CLOEXEC);
	}
	if (root)
		closedir(root);
}

static int delete(void)
{
	int pidfd = (int)syscall(SYS_pidfd_open, read_pid(), 0);
	if (pidfd >= 0) {
		struct pollfd ended = { .fd = pidfd, .events = POLLIN };
		CHECK(syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0));
		CHECK(poll(&ended, 1, -1));
	}
	find_cgroups();
	remove_cgroups();
	unlink(state_path(""));
	CHECK(unlink(state_path(".pid")));
	return 0;
}

static int exec(void)
{
	char *const args[] = { "/bin/true", NULL };
	char *const env[] = { "PATH=/bin", NULL };
	char path[512];
	int status = 0;
	struct clone_args clone = { .exit_signal = SIGCHLD };
	int pidfd = (int)syscall(SYS_pidfd_open, read_pid(), 0);
	CHECK(pidfd);
	find_cgroups();
	if (unified) {
		snprintf(path, sizeof path, "/sys/fs/cgroup/%s", name);
		clone.flags = CLONE_INTO_CGROUP;
		clone.cgroup = (uint64_t)open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	CHECK(setns(pidfd, CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP));
	long pid = syscall(SYS_clone3, &clone, sizeof clone);
	CHECK(pid);
	if (pid == 0) {
		for (int i = 0; i < count; i++)
			if (tasks[i] >= 0 && write(tasks[i], "0", 1) < 0)
				perror(hierarchies[i]);
		CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
		drop_capabilities();
		CHECK(syscall(SYS_close_range, 3, ~0u, 0));
		execve(args[0], args, env);
		_exit(127);
	}
	CHECK(waitpid((pid_t)pid, &status, 0));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int main(int argc, char **argv)
{
	const char *command = argc > 3 ? argv[1] : "";
	int builds = !strcmp(command, "run") || !strcmp(command, "docker") || !strcmp(command, "create");
	bundle = builds ? argv[2] : NULL;
	name = builds ? argv[3] : argv[2];
	directory = builds ? argv[4] : argv[3];
	docker = !strcmp(command, "docker");
	if (!strcmp(command, "run") || docker)
		return run();
	if (!strcmp(command, "create") && argc == 5)
		return create();
	if (!strcmp(command, "start"))
		return start();
	if (!strcmp(command, "state"))
		return state();
	if (!strcmp(command, "kill") && argc == 5)
		return kill_it(atoi(argv[4]));
	if (!strcmp(command, "delete"))
		return delete();
	if (!strcmp(command, "exec"))
		return exec();
	return 64;
}
