/* Reading the script and finding the rules that fit a call. */
#include "script.h"

#include "base/slice.h"
#include "pkcs11/ckr.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define RULES_MAX 256

enum argument { ARG_NONE, ARG_NUMBER, ARG_CKR, ARG_WORD };

static const char *const when_names[] = { "all", "call", "from", "to", "every", "chance" };

static const char *const words[] = { "flip", "short",  "long", "other", "empty",	"beyond",
				     "raw",  "octets", "bits", "oid",	"edwards25519", "ed25519" };

static const struct {
	const char *name;
	enum argument argument;
} actions[] = {
	[ACT_RETURN] = { "return", ARG_CKR },	   [ACT_AFTER] = { "after", ARG_CKR },
	[ACT_HANG] = { "hang", ARG_NONE },	   [ACT_CRASH] = { "crash", ARG_NONE },
	[ACT_DELAY] = { "delay", ARG_NUMBER },	   [ACT_DROP] = { "drop", ARG_NONE },
	[ACT_FORGET] = { "forget", ARG_NONE },	   [ACT_LIE] = { "lie", ARG_WORD },
	[ACT_FLAGS] = { "flags", ARG_NUMBER },	   [ACT_WITHOUT] = { "without", ARG_NUMBER },
	[ACT_LIMIT] = { "limit", ARG_NUMBER },	   [ACT_HIDE] = { "hide", ARG_NONE },
	[ACT_CANTLOCK] = { "cantlock", ARG_NONE }, [ACT_POINT] = { "point", ARG_WORD },
	[ACT_PARAMS] = { "params", ARG_WORD },
};

const char *const function_names[FN_COUNT] = {
#define X(name, parameters, arguments) #name,
	ALL_FUNCTIONS(X)
#undef X
};

static struct rule rules[RULES_MAX];
static size_t rule_count;
static struct stat read_stat; /* of the file that the rules are from */
static unsigned calls[FN_COUNT];
static unsigned seed = 1; /* of "chance": the same run with the same script */

_Noreturn static void refuse(const char *what, const char *word)
{
	(void)fprintf(stderr, "faultmod: script: %s \"%s\"\n", what, word);
	abort();
}

static unsigned index_of(const char *word, const char *const *names, size_t count, const char *what)
{
	for (unsigned i = 0; i < count; i++)
		if (strcmp(word, names[i]) == 0)
			return i;
	refuse(what, word);
}

static unsigned long number(const char *word)
{
	char *end = NULL;
	unsigned long value;

	errno = 0;
	value = strtoul(word, &end, 0);
	if (end != word && (*end == '\0' || strcmp(end, "ms") == 0 || strcmp(end, "%") == 0) &&
	    errno == 0)
		return value;
	refuse("no number:", word);
}

static unsigned long ckr(const char *word)
{
	const struct ckr_info *row;

	for (unsigned i = 0; (row = ckr_row(i)) != NULL; i++)
		if (strcmp(row->name, word) == 0)
			return row->code;
	return number(word);
}

static enum action action_of(const char *word)
{
	for (unsigned i = 0; i < ARRAY_LEN(actions); i++)
		if (strcmp(word, actions[i].name) == 0)
			return (enum action)i;
	refuse("unknown action", word);
}

static unsigned long argument_of(enum action action, const char *word)
{
	switch (actions[action].argument) {
	case ARG_NONE:
		if (word[0] != '\0')
			refuse("one word too many:", word);
		return 0;
	case ARG_NUMBER:
		return number(word);
	case ARG_CKR:
		return ckr(word);
	case ARG_WORD:
		return index_of(word, words, ARRAY_LEN(words), "unknown argument");
	}
	return 0;
}

static const char *next_word(char **save)
{
	const char *word = strtok_r(NULL, " \t\n", save);

	return word != NULL ? word : "";
}

static void read_rule(char *line)
{
	struct rule *r = &rules[rule_count];
	char *save = NULL;
	const char *function = strtok_r(line, " \t\n", &save);

	if (function == NULL || function[0] == '#')
		return;
	if (rule_count == RULES_MAX)
		refuse("too many rules at", function);
	*r = (struct rule){ .function = -1 };
	if (strcmp(function, "*") != 0)
		r->function = (int)index_of(function, function_names, FN_COUNT, "no function");
	r->when = (enum when)index_of(next_word(&save), when_names, ARRAY_LEN(when_names),
				      "unknown WHEN");
	if (r->when != WHEN_ALL)
		r->n = (unsigned)number(next_word(&save));
	if (r->when == WHEN_EVERY && r->n == 0)
		refuse("every", "0");
	r->action = action_of(next_word(&save));
	r->value = argument_of(r->action, next_word(&save));
	rule_count++;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void read_script(void)
{
	const char *path = getenv("HSMDKIM_FAULT_SCRIPT");
	struct stat st;
	char line[256];
	FILE *f;

	if (path == NULL || stat(path, &st) != 0) {
		rule_count = 0;
		return;
	}
	if (same_file(&st, &read_stat))
		return;
	f = fopen(path, "re");
	if (f == NULL)
		return;
	read_stat = st;
	rule_count = 0;
	memset(calls, 0, sizeof(calls));
	while (fgets(line, sizeof(line), f) != NULL)
		read_rule(line);
	(void)fclose(f);
}

static bool fits(const struct rule *r, enum function fn)
{
	if (r->function >= 0 && r->function != (int)fn)
		return false;
	switch (r->when) {
	case WHEN_ALL:
		return true;
	case WHEN_CALL:
		return calls[fn] == r->n;
	case WHEN_FROM:
		return calls[fn] >= r->n;
	case WHEN_TO:
		return calls[fn] <= r->n;
	case WHEN_EVERY:
		return calls[fn] % r->n == 0;
	case WHEN_CHANCE:
		return (unsigned)rand_r(&seed) % 100 < r->n;
	}
	return false;
}

size_t script_call(enum function fn, struct rule *ret_rules, size_t max)
{
	size_t count = 0;

	read_script();
	calls[fn]++;
	for (size_t i = 0; i < rule_count; i++) {
		if (!fits(&rules[i], fn))
			continue;
		if (count < max)
			ret_rules[count] = rules[i];
		count++;
	}
	return count;
}
