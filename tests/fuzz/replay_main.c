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

#define INPUT_MAX_BYTES 16777216u

static unsigned long inputs_run;

static int read_and_run(const char *path, size_t size)
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

static int run_file(const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= (off_t)INPUT_MAX_BYTES)
		return read_and_run(path, (size_t)st.st_size);
	(void)fprintf(stderr, "%s: not a regular file of at most %u bytes\n", path,
		      INPUT_MAX_BYTES);
	return -1;
}

static int run_directory(DIR *d, const char *path)
{
	struct dirent *entry;
	int result = 0;

	while ((entry = readdir(d)) != NULL) {
		char child[4096];
		int n = snprintf(child, sizeof(child), "%s/%s", path, entry->d_name);

		if (entry->d_name[0] == '.')
			continue;
		if (n < 0 || (size_t)n >= sizeof(child) || run_file(child) != 0)
			result = -1;
	}
	(void)closedir(d);
	return result;
}

static int run_path(const char *path)
{
	DIR *d = opendir(path);

	return d != NULL ? run_directory(d, path) : run_file(path);
}

int main(int argc, char **argv)
{
	int result = 0;

	for (int i = 1; i < argc; i++)
		if (run_path(argv[i]) != 0)
			result = 1;
	(void)printf("%lu inputs\n", inputs_run);
	return inputs_run == 0 ? 1 : result;
}
