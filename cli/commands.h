/* The commands: one file of cli/ for each noun. The table of commands is in commands.c; help, completion and
 * manual pages are made from it. */
#pragma once

#include "cli/cli.h"

extern const struct command commands[];
extern const size_t commands_n;

/* Runs the command that the arguments name, and returns its exit code. */
int commands_run(struct cli *cli, int argc, char **argv);
bool commands_have_noun(const char *word);
/* Prints the table as JSON, for whatever is made from it: each command with its arguments, options, help and
 * deed. Returns CLI_DONE. */
int commands_print_table(struct cli *cli);
/* What is true of all commands, as lines of text. */
const char *commands_notes(void);

int cmd_migrate(struct cli *cli, int argc, char **argv);
int cmd_workspace_export(struct cli *cli, int argc, char **argv);
int cmd_workspace_import(struct cli *cli, int argc, char **argv);
int cmd_workspace_discard(struct cli *cli, int argc, char **argv);
int cmd_workspace_reopen(struct cli *cli, int argc, char **argv);
int cmd_workspace_create(struct cli *cli, int argc, char **argv);
int cmd_workspace_set(struct cli *cli, int argc, char **argv);
int cmd_workspace_show(struct cli *cli, int argc, char **argv);
int cmd_workspace_list(struct cli *cli, int argc, char **argv);
int cmd_key_create(struct cli *cli, int argc, char **argv);
int cmd_key_list(struct cli *cli, int argc, char **argv);
int cmd_key_revoke(struct cli *cli, int argc, char **argv);
int cmd_operator_create(struct cli *cli, int argc, char **argv);
int cmd_operator_list(struct cli *cli, int argc, char **argv);
int cmd_operator_revoke(struct cli *cli, int argc, char **argv);
int cmd_credits_grant(struct cli *cli, int argc, char **argv);
int cmd_credits_void(struct cli *cli, int argc, char **argv);
int cmd_credits_list(struct cli *cli, int argc, char **argv);
int cmd_credits_balance(struct cli *cli, int argc, char **argv);
int cmd_credits_ledger(struct cli *cli, int argc, char **argv);
int cmd_billing_statement(struct cli *cli, int argc, char **argv);
int cmd_billing_roll_up(struct cli *cli, int argc, char **argv);
int cmd_billing_rolled_up(struct cli *cli, int argc, char **argv);
int cmd_billing_export(struct cli *cli, int argc, char **argv);
int cmd_secret_set(struct cli *cli, int argc, char **argv);
int cmd_secret_list(struct cli *cli, int argc, char **argv);
int cmd_secret_delete(struct cli *cli, int argc, char **argv);
int cmd_secret_keygen(struct cli *cli, int argc, char **argv);
int cmd_budget_list(struct cli *cli, int argc, char **argv);
int cmd_budget_set(struct cli *cli, int argc, char **argv);
int cmd_budget_remove(struct cli *cli, int argc, char **argv);
int cmd_price_set(struct cli *cli, int argc, char **argv);
int cmd_price_list(struct cli *cli, int argc, char **argv);
int cmd_credits_alerts(struct cli *cli, int argc, char **argv);
int cmd_push_add(struct cli *cli, int argc, char **argv);
int cmd_push_list(struct cli *cli, int argc, char **argv);
int cmd_push_pause(struct cli *cli, int argc, char **argv);
int cmd_push_resume(struct cli *cli, int argc, char **argv);
int cmd_push_retry(struct cli *cli, int argc, char **argv);
int cmd_push_remove(struct cli *cli, int argc, char **argv);
int cmd_webhook_list(struct cli *cli, int argc, char **argv);
int cmd_webhook_show(struct cli *cli, int argc, char **argv);
int cmd_webhook_deliveries(struct cli *cli, int argc, char **argv);
int cmd_webhook_redeliver(struct cli *cli, int argc, char **argv);
int cmd_webhook_enable(struct cli *cli, int argc, char **argv);
int cmd_webhook_disable(struct cli *cli, int argc, char **argv);
int cmd_workflow_put(struct cli *cli, int argc, char **argv);
int cmd_workflow_list(struct cli *cli, int argc, char **argv);
int cmd_workflow_archive(struct cli *cli, int argc, char **argv);
int cmd_workflow_price(struct cli *cli, int argc, char **argv);
int cmd_execution_list(struct cli *cli, int argc, char **argv);
int cmd_execution_errors(struct cli *cli, int argc, char **argv);
int cmd_execution_show(struct cli *cli, int argc, char **argv);
int cmd_execution_stop(struct cli *cli, int argc, char **argv);
int cmd_execution_tail(struct cli *cli, int argc, char **argv);
int cmd_execution_logs(struct cli *cli, int argc, char **argv);
int cmd_execution_artifacts(struct cli *cli, int argc, char **argv);
int cmd_execution_artifact(struct cli *cli, int argc, char **argv);
int cmd_dbcheck(struct cli *cli, int argc, char **argv);
int cmd_cluster_show(struct cli *cli, int argc, char **argv);
int cmd_cluster_switch(struct cli *cli, int argc, char **argv);
int cmd_backup_create(struct cli *cli, int argc, char **argv);
int cmd_backup_verify(struct cli *cli, int argc, char **argv);
int cmd_backup_restore(struct cli *cli, int argc, char **argv);
int cmd_doctor(struct cli *cli, int argc, char **argv);
int cmd_setup(struct cli *cli, int argc, char **argv);
int cmd_status(struct cli *cli, int argc, char **argv);
int cmd_executor_list(struct cli *cli, int argc, char **argv);
int cmd_audit(struct cli *cli, int argc, char **argv);
int cmd_audit_log(struct cli *cli, int argc, char **argv);
int cmd_skill_check(struct cli *cli, int argc, char **argv);
int cmd_skill_run(struct cli *cli, int argc, char **argv);
int cmd_files_store(struct cli *cli, int argc, char **argv);
int cmd_skill_install(struct cli *cli, int argc, char **argv);
int cmd_skill_list(struct cli *cli, int argc, char **argv);
int cmd_skill_remove(struct cli *cli, int argc, char **argv);
int cmd_batch_job_list(struct cli *cli, int argc, char **argv);
int cmd_batch_job_show(struct cli *cli, int argc, char **argv);
int cmd_batch_job_cancel(struct cli *cli, int argc, char **argv);
int cmd_schedule_list(struct cli *cli, int argc, char **argv);
int cmd_schedule_show(struct cli *cli, int argc, char **argv);
int cmd_schedule_pause(struct cli *cli, int argc, char **argv);
int cmd_schedule_resume(struct cli *cli, int argc, char **argv);
int cmd_schedule_trigger(struct cli *cli, int argc, char **argv);
int cmd_model_put(struct cli *cli, int argc, char **argv);
int cmd_model_list(struct cli *cli, int argc, char **argv);
int cmd_model_delete(struct cli *cli, int argc, char **argv);
int cmd_log(struct cli *cli, int argc, char **argv);
int cmd_batch(struct cli *cli, int argc, char **argv);
int cmd_completion(struct cli *cli, int argc, char **argv);
int cmd_man(struct cli *cli, int argc, char **argv);
int cmd_config(struct cli *cli, int argc, char **argv);
/* Has its own exit codes: 0 valid, 1 invalid, 2 unusable schema or input. Reads no settings. */
int cmd_schema_validate(struct cli *cli, int argc, char **argv);

struct blob_store;
struct package;
/* Stores the package's archive as a blob, which something must name within an hour. */
enum err package_to_blob(struct cli *cli, struct blob_store *blobs,
                         const struct package *package) WARN_UNUSED;
