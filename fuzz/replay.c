/* Runs a fuzz target over the files that are its arguments, in place of libFuzzer, which takes longer to
 * compile than all targets. Mutates nothing. */
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

/* The crate libfuzzer-sys refers to it. No replay calls it. */
size_t LLVMFuzzerMutate(unsigned char *data, size_t size, size_t max_size)
{
	(void)data, (void)size, (void)max_size;
	abort();
}

static void run(const char *name)
{
	FILE *file = fopen(name, "rb");
	long size;
	unsigned char *data;

	if (!file || fseek(file, 0, SEEK_END) || (size = ftell(file)) < 0 || fseek(file, 0, SEEK_SET)) {
		perror(name);
		exit(1);
	}
	/* Of that very size, so that a checker of memory sees a read beyond it. */
	data = malloc(size ? (size_t)size : 1);
	if (!data || fread(data, 1, (size_t)size, file) != (size_t)size) {
		perror(name);
		exit(1);
	}
	fclose(file);
	/* Says which file it was, should it be the last one. */
	fprintf(stderr, "running %s\n", name);
	LLVMFuzzerTestOneInput(data, (size_t)size);
	free(data);
}

int main(int argc, char **argv)
{
	int at;

	LLVMFuzzerInitialize(&argc, &argv);
	for (at = 1; at < argc; at++)
		run(argv[at]);
	return 0;
}
