//! Migrations between real servers. Each module is one scenario, named after what it proves.

macro_rules! scenarios {
    ($($module:ident),* $(,)?) => {
        $(mod $module;)*

        fn main() -> std::process::ExitCode {
            cluster::suite::main(&[$((stringify!($module), $module::TESTS)),*])
        }
    };
}

mod slow;

scenarios!(
    // The longest, which mostly waits: all others run beside it.
    chaos,
    comparison,
    demo_database,
    every_dimension,
    exact_chunks,
    every_column,
    every_name,
    hostile_constants,
    hostile_definitions,
    every_type,
    every_table,
    every_object,
    owners_and_privileges,
    constraints,
    foreign_keys,
    upon_timescaledb,
    dropped_columns,
    postgresql_18,
    errors,
    one_snapshot,
    living_source,
    cancel,
    waiting,
    older_source,
    refusals,
    connecting,
    source_lost,
    preflight_servers,
    preflight_endpoint,
    preflight_room,
    preflight_jobs,
    preflight_objects,
    progress,
    verification,
    secrets,
    suggest,
    part_of_database,
    mode,
    mode_guarded,
    placement,
    compressed_chunks,
    compressed_methods,
    chunk_by_chunk,
    side_by_side,
    long_names,
    internal_tables,
    continuous_aggregates,
    caggs_otherwise,
    policies_and_jobs,
    stale_jobs,
    publications,
    community_to_apache,
    tiered_chunks,
    time_range,
    hypertables_option,
    resume,
    resume_changed,
    resume_late,
    retries,
    round_trips,
    cleanup,
    closed_target,
    malformed_copy,
    hostile_source,
    hostile_owners,
    hostile_server,
    hostile_users,
    hostile_values,
    other_settings,
    large_schema,
    small_source,
    scale,
);
