/* Keys on a token. */
#include "tools/genkey.h"

enum err genkey_source_token_open(const struct genkey_options *o, struct genkey_source *ret_source,
				  struct err_detail *detail)
{
	(void)o, (void)ret_source;
	err_detail_set(detail, "--token is not there yet");
	return ERR_NOT_SUPPORTED;
}
