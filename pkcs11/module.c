/* Modules through libp11; the function list comes from the object that libp11 loaded. */
/* libp11.h names types that OpenSSL 3 only shows with its deprecated interfaces; we use none of
 * them. */
#undef OPENSSL_NO_DEPRECATED
#define OPENSSL_SUPPRESS_DEPRECATED
#include "pkcs11/module_priv.h"

#include "pkcs11/ckr.h"

#include <dlfcn.h>
#include <libp11.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct p11_module {
	struct p11_module *next;
	char *path;
	dev_t dev;
	ino_t ino;
	unsigned refs;
	bool serial;
	PKCS11_CTX *ctx;	  /* NULL when serial: then we initialised it ourselves */
	pthread_mutex_t ctx_lock; /* libp11's slot lists are not for two threads at once */
	void *handle;
	CK_FUNCTION_LIST *functions;
};

/* Guards the list of loaded modules, not the modules. libp11 always finalises, so a file has one
 * owner. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct p11_module *loaded;

static struct p11_module *find_loaded(const struct stat *st)
{
	for (struct p11_module *m = loaded; m != NULL; m = m->next)
		if (m->dev == st->st_dev && m->ino == st->st_ino)
			return m;
	return NULL;
}

static void module_destroy(struct p11_module *m)
{
	if (m->ctx != NULL && m->functions != NULL)
		PKCS11_CTX_unload(m->ctx);
	else if (m->serial && m->functions != NULL)
		(void)m->functions->C_Finalize(NULL);
	if (m->ctx != NULL)
		PKCS11_CTX_free(m->ctx);
	if (m->handle != NULL)
		(void)dlclose(m->handle);
	(void)pthread_mutex_destroy(&m->ctx_lock);
	free(m->path);
	free(m);
}

static enum err take_functions(struct p11_module *m, int flags, struct err_detail *detail)
{
	CK_C_GetFunctionList get = NULL;
	void *symbol;

	m->handle = dlopen(m->path, flags);
	symbol = m->handle != NULL ? dlsym(m->handle, "C_GetFunctionList") : NULL;
	if (symbol == NULL) {
		err_detail_set(detail, "%s: %s", m->path,
			       m->handle == NULL ? dlerror()
						 : "no PKCS#11 module (C_GetFunctionList)");
		return ERR_MODULE;
	}
	memcpy(&get, &symbol, sizeof(get)); /* ISO C knows no way from void * to a function */
	if (get(&m->functions) != CKR_OK || m->functions == NULL) {
		err_detail_set(detail, "%s: C_GetFunctionList failed", m->path);
		return ERR_MODULE;
	}
	return ERR_OK;
}

/* A module that has no locks works without the flag, when one thread makes all calls. */
static enum err load_serial(struct p11_module *m, struct err_detail *detail)
{
	enum err e = take_functions(m, RTLD_NOW, detail);
	CK_RV rv = e == ERR_OK ? m->functions->C_Initialize(NULL) : CKR_OK;

	if (e == ERR_OK && ckr_info(rv)->class != CKR_CLASS_OK) {
		m->functions = NULL;
		(void)ckr_error("C_Initialize", rv, detail);
		e = ERR_MODULE;
	}
	m->serial = e == ERR_OK;
	return e;
}

static enum err load_by_libp11(struct p11_module *m, struct err_detail *detail)
{
	unsigned long queue;
	int reason;

	m->ctx = PKCS11_CTX_new();
	if (m->ctx == NULL)
		return ERR_NOMEM;
	ERR_clear_error();
	if (PKCS11_CTX_load(m->ctx, m->path) == 0)
		return take_functions(m, RTLD_NOW | RTLD_NOLOAD, detail);
	queue = ERR_peek_last_error();
	reason = ERR_GET_REASON(queue); /* a CKR code where C_Initialize failed */
	PKCS11_CTX_free(m->ctx);
	m->ctx = NULL;
	if (reason == CKR_CANT_LOCK || reason == CKR_NEED_TO_CREATE_THREADS)
		return load_serial(m, detail);
	if (ckr_info((unsigned long)reason)->code == (unsigned long)reason && reason != 0)
		(void)ckr_error("C_Initialize", (unsigned long)reason, detail);
	else
		err_detail_set(detail, "%s",
			       queue != 0 ? ERR_reason_error_string(queue) : "cannot be loaded");
	err_detail_prefix(detail, "%s: ", m->path);
	ERR_clear_error();
	return ERR_MODULE;
}

static enum err load_new(const char *path, const struct stat *st, struct p11_module **ret_module,
			 struct err_detail *detail)
{
	struct p11_module *m = calloc(1, sizeof(*m));
	enum err e;

