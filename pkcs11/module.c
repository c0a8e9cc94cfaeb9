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
#include <unistd.h>

enum state { LOADING, LOADED, FAILED, CLOSING };

struct p11_module {
	struct p11_module *next;
	char *path;
	dev_t dev;
	ino_t ino;
	unsigned refs;
	enum state state;
	struct err_detail failure; /* FAILED: for those who waited */
	bool serial;
	PKCS11_CTX *ctx;	  /* NULL: we initialised it ourselves */
	bool own;		  /* and have to finalise it */
	pthread_mutex_t ctx_lock; /* libp11's slot lists are not for two threads at once */
	bool walked;		  /* by libp11 */
	void *handle;
	CK_FUNCTION_LIST *functions;
};

/* Guards the list of modules, and their refs and state. libp11 always finalises, so a file has one
 * owner; who wants it while C_Initialize or C_Finalize runs waits for that. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t state_changed = PTHREAD_COND_INITIALIZER;
static struct p11_module *modules;

static struct p11_module *find_module(const struct stat *st)
{
	for (struct p11_module *m = modules; m != NULL; m = m->next)
		if (m->dev == st->st_dev && m->ino == st->st_ino)
			return m;
	return NULL;
}

/* C_Finalize and unload, if it came that far. */
static void module_close(struct p11_module *m)
{
	if (m->ctx != NULL && m->functions != NULL)
		PKCS11_CTX_unload(m->ctx);
	else if (m->own && m->functions != NULL)
		(void)m->functions->C_Finalize(NULL);
	if (m->ctx != NULL)
		PKCS11_CTX_free(m->ctx);
	if (m->handle != NULL)
		(void)dlclose(m->handle);
}

static void module_free(struct p11_module *m)
{
	(void)pthread_mutex_destroy(&m->ctx_lock);
	free(m->path);
	free(m);
}

/* Before libp11 sees it: libp11 would write to standard error what is wrong with the file. */
static enum err open_object(struct p11_module *m, struct err_detail *detail)
{
	CK_C_GetFunctionList get = NULL;
	void *symbol;

	/* It stays mapped: threads that called it may end later, and run its clean-up then
	 * (openCryptoki's does that). C_Finalize is what ends its work. */
	m->handle = dlopen(m->path, RTLD_NOW | RTLD_NODELETE);
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

/* Most often the module, not its caller, misses something: say whose eyes it sees with. */
static void say_initialize_failed(CK_RV rv, struct err_detail *detail)
{
	struct err_detail cause = { "" };

	(void)ckr_error("C_Initialize", rv, &cause);
	if (rv == CKR_GENERAL_ERROR || rv == CKR_FUNCTION_FAILED || rv == CKR_DEVICE_ERROR)
		err_detail_set(detail,
			       "%s; the module runs as user %u: can that user read its files, and "
			       "are the variables that it needs (SOFTHSM2_CONF, ...) set?",
			       cause.text, (unsigned)geteuid());
	else
		err_detail_set(detail, "%s", cause.text);
}

static enum err init_own(struct p11_module *m, CK_C_INITIALIZE_ARGS *args,
			 struct err_detail *detail)
{
	CK_RV rv = m->functions->C_Initialize(args);

	m->own = ckr_info(rv)->class == CKR_CLASS_OK;
	if (m->own)
		return ERR_OK;
	say_initialize_failed(rv, detail);
	err_detail_prefix(detail, "%s: ", m->path);
	return ERR_MODULE;
}

/* A module that has no locks works without the flag, when one thread makes all calls. */
static enum err init_serial(struct p11_module *m, struct err_detail *detail)
{
	enum err e = init_own(m, NULL, detail);

	m->serial = e == ERR_OK;
	return e;
}

/* p11-kit's client gives whoever asks for its functions an instance with a connection of its own,
 * so that what libp11 initialised is not what we call. */
static enum err init_again(struct p11_module *m, struct err_detail *detail)
{
	CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK };
	CK_INFO info;

	if (m->ctx == NULL || m->functions->C_GetInfo(&info) != CKR_CRYPTOKI_NOT_INITIALIZED)
		return ERR_OK;
	PKCS11_CTX_unload(m->ctx);
	PKCS11_CTX_free(m->ctx);
	m->ctx = NULL;
	return init_own(m, &args, detail);
}

