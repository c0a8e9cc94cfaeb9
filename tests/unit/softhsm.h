/*
 * A throw-away SoftHSM token for unit tests, and a way to make its module fail: the function list
 * of the loaded module is changed in place, so the code under test meets a token that misbehaves.
 */
#ifndef TESTS_UNIT_SOFTHSM_H
#define TESTS_UNIT_SOFTHSM_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "pkcs11/module_priv.h"
#include "pkcs11/pin.h"

struct softhsm {
	char dir[64];
	const char *module_path;
	struct pin *pin;
	struct p11_module *module; /* keeps the module loaded, and with it the changes below */
	CK_FUNCTION_LIST *list;	   /* the module's own; tests write to it */
	CK_FUNCTION_LIST real;	   /* what it was */
};

static inline int softhsm_run(const char *command)
{
	int status = system(command); /* NOLINT(cert-env33-c): a test's own command */

	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline const char *softhsm_module_path(void)
{
	static const char *const paths[] = { "/usr/lib/softhsm/libsofthsm2.so",
					     "/usr/lib64/pkcs11/libsofthsm2.so" };
	const char *path = getenv("SOFTHSM2_MODULE");

	for (size_t i = 0; path == NULL && i < ARRAY_LEN(paths); i++) {
		if (access(paths[i], R_OK) == 0)
			path = paths[i];
	}
	return path;
}

/** Add a token with keys (softhsm-conf/genkeys.py says how they are written). */
static inline bool softhsm_add_token(const struct softhsm *s, const char *token, const char *keys)
{
	char command[2048];

	(void)snprintf(command, sizeof(command),
		       SRCDIR "/softhsm-conf/make-token %s %s %s >%s/uris", s->dir, token, keys,
		       s->dir);
	return softhsm_run(command) == 0;
}

static inline bool softhsm_read_pin(struct softhsm *s)
{
	char path[80];
	char text[64];
	FILE *f;
	size_t n;

	(void)snprintf(path, sizeof(path), "%s/pin", s->dir);
	f = fopen(path, "rb");
	if (f == NULL)
		return false;
	n = fread(text, 1, sizeof(text), f);
	(void)fclose(f);
	return pin_new(slice_of(text, n), &s->pin, NULL) == ERR_OK;
}

static inline bool softhsm_new(struct softhsm *s, const char *token, const char *keys)
{
	char conf[80];

	*s = (struct softhsm){ .dir = "/tmp/hsmdkim-softhsm-XXXXXX" };
	s->module_path = softhsm_module_path();
	if (s->module_path == NULL || mkdtemp(s->dir) == NULL ||
	    !softhsm_add_token(s, token, keys) || !softhsm_read_pin(s))
		return false;
	(void)snprintf(conf, sizeof(conf), "%s/softhsm2.conf", s->dir);
	return setenv("SOFTHSM2_CONF", conf, 1) == 0;
}

/** C_Initialize; call it when all tokens are there. */
static inline bool softhsm_load(struct softhsm *s)
{
	if (p11_module_load(s->module_path, &s->module, NULL) != ERR_OK)
		return false;
	s->list = p11_module_functions(s->module);
	s->real = *s->list;
	return true;
}

/** The module behaves again. */
static inline void softhsm_mend(struct softhsm *s)
{
	*s->list = s->real;
}

static inline void softhsm_free(struct softhsm *s)
{
	char command[96];

	if (s->list != NULL)
		softhsm_mend(s);
	p11_module_unload(&s->module);
	pin_free(&s->pin);
	(void)snprintf(command, sizeof(command), "rm -rf %s", s->dir);
	(void)softhsm_run(command);
}

#endif
