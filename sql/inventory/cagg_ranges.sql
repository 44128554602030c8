-- Ranges that a refresh has taken from the invalidation log of a continuous aggregate, and has not materialized because it was interrupted.
-- Run on: source. TimescaleDB with `catalog.materialization_ranges` of server.sql (2.22 and later), any edition.
-- Returns: one JSON object per continuous aggregate that has such ranges; timescale_migrate.set_cagg_state() takes an array of them.
SELECT json_build_object(
    'schema', a.user_view_schema,
    'name', a.user_view_name,
    'invalidations', json_agg(json_build_array(r.lowest_modified_value, r.greatest_modified_value)
                              ORDER BY r.lowest_modified_value, r.greatest_modified_value)
)::text
FROM _timescaledb_catalog.continuous_aggs_materialization_ranges r
JOIN _timescaledb_catalog.continuous_agg a ON a.mat_hypertable_id = r.materialization_id
GROUP BY a.mat_hypertable_id, a.user_view_schema, a.user_view_name
ORDER BY a.mat_hypertable_id
