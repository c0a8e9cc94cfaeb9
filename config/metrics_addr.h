/* MetricsListen: 127.0.0.1:PORT, [::1]:PORT, localhost:PORT or the path of a Unix socket. */
#ifndef CONFIG_METRICS_ADDR_H
#define CONFIG_METRICS_ADDR_H

#include "base/err.h"

#include <stdbool.h>

struct metrics_addr {
	bool is_path;
	char path[108]; /**< sun_path */
	bool is_inet6;
	char host[46]; /**< a loopback address, as text */
	char port[6];
};

/**
 * Metrics have no access control of their own, so an address that other machines reach is refused.
 * @return ERR_CONFIG with a detail that says what is allowed
 */
NODISCARD enum err metrics_addr_parse(const char *spec, struct metrics_addr *ret_addr,
				      struct err_detail *detail);

#endif
