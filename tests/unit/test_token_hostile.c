/*
 * pkcs11/token*: sessions of several threads, and a module that hangs, lies about lengths, or has
 * other keys than before. A real SoftHSM token whose function list is changed in place.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/limits.h"
#include "pkcs11/keyindex.h"
#include "pkcs11/token.h"
#include "pkcs11/token_priv.h"
#include "softhsm.h"

#define THREADS 4

static struct softhsm hsm;

static struct p11_uri *uri_of(const char *text)
{
	struct p11_uri *uri = NULL;

	assert_int_equal(p11_uri_parse(slice_str(text), P11_URI_KEY, &uri, NULL), ERR_OK);
	return uri;
}

static struct token *new_token(void)
{
	const struct token_config config = { .name = "A",
					     .module_path = hsm.module_path,
					     .pin = hsm.pin };
	struct token *token = NULL;

	assert_int_equal(token_new(&config, &token), ERR_OK);
	return token;
}

struct fixture {
	struct token *token;
	struct token_session *session;
	struct token_key *key;
};

static void begin(struct fixture *f, const char *uri_text)
{
	AUTO(p11_uri_free) struct p11_uri *uri = uri_of(uri_text);
	struct err_detail detail = { "" };

	*f = (struct fixture){ .token = new_token() };
	if (token_session_open(f->token, &f->session, &detail) != ERR_OK ||
	    token_key_open(f->session, uri, &f->key, &detail) != ERR_OK)
		fail_msg("%s", detail.text);
}

static void end(struct fixture *f)
{
	softhsm_mend(&hsm);
	token_pins_forget();
	token_key_free(&f->key);
	token_session_close(&f->session);
	token_free(&f->token);
}

static void pause_ms(long ms)
{
	const struct timespec pause = { .tv_nsec = ms * 1000000L };

	(void)nanosleep(&pause, NULL);
}

static int start(void **state)
{
	(void)state;
	return softhsm_new(&hsm, "dkim", "k=rsa:1024 each=rsa:1024,always-auth spare=rsa:1024") &&
			       softhsm_load(&hsm)
		       ? 0
		       : -1;
}

static int stop(void **state)
{
	(void)state;
	softhsm_free(&hsm);
	return 0;
}

/* --- the PIN of each signature -----------------------------------------------------------------
 */

static atomic_uint context_logins;
static CK_RV context_answer;

/* A token that takes its time to say that the PIN is wrong by now. */
static CK_RV slow_refusal(CK_SESSION_HANDLE session, CK_USER_TYPE user, unsigned char *pin,
			  CK_ULONG len)
{
	if (user != CKU_CONTEXT_SPECIFIC)
		return hsm.real.C_Login(session, user, pin, len);
	atomic_fetch_add(&context_logins, 1);
	pause_ms(50);
	return context_answer;
}

static void *sign_once(void *arg)
{
	struct fixture *f = arg;
	struct token_session *session = NULL;
	bool reload = false;

	if (token_session_open(f->token, &session, NULL) != ERR_OK ||
	    token_key_test(session, f->key, &reload, NULL) == ERR_OK)
		return NULL; /* neither is as it should be */
	token_session_close(&session);
	return arg;
}

static void a_pin_refused_for_one_signature_is_sent_by_no_other(void **state)
{
	pthread_t threads[THREADS];
	struct fixture f;

	(void)state;
	begin(&f, "pkcs11:object=each");
	atomic_store(&context_logins, 0);
	context_answer = CKR_PIN_INCORRECT;
	hsm.list->C_Login = slow_refusal;
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, sign_once, &f), 0);
	for (size_t i = 0; i < THREADS; i++) {
		void *result = NULL;

		assert_int_equal(pthread_join(threads[i], &result), 0);
		assert_ptr_equal(result, &f);
	}
	assert_int_equal(atomic_load(&context_logins), 1);
	assert_true(token_pin_refused(f.token));
	end(&f);
}

static CK_RV info_final_try(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
	CK_RV rv = hsm.real.C_GetTokenInfo(slot, info);

	info->flags |= CKF_USER_PIN_FINAL_TRY;
	return rv;
}

