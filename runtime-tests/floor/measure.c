/* What one command costs, as the kernel counts it:
 *
 *   measure FILE COMMAND [ARGUMENT]...
 *
 * writes "maxrss-KiB minor-faults exit-status" of COMMAND into FILE, its waited
 * children included. Small and forking, not a vfork: ru_maxrss also counts the
 * memory a process had before its exec, and a large parent would hide it. */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct rusage usage;
	int status = 0;
	if (argc < 3)
		return 64;
	pid_t pid = fork();
	if (pid == 0) {
		execv(argv[2], argv + 2);
		_exit(127);
	}
	if (pid < 0 || wait4(pid, &status, 0, &usage) < 0)
		return 1;
	FILE *file = fopen(argv[1], "w");
	if (!file)
		return 1;
	fprintf(file, "%ld %ld %d\n", usage.ru_maxrss, usage.ru_minflt, WIFEXITED(status) ? WEXITSTATUS(status) : 255);
	return fclose(file) == 0 ? 0 : 1;
}
