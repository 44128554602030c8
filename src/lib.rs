//! Moves a whole TimescaleDB or PostgreSQL database to this server with one SQL call.
//!
//! `api` is what SQL calls; `run` makes a run out of `source` (what is asked of the other
//! server) and `target` (what is made on the target); `core` is pure; `pg` and `libpq` fence the
//! unsafe code of the two sides.

pgrx::pg_module_magic!(name, version);

mod api;
mod catalog;
mod core;
mod entry;
mod error;
mod internal;
mod libpq;
mod pg;
mod run;
mod source;
mod target;

pgrx::extension_sql_file!("../sql/install/state.sql", name = "tables", bootstrap);
pgrx::extension_sql_file!("../sql/install/views.sql", name = "views", requires = ["tables"]);
pgrx::extension_sql_file!("../sql/functions/made.sql", name = "made", requires = ["tables"]);
pgrx::extension_sql_file!("../sql/install/wrapper.sql", name = "wrapper", requires = [internal::validator]);
pgrx::extension_sql_file!("../sql/install/job.sql", name = "job", requires = [api::migrate_from]);
pgrx::extension_sql_file!(
    "../sql/install/comments.sql",
    name = "comments",
    requires = [
        api::migrate_preflight,
        api::migrate_plan,
        api::migrate_suggest,
        api::migrate_from,
        api::migrate_resume,
        api::migrate_wait,
        api::migrate_start_jobs,
        api::migrate_cancel,
        api::migrate_cleanup,
        api::migrate_verify_source,
        api::migrate_verify_run
    ]
);
pgrx::extension_sql_file!("../sql/functions/names.sql", name = "names", requires = ["tables"]);
pgrx::extension_sql_file!("../sql/functions/chunk_parts.sql", name = "chunk_parts", requires = ["tables"]);
pgrx::extension_sql_file!("../sql/functions/chunk_index.sql", name = "chunk_index", requires = ["tables"]);
pgrx::extension_sql_file!("../sql/functions/slice.sql", name = "slice", requires = ["tables"]);
pgrx::extension_sql_file!(
    "../sql/functions/create_chunks.sql",
    name = "create_chunks",
    requires = ["chunk_parts", "slice"]
);
pgrx::extension_sql_file!("../sql/functions/chunk_own.sql", name = "chunk_own", requires = ["tables"]);
pgrx::extension_sql_file!("../sql/functions/hypertable.sql", name = "hypertable", requires = ["tables"]);
pgrx::extension_sql_file!("../sql/functions/compression.sql", name = "compression", requires = ["create_chunks"]);
pgrx::extension_sql_file!("../sql/functions/chunk_skipping.sql", name = "chunk_skipping", requires = ["compression"]);
pgrx::extension_sql_file!("../sql/functions/sparse_index.sql", name = "sparse_index", requires = ["compression"]);
pgrx::extension_sql_file!("../sql/functions/delete_rows.sql", name = "delete_rows", requires = ["tables"]);
pgrx::extension_sql_file!("../sql/functions/cagg.sql", name = "cagg", requires = ["create_chunks", "delete_rows"]);
pgrx::extension_sql_file!("../sql/functions/cagg_watermark.sql", name = "cagg_watermark", requires = ["cagg"]);
pgrx::extension_sql_file!("../sql/functions/analyze.sql", name = "analyze", requires = ["tables"]);
pgrx::extension_sql_file!("../sql/functions/routed.sql", name = "routed", requires = ["tables"]);
pgrx::extension_sql_file!("../sql/functions/policies_and_jobs.sql", name = "policies_and_jobs", requires = ["cagg"]);
pgrx::extension_sql_file!("../sql/install/privileges.sql", name = "privileges", finalize);
