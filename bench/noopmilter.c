/*
 * A filter that does nothing but add one constant header field: what libmilter and the MTA's
 * protocol cost by themselves. It asks for what a signer needs (sender, recipients, fields, body)
 * and takes every no-reply flag that is offered, as hsmdkim does.
 */
#include <libmilter/mfapi.h>
#include <stdio.h>
#include <stdlib.h>

#define NO_REPLIES                                                                                 \
	(SMFIP_NR_CONN | SMFIP_NR_HELO | SMFIP_NR_MAIL | SMFIP_NR_RCPT | SMFIP_NR_DATA |           \
	 SMFIP_NR_HDR | SMFIP_NR_EOH | SMFIP_NR_BODY | SMFIP_NR_UNKN)
#define NOT_NEEDED (SMFIP_NOHELO | SMFIP_NODATA | SMFIP_NOUNKNOWN)

static sfsistat on_negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps,
			     unsigned long f2, unsigned long f3, unsigned long *ret_actions,
			     unsigned long *ret_steps, unsigned long *ret_f2, unsigned long *ret_f3)
{
	(void)ctx;
	(void)f2;
	(void)f3;
	if ((steps & NO_REPLIES) != NO_REPLIES || (actions & SMFIF_ADDHDRS) == 0)
		return SMFIS_REJECT;
	*ret_actions = SMFIF_ADDHDRS;
	*ret_steps = steps & (NO_REPLIES | NOT_NEEDED);
	*ret_f2 = 0;
	*ret_f3 = 0;
	return SMFIS_CONTINUE;
}

static sfsistat on_connect(SMFICTX *ctx, char *host, _SOCK_ADDR *address)
{
	(void)ctx;
	(void)host;
	(void)address;
	return SMFIS_NOREPLY;
}

static sfsistat on_address(SMFICTX *ctx, char **arguments)
{
	(void)ctx;
	(void)arguments;
	return SMFIS_NOREPLY;
}

static sfsistat on_header(SMFICTX *ctx, char *name, char *value)
{
	(void)ctx;
	(void)name;
	(void)value;
	return SMFIS_NOREPLY;
}

static sfsistat on_end_of_header(SMFICTX *ctx)
{
	(void)ctx;
	return SMFIS_NOREPLY;
}

static sfsistat on_body(SMFICTX *ctx, unsigned char *data, size_t len)
{
	(void)ctx;
	(void)data;
	(void)len;
	return SMFIS_NOREPLY;
}

static sfsistat on_end_of_message(SMFICTX *ctx)
{
	static char name[] = "X-Noop";
	static char value[] = "yes";

	return smfi_insheader(ctx, 0, name, value) == MI_SUCCESS ? SMFIS_ACCEPT : SMFIS_TEMPFAIL;
}

int main(int argc, char **argv)
{
	static char name[] = "noopmilter";
	struct smfiDesc filter = {
		.xxfi_name = name,
		.xxfi_version = SMFI_VERSION,
		.xxfi_flags = SMFIF_ADDHDRS,
		.xxfi_connect = on_connect,
		.xxfi_envfrom = on_address,
		.xxfi_envrcpt = on_address,
		.xxfi_header = on_header,
		.xxfi_eoh = on_end_of_header,
		.xxfi_body = on_body,
		.xxfi_eom = on_end_of_message,
		.xxfi_negotiate = on_negotiate,
	};

	if (argc != 2) {
		(void)fputs("usage: noopmilter local:PATH|inet:PORT@HOST\n", stderr);
		return 64;
	}
	if (smfi_register(filter) != MI_SUCCESS || smfi_setconn(argv[1]) != MI_SUCCESS ||
	    smfi_opensocket(0) != MI_SUCCESS) {
		(void)fprintf(stderr, "noopmilter: cannot listen at %s\n", argv[1]);
		return EXIT_FAILURE;
	}
	return smfi_main() == MI_SUCCESS ? EXIT_SUCCESS : EXIT_FAILURE;
}