	if (m == NULL)
		return ERR_NOMEM;
	m->path = strdup(path);
	m->dev = st->st_dev;
	m->ino = st->st_ino;
	m->refs = 1;
	(void)pthread_mutex_init(&m->ctx_lock, NULL);
	e = m->path != NULL ? load_by_libp11(m, detail) : ERR_NOMEM;
	if (e != ERR_OK) {
		module_destroy(m);
		return e;
	}
	*ret_module = m;
	return ERR_OK;
}

enum err p11_module_load(const char *path, struct p11_module **ret_module,
			 struct err_detail *detail)
{
	struct p11_module *m;
	struct stat st;
	enum err e;

	if (path[0] != '/' || stat(path, &st) != 0) {
		err_detail_set(detail, "%s: %s", path,
			       path[0] != '/' ? "a module is named by its whole path"
					      : "no such module (is its package installed?)");
		return ERR_MODULE;
	}
	(void)pthread_mutex_lock(&lock);
	m = find_loaded(&st);
	if (m != NULL)
		m->refs++;
	(void)pthread_mutex_unlock(&lock);
	if (m != NULL) {
		*ret_module = m;
		return ERR_OK;
	}
	/* Not under the lock: C_Initialize may hang. The signer loads each file from one thread. */
	e = load_new(path, &st, &m, detail);
	if (e != ERR_OK)
		return e;
	(void)pthread_mutex_lock(&lock);
	m->next = loaded;
	loaded = m;
	(void)pthread_mutex_unlock(&lock);
	*ret_module = m;
	return ERR_OK;
}

void p11_module_unload(struct p11_module **module)
{
	struct p11_module *m;
	struct p11_module **link;

	if (module == NULL || *module == NULL)
		return;
	m = *module;
	*module = NULL;
	(void)pthread_mutex_lock(&lock);
	if (--m->refs > 0)
		m = NULL;
	for (link = &loaded; m != NULL && *link != NULL; link = &(*link)->next) {
		if (*link == m) {
			*link = m->next;
			break;
		}
	}
	(void)pthread_mutex_unlock(&lock);
	if (m != NULL)
		module_destroy(m);
}

const char *p11_module_path(const struct p11_module *module)
{
	return module->path;
}

bool p11_module_serial(const struct p11_module *module)
{
	return module->serial;
}

CK_FUNCTION_LIST *p11_module_functions(const struct p11_module *module)
{
	return module->functions;
}

static enum err slots_by_cryptoki(struct p11_module *m, CK_SLOT_ID **ret_slots, size_t *ret_count,
				  struct err_detail *detail)
{
	CK_SLOT_ID *slots;
	CK_ULONG count = 0;
	CK_RV rv = m->functions->C_GetSlotList(CK_TRUE, NULL, &count);

	if (rv != CKR_OK)
		return ckr_error("C_GetSlotList", rv, detail);
	count += 16; /* a token that comes meanwhile */
	slots = calloc(count, sizeof(*slots));
	if (slots == NULL)
		return ERR_NOMEM;
	rv = m->functions->C_GetSlotList(CK_TRUE, slots, &count);
	if (rv != CKR_OK) {
		free(slots);
		return ckr_error("C_GetSlotList", rv, detail);
	}
	*ret_slots = slots;
	*ret_count = count;
	return ERR_OK;
}

/* @return NULL when libp11 fails as a whole */
static CK_SLOT_ID *slots_by_libp11(PKCS11_CTX *ctx, size_t *ret_count)
{
	PKCS11_SLOT *list = NULL;
	unsigned n = 0;
	CK_SLOT_ID *slots;

	if (PKCS11_enumerate_slots(ctx, &list, &n) != 0) {
		ERR_clear_error();
		return NULL;
	}
	slots = calloc(n + 1, sizeof(*slots));
	*ret_count = 0;
	for (unsigned i = 0; slots != NULL && i < n; i++)
		if (list[i].token != NULL)
			slots[(*ret_count)++] = PKCS11_get_slotid_from_slot(&list[i]);
	PKCS11_release_all_slots(ctx, list, n);
	return slots;
}

enum err p11_module_slots(struct p11_module *module, CK_SLOT_ID **ret_slots, size_t *ret_count,
			  struct err_detail *detail)
{
	CK_SLOT_ID *slots = NULL;

	if (module->ctx != NULL) {
		(void)pthread_mutex_lock(&module->ctx_lock);
		slots = slots_by_libp11(module->ctx, ret_count);
		(void)pthread_mutex_unlock(&module->ctx_lock);
	}
	if (slots == NULL)
		return slots_by_cryptoki(module, ret_slots, ret_count, detail);
	*ret_slots = slots;
	return ERR_OK;
}
