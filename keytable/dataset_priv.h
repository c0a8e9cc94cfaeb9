/*
 * The seam behind dataset.h: one const struct dataset_kind a kind. What a kind keeps hangs on the
 * set.
 */
#ifndef KEYTABLE_DATASET_PRIV_H
#define KEYTABLE_DATASET_PRIV_H

#include "keytable/dataset.h"
#include "keytable/rows.h"

struct dataset_pattern; /* dataset_refile.c */
#define DATASET_CLASSES 4

struct dataset {
	const struct dataset_kind *kind;
	const char *name;    /**< the setting's */
	struct files *files; /**< where its errors go */
	unsigned flags;
	char *origin; /**< for messages: the path, or the setting's name for csl */
	char *text; /**< csl, an lmdb: in memory: the text itself; NULL: it belongs to the files */
	int fd;	    /**< lmdb: the files' own */
	struct rows rows;		  /**< file, csl, refile */
	struct dataset_pattern *patterns; /**< refile: those that no index finds */
	size_t pattern_count;
	size_t longest_part[DATASET_CLASSES]; /**< refile: no look-up of anything longer */
};

struct dataset_kind {
	const char *prefix;
	/** @param rest the spec behind the prefix; set->flags and set->kind are set. On failure the
	 * caller frees the set with close. */
	enum err (*open)(struct dataset *set, const char *name, const char *rest,
			 struct files *files, struct err_detail *detail);
	void (*close)(struct dataset *set);
	/**
	 * The first row at or behind *cursor that matches key; *cursor moves behind it. Starts at
	 * 0.
	 * @return ERR_NOT_FOUND, ERR_IO
	 */
	enum err (*next)(const struct dataset *set, struct slice key, uint32_t *cursor,
			 struct dataset_row *ret_row);
	/** The same for kinds that stay in their file (then next is NULL). @param room as
	 * dataset_read() */
	enum err (*read)(const struct dataset *set, struct slice key, uint32_t *cursor,
			 struct buf *room, struct dataset_row *ret_row);
	/** As dataset_each(). */
	enum err (*each)(const struct dataset *set,
			 bool (*fn)(void *ctx, struct slice key, struct slice value,
				    const char *origin),
			 void *ctx);
	size_t (*count)(const struct dataset *set);
	bool is_pattern;
	bool is_list; /**< in the configuration itself: rows are entries, not lines */
};

extern const struct dataset_kind dataset_kind_file;
extern const struct dataset_kind dataset_kind_csl;
extern const struct dataset_kind dataset_kind_refile;
extern const struct dataset_kind dataset_kind_lmdb;
extern const struct dataset_kind dataset_kind_mdb;

/** Read path as lines into set->rows, without the index; checks DATASET_NEED_VALUE. */
NODISCARD enum err dataset_load_lines(struct dataset *set, const char *name, const char *path,
				      struct files *files, struct err_detail *detail);

/** Check DATASET_NEED_VALUE, build the index and check DATASET_UNIQUE. */
NODISCARD enum err dataset_index(struct dataset *set, row_class_fn classify,
				 struct err_detail *detail);

/** Put "PATH:LINE: " or "entry N of SETTING: " before an error. @param number from 1 */
void dataset_place(const struct dataset *set, unsigned long number, struct err_detail *detail);

/* The functions of kinds that keep all rows in memory. */
void dataset_close_rows(struct dataset *set);
enum err dataset_next_row(const struct dataset *set, struct slice key, uint32_t *cursor,
			  struct dataset_row *ret_row);
enum err dataset_each_row(const struct dataset *set,
			  bool (*fn)(void *ctx, struct slice key, struct slice value,
				     const char *origin),
			  void *ctx);
size_t dataset_count_rows(const struct dataset *set);

#endif