static void the_final_try_is_not_spent_on_one_signature(void **state)
{
	struct err_detail detail = { "" };
	struct fixture f;
	bool reload = false;

	(void)state;
	begin(&f, "pkcs11:object=each");
	atomic_store(&context_logins, 0);
	hsm.list->C_Login = slow_refusal;
	hsm.list->C_GetTokenInfo = info_final_try;
	assert_int_equal(token_key_test(f.session, f.key, &reload, &detail), ERR_TOKEN_PIN);
	assert_int_equal(atomic_load(&context_logins), 0);
	assert_non_null(strstr(detail.text, "next wrong PIN locks"));
	end(&f);
}

/* --- a call that hangs -------------------------------------------------------------------------
 */

static atomic_bool hanging;
static atomic_bool released;

static CK_RV open_hangs(CK_SLOT_ID slot, CK_FLAGS flags, void *app, CK_NOTIFY notify,
			CK_SESSION_HANDLE *ret)
{
	atomic_store(&hanging, true);
	while (!atomic_load(&released))
		pause_ms(1);
	return hsm.real.C_OpenSession(slot, flags, app, notify, ret);
}

static void *open_session(void *arg)
{
	struct token_session *session = NULL;

	if (token_session_open(arg, &session, NULL) == ERR_OK)
		token_session_close(&session);
	return NULL;
}

/* Else one hung call would cost the signatures of all sessions that are well. */
static void a_session_that_cannot_be_opened_does_not_stop_the_others(void **state)
{
	struct fixture f;
	pthread_t thread;
	bool reload = false;

	(void)state;
	begin(&f, "pkcs11:object=k");
	atomic_store(&hanging, false);
	atomic_store(&released, false);
	hsm.list->C_OpenSession = open_hangs;
	assert_int_equal(pthread_create(&thread, NULL, open_session, f.token), 0);
	while (!atomic_load(&hanging))
		pause_ms(1);
	assert_int_equal(token_key_test(f.session, f.key, &reload, NULL), ERR_OK);
	atomic_store(&released, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	end(&f);
}

/* --- lengths that are lies ---------------------------------------------------------------------
 */

static CK_RV slots_beyond(unsigned char present, CK_SLOT_ID *slots, CK_ULONG *count)
{
	CK_RV rv = hsm.real.C_GetSlotList(present, slots, count);

	if (slots != NULL)
		*count = 1000000;
	return rv;
}

static void a_slot_list_longer_than_its_room_is_refused(void **state)
{
	struct token_session *session = NULL;
	struct err_detail detail = { "" };
	struct token *token = new_token();

	(void)state;
	hsm.list->C_GetSlotList = slots_beyond;
	assert_int_equal(token_session_open(token, &session, &detail), ERR_TOKEN_FAILED);
	assert_non_null(strstr(detail.text, "C_GetSlotList"));
	softhsm_mend(&hsm);
	token_free(&token);
}

static CK_RV find_without_end(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *found, CK_ULONG max,
			      CK_ULONG *ret_count)
{
	(void)session;
	memset(found, 0, max * sizeof(*found));
	*ret_count = max;
	return CKR_OK;
}

static CK_RV find_beyond(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *found, CK_ULONG max,
			 CK_ULONG *ret_count)
{
	CK_RV rv = hsm.real.C_FindObjects(session, found, max, ret_count);

	*ret_count = max + 1;
	return rv;
}

static void a_search_that_lies_is_an_error(void **state)
{
	static const CK_C_FindObjects lies[] = { find_without_end, find_beyond };
	AUTO(p11_uri_free) struct p11_uri *uri = uri_of("pkcs11:object=k");

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
		struct token_session *session = NULL;
		struct err_detail detail = { "" };
		struct token_key *key = NULL;
		struct token *token = new_token();

		assert_int_equal(token_session_open(token, &session, NULL), ERR_OK);
		hsm.list->C_FindObjects = lies[i];
		assert_int_equal(token_key_open(session, uri, &key, &detail), ERR_TOKEN_FAILED);
		assert_non_null(strstr(detail.text, "C_FindObjects"));
		softhsm_mend(&hsm);
		token_session_close(&session);
		token_free(&token);
	}
}

