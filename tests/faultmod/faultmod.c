/* A proxy in front of a real PKCS#11 module that fails by a script: see README.md. */
#include "call.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

#define X(name, parameters, arguments)                                                             \
	CK_RV fault_##name parameters                                                              \
	{                                                                                          \
		struct call call;                                                                  \
		CK_RV rv;                                                                          \
                                                                                                   \
		if (call_begin(&call, FN_##name, &rv))                                             \
			rv = proxy_state.real->name arguments;                                     \
		return call_end(&call, rv);                                                        \
	}
PLAIN_FUNCTIONS(X)
#undef X

EXPORT CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list);

static CK_FUNCTION_LIST proxy = { .C_GetFunctionList = C_GetFunctionList,
#define X(name, parameters, arguments) .name = fault_##name,
				  ALL_FUNCTIONS(X)
#undef X
};

static CK_RV load_real(void)
{
	const char *path = getenv("HSMDKIM_FAULT_MODULE");
	void *handle = path != NULL ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
	void *symbol = handle != NULL ? dlsym(handle, "C_GetFunctionList") : NULL;
	CK_C_GetFunctionList get = NULL;

	if (symbol == NULL)
		return CKR_GENERAL_ERROR;
	memcpy(&get, &symbol, sizeof(get));
	return get(&proxy_state.real);
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **list)
{
	CK_RV rv = CKR_OK;

	(void)pthread_mutex_lock(&proxy_state.lock);
	if (proxy_state.real == NULL)
		rv = load_real();
	if (rv == CKR_OK) {
		proxy.version = proxy_state.real->version;
		*list = &proxy;
	}
	(void)pthread_mutex_unlock(&proxy_state.lock);
	return rv;
}