static enum err init_by_libp11(struct p11_module *m, struct err_detail *detail)
{
	unsigned long queue;
	int reason;

	m->ctx = PKCS11_CTX_new();
	if (m->ctx == NULL)
		return ERR_NOMEM;
	ERR_clear_error();
	if (PKCS11_CTX_load(m->ctx, m->path) == 0)
		return ERR_OK;
	queue = ERR_peek_last_error();
	reason = ERR_GET_REASON(queue); /* a CKR code where C_Initialize failed */
	PKCS11_CTX_free(m->ctx);
	m->ctx = NULL;
	if (reason == CKR_CANT_LOCK || reason == CKR_NEED_TO_CREATE_THREADS)
		return init_serial(m, detail);
	if (ckr_info((unsigned long)reason)->code == (unsigned long)reason && reason != 0)
		say_initialize_failed((CK_RV)reason, detail);
	else
		err_detail_set(detail, "%s",
			       queue != 0 ? ERR_reason_error_string(queue) : "cannot be loaded");
	err_detail_prefix(detail, "%s: ", m->path);
	ERR_clear_error();
	return ERR_MODULE;
}

static struct p11_module *module_new(const char *path, const struct stat *st)
{
	struct p11_module *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	(void)pthread_mutex_init(&m->ctx_lock, NULL);
	m->path = strdup(path);
	m->dev = st->st_dev;
	m->ino = st->st_ino;
	if (m->path == NULL) {
		module_free(m);
		return NULL;
	}
	return m;
}

/* Take the module out of the list; the lock is held. */
static void unlink_module(const struct p11_module *m)
{
	struct p11_module **link = &modules;

	while (*link != NULL && *link != m)
		link = &(*link)->next;
	if (*link != NULL)
		*link = m->next;
}

/* Drop a reference. The last one finalises, not under the lock: C_Finalize may hang. */
static void release(struct p11_module *m)
{
	bool last;

	(void)pthread_mutex_lock(&lock);
	last = --m->refs == 0;
	if (last)
		m->state = CLOSING;
	(void)pthread_mutex_unlock(&lock);
	if (!last)
		return;
	module_close(m);
	(void)pthread_mutex_lock(&lock);
	unlink_module(m);
	(void)pthread_cond_broadcast(&state_changed);
	(void)pthread_mutex_unlock(&lock);
	module_free(m);
}

/* A reference to the file's module. @return NULL: no memory; *ret_first: the caller must load it */
static struct p11_module *acquire(const char *path, const struct stat *st, bool *ret_first)
{
	struct p11_module *m;

	(void)pthread_mutex_lock(&lock);
	while ((m = find_module(st)) != NULL && m->state == CLOSING)
		(void)pthread_cond_wait(&state_changed, &lock);
	*ret_first = m == NULL;
	if (m == NULL) {
		m = module_new(path, st);
		if (m != NULL) {
			m->next = modules;
			modules = m;
		}
	}
	if (m != NULL)
		m->refs++;
	(void)pthread_mutex_unlock(&lock);
	return m;
}

/* Not under the lock: C_Initialize may hang, and other modules must not hang with it. */
static void load(struct p11_module *m)
{
	enum err e = open_object(m, &m->failure);

	if (e == ERR_OK)
		e = init_by_libp11(m, &m->failure);
	if (e == ERR_OK)
		e = init_again(m, &m->failure);
	if (e == ERR_NOMEM)
		err_detail_set(&m->failure, "%s: %s", m->path, err_text(e));
	(void)pthread_mutex_lock(&lock);
	m->state = e == ERR_OK ? LOADED : FAILED;
	if (m->state == FAILED) {
		m->functions = NULL;
		unlink_module(m); /* who comes next tries anew */
	}
	(void)pthread_cond_broadcast(&state_changed);
	(void)pthread_mutex_unlock(&lock);
}

static bool wait_loaded(struct p11_module *m)
{
	bool ok;

	(void)pthread_mutex_lock(&lock);
	while (m->state == LOADING)
		(void)pthread_cond_wait(&state_changed, &lock);
	ok = m->state == LOADED;
	(void)pthread_mutex_unlock(&lock);
	return ok;
}