static void a_list_without_end_is_given_up(void **state)
{
	struct token_session *session = NULL;
	struct err_detail detail = { "" };
	struct keyindex *index = NULL;
	struct token *token = new_token();
	_Atomic int64_t beat_ms = 0;
	CK_SESSION_HANDLE handle = 0;
	CK_SLOT_ID *slots = NULL;
	size_t count = 0;

	(void)state;
	assert_int_equal(token_session_open(token, &session, NULL), ERR_OK); /* logs in */
	assert_int_equal(p11_module_slots(hsm.module, &slots, &count, NULL), ERR_OK);
	assert_int_equal(hsm.real.C_OpenSession(slots[0], CKF_SERIAL_SESSION, NULL, NULL, &handle),
			 CKR_OK);
	assert_int_equal(
		keyindex_read(hsm.list, handle, clock_mono_ms() - 1, NULL, &index, &detail),
		ERR_TOKEN_FAILED);
	assert_non_null(strstr(detail.text, "given up"));
	assert_null(index);
	assert_int_equal(keyindex_read(hsm.list, handle, INT64_MAX, &beat_ms, &index, &detail),
			 ERR_OK);
	assert_true(atomic_load(&beat_ms) > 0);
	assert_int_equal(token_read_quiet_ms(token), -1);
	keyindex_free(&index);
	(void)hsm.real.C_CloseSession(handle);
	free(slots);
	token_session_close(&session);
	token_free(&token);
}

/* --- another key of the same name --------------------------------------------------------------
 */

static CK_OBJECT_HANDLE swapped; /* takes the place of every other key */

static CK_RV find_swapped(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *found, CK_ULONG max,
			  CK_ULONG *ret_count)
{
	CK_RV rv = hsm.real.C_FindObjects(session, found, max, ret_count);

	if (rv == CKR_OK && *ret_count > 0) {
		found[0] = swapped;
		*ret_count = 1;
	}
	return rv;
}

static CK_RV label_is_k(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *list,
			CK_ULONG count)
{
	if (object != swapped || list->type != CKA_LABEL)
		return hsm.real.C_GetAttributeValue(session, object, list, count);
	memcpy(list->pValue, "k", 1);
	list->ulValueLen = 1;
	return CKR_OK;
}

static bool stale;

static CK_RV stale_once(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
	if (stale) {
		stale = false;
		return CKR_OBJECT_HANDLE_INVALID;
	}
	return hsm.real.C_SignInit(session, mechanism, key);
}

static CK_OBJECT_HANDLE handle_of(const char *label)
{
	struct token_session *session = NULL;
	struct token *token = new_token();
	CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	CK_ATTRIBUTE wanted[] = { { CKA_CLASS, &class, sizeof(class) },
				  { CKA_LABEL, NULL, strlen(label) } };
	CK_SESSION_HANDLE handle = 0;
	CK_OBJECT_HANDLE found = 0;
	CK_SLOT_ID *slots = NULL;
	CK_ULONG count = 0;
	size_t slot_count = 0;

	memcpy(&wanted[1].pValue, &label, sizeof(label));
	assert_int_equal(token_session_open(token, &session, NULL), ERR_OK); /* logs in */
	assert_int_equal(p11_module_slots(hsm.module, &slots, &slot_count, NULL), ERR_OK);
	assert_int_equal(hsm.real.C_OpenSession(slots[0], CKF_SERIAL_SESSION, NULL, NULL, &handle),
			 CKR_OK);
	assert_int_equal(hsm.real.C_FindObjectsInit(handle, wanted, 2), CKR_OK);
	assert_int_equal(hsm.real.C_FindObjects(handle, &found, 1, &count), CKR_OK);
	assert_int_equal(hsm.real.C_FindObjectsFinal(handle), CKR_OK);
	assert_int_equal(count, 1);
	(void)hsm.real.C_CloseSession(handle);
	token_session_close(&session);
	token_free(&token);
	free(slots);
	return found;
}

