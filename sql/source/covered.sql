-- Whether a hypertable has a chunk that covers anything of what a dropped one did: its rows may have been moved there, as compressing a
-- chunk does that is added to the one before, and as merging chunks does.
-- Run on: source. TimescaleDB 2.11 and later, any edition. :hypertable stands for the schema and the name of the hypertable or of the
-- continuous aggregate, :slices for a JSON object: the range in each dimension.
-- Returns: one JSON boolean.
SELECT to_json(EXISTS (
    SELECT FROM _timescaledb_catalog.hypertable h
    LEFT JOIN _timescaledb_catalog.continuous_agg a ON a.mat_hypertable_id = h.id
    JOIN _timescaledb_catalog.chunk k ON k.hypertable_id = h.id AND NOT coalesce((to_jsonb(k)->>'dropped')::bool, false)
    JOIN _timescaledb_catalog.chunk_constraint cc ON cc.chunk_id = k.id
    JOIN _timescaledb_catalog.dimension_slice s ON s.id = cc.dimension_slice_id
    JOIN _timescaledb_catalog.dimension d ON d.id = s.dimension_id
    JOIN json_each(:slices) w ON w.key = d.column_name
    WHERE (coalesce(a.user_view_schema, h.schema_name), coalesce(a.user_view_name, h.table_name)) = (:hypertable)
    GROUP BY k.id
    HAVING every(s.range_start < (w.value->>1)::int8 AND s.range_end > (w.value->>0)::int8)
))::text
