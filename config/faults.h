/*
 * What is wrong in the tables of one generation: gathered, so that a person who wrote a table by
 * hand mends it in one go. A set of files that has such a list (files_gather()) lets reading go on
 * behind a bad row or table; who gave it refuses the generation with files_gathered(). Not
 * thread-safe.
 */
#ifndef CONFIG_FAULTS_H
#define CONFIG_FAULTS_H

#include "base/buf.h"
#include "base/err.h"
#include "config/settings.h"

/** So many of one table are told, then how many more there are. */
#define FAULTS_TABLE_MAX 20u
/** They travel in one message of config/handover.h. */
#define FAULTS_BYTES_MAX ((size_t)60 * 1024)

struct faults {
	struct buf text;   /**< a fault a line */
	enum err first;	   /**< ERR_OK: none */
	const char *table; /**< of the last one */
	size_t kept;	   /**< of that table */
	size_t more;	   /**< of that table, not in text */
};

/** What was told last stands in front of each further error, wherever errors are gathered. */
#define FAULTS_ALSO "also wrong: "

void faults_init(struct faults *f);
void faults_done(struct faults *f);

/** Keep the text of an error, or count it. @param table the setting's name; it outlives f */
void faults_add(struct faults *f, const char *table, enum err e, const struct err_detail *detail);
/** Would the text of another one be kept? */
bool faults_has_room(const struct faults *f, const char *table);

/** How many more there were of the last table. @return the first fault's error */
enum err faults_close(struct faults *f);

/** @return all lines; without a fault the one error that detail or e says */
const char *faults_text(const struct faults *f, enum err e, const struct err_detail *detail);

/**
 * The lines as an error and others, each with the place of the setting that it names: the first
 * becomes the detail, if that is empty; the rest are warnings with FAULTS_ALSO.
 * @param s NULL: no places; @param warnings may be NULL
 */
void faults_spread(const char *text, const struct settings *s, struct err_detail *detail,
		   struct settings_warnings *warnings);

#endif
