//! Moves a whole TimescaleDB or PostgreSQL database to this server with one SQL call.
//!
//! `api` is what SQL calls; `run` makes a run out of `source` (what is asked of the other
//! server) and `target` (what is built here); `core` is pure; `pg` and `libpq` fence the
//! unsafe code of the two sides.

pgrx::pg_module_magic!(name, version);

mod api;
mod core;
mod error;
mod libpq;
mod pg;
mod run;
mod source;
mod target;

pgrx::extension_sql_file!("../sql/tables.sql", name = "tables", bootstrap);
pgrx::extension_sql_file!("../sql/views.sql", name = "views", requires = ["tables"]);
pgrx::extension_sql_file!("../sql/target/made.sql", name = "made", requires = ["tables"]);
pgrx::extension_sql_file!("../sql/wrapper.sql", name = "wrapper", requires = [api::validator]);
pgrx::extension_sql_file!("../sql/job.sql", name = "job", requires = [api::migrate_from]);
pgrx::extension_sql_file!(
    "../sql/comments.sql",
    name = "comments",
    requires = [
        api::migrate_preflight,
        api::migrate_plan,
        api::migrate_from,
        api::migrate_resume,
        api::migrate_cancel,
        api::migrate_cleanup,
        api::migrate_verify_source,
        api::migrate_verify_run
    ]
);
pgrx::extension_sql_file!("../sql/target/names.sql", name = "names", requires = ["tables"]);
pgrx::extension_sql_file!("../sql/target/chunk_parts.sql", name = "chunk_parts", requires = ["tables"]);
pgrx::extension_sql_file!("../sql/target/chunk_index.sql", name = "chunk_index", requires = ["tables"]);
pgrx::extension_sql_file!("../sql/target/chunk.sql", name = "chunk", requires = ["chunk_parts"]);
pgrx::extension_sql_file!("../sql/target/chunk_own.sql", name = "chunk_own", requires = ["tables"]);
pgrx::extension_sql_file!("../sql/target/hypertable.sql", name = "hypertable", requires = ["tables"]);
pgrx::extension_sql_file!("../sql/target/compression.sql", name = "compression", requires = ["chunk"]);
pgrx::extension_sql_file!("../sql/target/chunk_skipping.sql", name = "chunk_skipping", requires = ["compression"]);
pgrx::extension_sql_file!("../sql/target/sparse_index.sql", name = "sparse_index", requires = ["compression"]);
pgrx::extension_sql_file!("../sql/target/delete_rows.sql", name = "delete_rows", requires = ["tables"]);
pgrx::extension_sql_file!("../sql/target/cagg.sql", name = "cagg", requires = ["chunk", "delete_rows"]);
pgrx::extension_sql_file!("../sql/target/analyze.sql", name = "analyze", requires = ["tables"]);
pgrx::extension_sql_file!("../sql/target/routed.sql", name = "routed", requires = ["tables"]);
pgrx::extension_sql_file!("../sql/target/jobs.sql", name = "jobs", requires = ["cagg"]);
pgrx::extension_sql_file!("../sql/privileges.sql", name = "privileges", finalize);