enum err p11_module_load(const char *path, struct p11_module **ret_module,
			 struct err_detail *detail)
{
	struct p11_module *m;
	struct stat st;
	bool first;

	if (path[0] != '/' || stat(path, &st) != 0) {
		err_detail_set(detail, "%s: %s", path,
			       path[0] != '/' ? "a module is named by its whole path"
					      : "no such module (is its package installed?)");
		return ERR_MODULE;
	}
	m = acquire(path, &st, &first);
	if (m == NULL)
		return ERR_NOMEM;
	if (first)
		load(m);
	if (!wait_loaded(m)) {
		if (detail != NULL)
			*detail = m->failure;
		release(m);
		return ERR_MODULE;
	}
	*ret_module = m;
	return ERR_OK;
}

void p11_module_unload(struct p11_module **module)
{
	if (module == NULL || *module == NULL)
		return;
	release(*module);
	*module = NULL;
}

bool p11_module_shared(struct p11_module *module)
{
	bool shared;

	(void)pthread_mutex_lock(&lock);
	shared = module->refs > 1;
	(void)pthread_mutex_unlock(&lock);
	return shared;
}

unsigned p11_module_count(void)
{
	unsigned n = 0;

	(void)pthread_mutex_lock(&lock);
	for (const struct p11_module *m = modules; m != NULL; m = m->next)
		n++;
	(void)pthread_mutex_unlock(&lock);
	return n;
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

/* More than any HSM has; a module that claims more is not believed. */
#define SLOTS_MAX 4096u

static enum err slots_by_cryptoki(struct p11_module *m, CK_SLOT_ID **ret_slots, size_t *ret_count,
				  struct err_detail *detail)
{
	CK_SLOT_ID *slots;
	CK_ULONG count = 0;
	CK_ULONG room;
	CK_RV rv = m->functions->C_GetSlotList(CK_TRUE, NULL, &count);

	if (rv != CKR_OK)
		return ckr_error("C_GetSlotList", rv, detail);
	if (count > SLOTS_MAX)
		count = SLOTS_MAX;
	count += 16; /* a token that comes meanwhile */
	room = count;
	slots = calloc(room, sizeof(*slots));
	if (slots == NULL)
		return ERR_NOMEM;
	rv = m->functions->C_GetSlotList(CK_TRUE, slots, &count);
	if (rv != CKR_OK) {
		free(slots);
		return ckr_error("C_GetSlotList", rv, detail);
	}
	if (count > room) {
		free(slots);
		err_detail_set(detail, "C_GetSlotList: %lu slots where there was room for %lu",
			       count, room);
		return ERR_TOKEN_FAILED;
	}
	*ret_slots = slots;
	*ret_count = count;
	return ERR_OK;
}

/* @return NULL when libp11 fails as a whole */
/* libp11 walks the slots once, before there is a session: when it releases its list it closes all
 * sessions on every slot, ours among them. */
static CK_SLOT_ID *slots_by_libp11(struct p11_module *m, size_t *ret_count)
{
	PKCS11_SLOT *list = NULL;
	unsigned n = 0;
	CK_SLOT_ID *slots;

	if (m->walked)
		return NULL;
	m->walked = true;
	if (PKCS11_enumerate_slots(m->ctx, &list, &n) != 0) {
		ERR_clear_error();
		return NULL;
	}
	slots = calloc(n + 1, sizeof(*slots));
	*ret_count = 0;
	for (unsigned i = 0; slots != NULL && i < n; i++)
		if (list[i].token != NULL)
			slots[(*ret_count)++] = PKCS11_get_slotid_from_slot(&list[i]);
	PKCS11_release_all_slots(m->ctx, list, n);
	return slots;
}

enum err p11_module_slots(struct p11_module *module, CK_SLOT_ID **ret_slots, size_t *ret_count,
			  struct err_detail *detail)
{
	CK_SLOT_ID *slots = NULL;

	if (module->ctx != NULL) {
		(void)pthread_mutex_lock(&module->ctx_lock);
		slots = slots_by_libp11(module, ret_count);
		(void)pthread_mutex_unlock(&module->ctx_lock);
	}
	if (slots == NULL)
		return slots_by_cryptoki(module, ret_slots, ret_count, detail);
	*ret_slots = slots;
	return ERR_OK;
}
