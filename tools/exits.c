/* Exit statuses of the tools. */
#include "tools/exits.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int exits_for(enum err e)
{
	static const struct {
		enum err error;
		int status;
	} special[] = {
		{ ERR_OK, EX_OK },
		{ ERR_CONFIG, EX_CONFIG },
		{ ERR_SYNTAX, EX_DATAERR },
		{ ERR_RANGE, EX_DATAERR },
		{ ERR_LIMIT, EX_DATAERR },
		{ ERR_DENIED, EX_CANTCREAT },
		{ ERR_IO, EX_OSERR },
		{ ERR_FILE_UNSAFE, EX_NOPERM },
		{ ERR_NO_SENDER, EX_DATAERR },
		{ ERR_NOT_FOUND, EX_NOINPUT },
		{ ERR_KEY_MISSING, EX_NOINPUT },
		{ ERR_KEY_BAD, EX_DATAERR },
		{ ERR_KEY_TOO_SMALL, EX_DATAERR },
		{ ERR_NOMEM, EX_OSERR },
		{ ERR_INTERNAL, EX_SOFTWARE },
		{ ERR_CRYPTO, EX_SOFTWARE },
		{ ERR_TOKEN_PIN, EX_NOPERM },
	};

	for (size_t i = 0; i < ARRAY_LEN(special); i++)
		if (special[i].error == e)
			return special[i].status;
	return EX_UNAVAILABLE;
}

int exits_report(const char *program, enum err e, const struct err_detail *detail)
{
	if (detail != NULL && detail->text[0] != '\0')
		(void)fprintf(stderr, "%s: %s\n", program, detail->text);
	else
		(void)fprintf(stderr, "%s: %s\n", program, err_text(e));
	return exits_for(e);
}

int exits_finish(const char *program, int status)
{
	errno = 0;
	if (fflush(stdout) == 0 && ferror(stdout) == 0)
		return status;
	(void)fprintf(stderr, "%s: standard output cannot be written: %s\n", program,
		      errno != 0 ? strerror(errno) : "an earlier write failed");
	return status == EX_OK ? EX_OSERR : status;
}
