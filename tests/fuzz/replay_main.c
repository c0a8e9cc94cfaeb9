/*
 * The main() of a fuzz target without libFuzzer: runs every file named on the command line, and
 * every file below the directories named there. Each input is copied to a block of exactly its
 * size, so that a sanitizer sees the first byte read beyond it.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX_BYTES (16u * 1024u * 1024u)
#define DEPTH_MAX 8

static unsigned long inputs_run;

static int run_file(const char *path, size_t size)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = malloc(size == 0 ? 1 : size);
	int ok = f != NULL && data != NULL && fread(data, 1, size, f) == size;

	if (f != NULL)
		(void)fclose(f);
	if (ok) {
		(void)LLVMFuzzerTestOneInput(data, size);
		inputs_run++;
	} else {
		(void)fprintf(stderr, "%s: cannot be read\n", path);
	}
	free(data);
	return ok ? 0 : -1;
}

static int run_path(const char *path, int depth);

static int run_directory(const char *path, int depth)
{
	DIR *d = opendir(path);
	struct dirent *entry;
	int result = 0;

	if (d == NULL) {
		(void)fprintf(stderr, "%s: cannot be opened\n", path);
		return -1;
	}
	while ((entry = readdir(d)) != NULL) {
		char child[4096];
		int n = snprintf(child, sizeof(child), "%s/%s", path, entry->d_name);

		if (entry->d_name[0] == '.')
			continue;
		if (n < 0 || (size_t)n >= sizeof(child) || run_path(child, depth + 1) != 0)
			result = -1;
	}
	(void)closedir(d);
	return result;
}

/* NOLINTNEXTLINE(misc-no-recursion): bounded by DEPTH_MAX */
static int run_path(const char *path, int depth)
{
	struct stat st;

	if (depth > DEPTH_MAX || stat(path, &st) != 0) {
		(void)fprintf(stderr, "%s: not found\n", path);
		return -1;
	}
	if (S_ISDIR(st.st_mode))
		return run_directory(path, depth);
	if (!S_ISREG(st.st_mode) || st.st_size > (off_t)INPUT_MAX_BYTES) {
		(void)fprintf(stderr, "%s: not a regular file of at most %u bytes\n", path,
			      INPUT_MAX_BYTES);
		return -1;
	}
	return run_file(path, (size_t)st.st_size);
}

int main(int argc, char **argv)
{
	int result = 0;

	for (int i = 1; i < argc; i++)
		if (run_path(argv[i], 0) != 0)
			result = 1;
	(void)printf("%lu inputs\n", inputs_run);
	return inputs_run == 0 ? 1 : result;
}
