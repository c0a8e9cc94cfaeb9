/*
 * Lets the n-th allocation fail. For test programs that are linked with the --wrap options that
 * tests/CMakeLists.txt lists; alloc_fault_init() makes OpenSSL take part.
 */
#ifndef TESTS_UNIT_ALLOC_FAULT_H
#define TESTS_UNIT_ALLOC_FAULT_H

#include <openssl/crypto.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

/* Allocations until the one that fails; 0: none fails. */
static unsigned long alloc_fault_in;

/** From the next allocation on, the n-th (1 is the next) fails, once. */
static inline void alloc_fault_arm(unsigned long n)
{
	alloc_fault_in = n;
}

/** @return true: the armed failure has happened */
static inline bool alloc_fault_disarm(void)
{
	bool hit = alloc_fault_in == 0;

	alloc_fault_in = 0;
	return hit;
}

static inline bool alloc_fault_now(void)
{
	return alloc_fault_in != 0 && --alloc_fault_in == 0;
}

void *__wrap_malloc(size_t size)
{
	return alloc_fault_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return alloc_fault_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return alloc_fault_now() ? NULL : __real_realloc(p, size);
}

static void *alloc_fault_ssl_malloc(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return size == 0 ? NULL : malloc(size);
}

static void *alloc_fault_ssl_realloc(void *p, size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return realloc(p, size);
}

static void alloc_fault_ssl_free(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	free(p);
}

/** First thing in main(), before OpenSSL allocates. @return 1: done */
static inline int alloc_fault_init(void)
{
	return CRYPTO_set_mem_functions(alloc_fault_ssl_malloc, alloc_fault_ssl_realloc,
					alloc_fault_ssl_free);
}

#endif