/* "spare" has the name of k, whose handle means nothing any more. */
static void begin_with_another_key(struct fixture *f, CK_C_GetAttributeValue attributes)
{
	begin(f, "pkcs11:object=k");
	swapped = handle_of("spare");
	stale = true;
	token_index_outdate(f->token); /* else the one that was just read is new enough */
	hsm.list->C_FindObjects = find_swapped;
	hsm.list->C_GetAttributeValue = attributes;
	hsm.list->C_SignInit = stale_once;
}

/* The key was deleted and made anew under its name: what DNS says is another one. */
static void a_key_made_anew_under_its_name_is_another_key(void **state)
{
	struct err_detail detail = { "" };
	struct fixture f;
	bool reload = false;

	(void)state;
	begin_with_another_key(&f, label_is_k);
	assert_int_equal(token_key_test(f.session, f.key, &reload, &detail), ERR_KEY_CHANGED);
	assert_false(reload);
	end(&f);
}

static CK_OBJECT_HANDLE taken_over; /* the token gave this handle to another key */

static CK_RV sign_with_spare(CK_SESSION_HANDLE session, CK_MECHANISM *mechanism,
			     CK_OBJECT_HANDLE key)
{
	return hsm.real.C_SignInit(session, mechanism, key == taken_over ? swapped : key);
}

static CK_RV look_at_spare(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *list,
			   CK_ULONG count)
{
	return hsm.real.C_GetAttributeValue(session, object == taken_over ? swapped : object, list,
					    count);
}

/* A signature that does not fit, because the key is another one: not a token that lies. */
static void a_handle_that_means_another_key_is_noticed(void **state)
{
	struct err_detail detail = { "" };
	struct fixture f;
	bool reload = false;

	(void)state;
	begin(&f, "pkcs11:object=k");
	swapped = handle_of("spare");
	taken_over = handle_of("k");
	hsm.list->C_SignInit = sign_with_spare;
	hsm.list->C_GetAttributeValue = look_at_spare;
	assert_int_equal(token_key_test(f.session, f.key, &reload, &detail), ERR_KEY_CHANGED);
	assert_non_null(strstr(detail.text, "publish its record"));
	end(&f);
}

static CK_RV k_is_ed25519(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *list,
			  CK_ULONG count)
{
	const CK_ULONG ed25519 = CKK_EC_EDWARDS;

	if (object == swapped && list->type == CKA_KEY_TYPE && list->pValue != NULL) {
		memcpy(list->pValue, &ed25519, sizeof(ed25519));
		list->ulValueLen = sizeof(ed25519);
		return CKR_OK;
	}
	if (object == swapped && list->type != CKA_KEY_TYPE && list->type != CKA_LABEL)
		return CKR_ATTRIBUTE_TYPE_INVALID;
	return label_is_k(session, object, list, count);
}

static void a_key_of_another_type_under_its_name_is_another_key(void **state)
{
	struct err_detail detail = { "" };
	struct fixture f;
	bool reload = false;

	(void)state;
	begin_with_another_key(&f, k_is_ed25519);
	assert_int_equal(token_key_test(f.session, f.key, &reload, &detail), ERR_KEY_CHANGED);
	end(&f);
}

/* --- a key that cannot be looked at ------------------------------------------------------------
 */

static CK_RV attributes_fail(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE *list,
			     CK_ULONG count)
{
	(void)session;
	(void)object;
	(void)list;
	(void)count;
	return CKR_DEVICE_ERROR;
}

/* Whoever is told that its key changed does not ask for it again. */
static void a_key_that_cannot_be_looked_at_has_not_changed(void **state)
{
	struct err_detail detail = { "" };
	struct fixture f;
	bool reload = false;

	(void)state;
	begin(&f, "pkcs11:object=k");
	stale = true;
	hsm.list->C_GetAttributeValue = attributes_fail;
	hsm.list->C_SignInit = stale_once;
	assert_int_equal(token_key_test(f.session, f.key, &reload, &detail), ERR_TOKEN_FAILED);
	assert_non_null(strstr(detail.text, "could not be looked at"));
	assert_false(reload);
	hsm.list->C_GetAttributeValue = hsm.real.C_GetAttributeValue;
	assert_int_equal(token_key_test(f.session, f.key, &reload, &detail), ERR_OK);
	end(&f);
}

