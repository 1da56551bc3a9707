/* report.h - what training and evaluation found, for people and as members of a JSON object. */
#ifndef TOPWORK_CLI_REPORT_H
#define TOPWORK_CLI_REPORT_H

#include "session.h"

/* Pictures passed over: those the data set listed, then those that could not be read. report may be
 * NULL. */
void report_skipped_text(const tw_dataset *dataset, const tw_report *report);
void report_skipped_json(js *j, const tw_dataset *dataset, const tw_report *report);
size_t report_skipped_count(const tw_dataset *dataset, const tw_report *report);

/* Classes and how many photos each has. */
void report_classes_text(const tw_dataset *dataset);

/* "backbone: ..." of an opened backbone. */
void report_backbone_text(const tw_backbone *backbone);

/* Accuracy, confusion, per-class table, times. */
void report_text(const tw_report *report);

/* The members that train and evaluate share: accuracy ... photos_per_second. */
void report_json(js *j, const tw_report *report);

/* The member "unknown", after tw_report_unknown(). */
void report_unknown_json(js *j, const tw_report *report, size_t skipped);

/* " (mean of 10 views, 3 layers)", of one view and one layer nothing. */
void report_views_text(const tw_summary *sum);
void report_views_json(js *j, const tw_summary *sum); /* "views" and "layers", likewise */
const char *report_precision_name(tw_precision precision);

/* js_name_fn over one part of a report's files, over its classes, over a data set's classes. */
const char *report_train_file(const void *report, size_t i);
const char *report_test_file(const void *report, size_t i);
const char *report_class_at(const void *report, size_t i);
const char *dataset_class_at(const void *dataset, size_t i);
const char *dataset_path_at(const void *dataset, size_t i);

#endif