static void a_signature_that_fits_no_key_to_be_looked_at_is_a_lie(void **state)
{
	struct err_detail detail = { "" };
	struct fixture f;
	bool reload = false;

	(void)state;
	begin(&f, "pkcs11:object=k");
	swapped = handle_of("spare");
	taken_over = handle_of("k");
	hsm.list->C_SignInit = sign_with_spare;
	hsm.list->C_GetAttributeValue = attributes_fail;
	assert_int_equal(token_key_test(f.session, f.key, &reload, &detail), ERR_TOKEN_LIED);
	end(&f);
}

static struct token *detached; /* by another thread, while a key is looked at */

static CK_RV gone_and_detached(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object,
			       CK_ATTRIBUTE *list, CK_ULONG count)
{
	(void)session;
	(void)object;
	(void)list;
	(void)count;
	(void)pthread_mutex_lock(&detached->lock);
	token_detach(detached);
	(void)pthread_mutex_unlock(&detached->lock);
	return CKR_OBJECT_HANDLE_INVALID;
}

/* What asks for a new process must have been seen. */
static void a_token_without_an_index_has_not_lost_all_keys(void **state)
{
	struct err_detail detail = { "" };
	struct fixture f;
	bool reload = false;

	(void)state;
	begin(&f, "pkcs11:object=k");
	detached = f.token;
	stale = true;
	hsm.list->C_GetAttributeValue = gone_and_detached;
	hsm.list->C_SignInit = stale_once;
	assert_int_equal(token_key_test(f.session, f.key, &reload, &detail), ERR_KEY_MISSING);
	assert_false(reload);
	end(&f);
}

static unsigned torn_reads;

/* As SoftHSM while another process logs in: its file is empty for a moment. */
static CK_RV info_torn(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
	CK_RV rv = hsm.real.C_GetTokenInfo(slot, info);

	if (rv != CKR_OK || (info->flags & CKF_TOKEN_INITIALIZED) == 0 || torn_reads == 0)
		return rv;
	torn_reads--;
	info->flags = 0;
	return rv;
}

static void a_token_whose_file_is_written_is_looked_for_again(void **state)
{
	struct fixture f = { .token = new_token() };

	(void)state;
	hsm.list->C_GetTokenInfo = info_torn;
	torn_reads = 1000;
	assert_int_equal(token_session_open(f.token, &f.session, NULL), ERR_TOKEN_ABSENT);
	assert_in_range(torn_reads, 990, 999); /* and not for ever */
	torn_reads = 2;
	assert_int_equal(token_session_open(f.token, &f.session, NULL), ERR_OK);
	assert_int_equal(torn_reads, 0);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pin_refused_for_one_signature_is_sent_by_no_other),
		cmocka_unit_test(the_final_try_is_not_spent_on_one_signature),
		cmocka_unit_test(a_session_that_cannot_be_opened_does_not_stop_the_others),
		cmocka_unit_test(a_slot_list_longer_than_its_room_is_refused),
		cmocka_unit_test(a_search_that_lies_is_an_error),
		cmocka_unit_test(a_list_without_end_is_given_up),
		cmocka_unit_test(a_key_made_anew_under_its_name_is_another_key),
		cmocka_unit_test(a_handle_that_means_another_key_is_noticed),
		cmocka_unit_test(a_key_of_another_type_under_its_name_is_another_key),
		cmocka_unit_test(a_key_that_cannot_be_looked_at_has_not_changed),
		cmocka_unit_test(a_signature_that_fits_no_key_to_be_looked_at_is_a_lie),
		cmocka_unit_test(a_token_without_an_index_has_not_lost_all_keys),
		cmocka_unit_test(a_token_whose_file_is_written_is_looked_for_again),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
