-- The state of continuous aggregates: the watermark, up to which their buckets are materialized, and what was written to since.
-- Run at CREATE EXTENSION; called on the target by the coordinator. TimescaleDB 2.19 and later, Community edition.

-- Makes the next refresh of each continuous aggregate change exactly what it would change on the source: sets which buckets are
-- materialized, and which were written to since. Called when nothing is loaded any more, for all aggregates at once. Can be repeated.
--
--   specs    objects from inventory/caggs.sql
--   pending  objects from inventory/cagg_ranges.sql; for a refresh they are invalidations like the others
CREATE FUNCTION timescale_migrate.set_cagg_state(specs jsonb, pending jsonb DEFAULT '[]')
RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    spec jsonb;
    cagg_id integer;
    raw_id integer;
BEGIN
    -- Hypertables can have several aggregates, all of which describe their log.
    PERFORM timescale_migrate.delete_rows(
        '_timescaledb_catalog.continuous_aggs_hypertable_invalidation_log',
        format('WHERE hypertable_id = ANY (%L::integer[])', ARRAY(
            SELECT a.raw_hypertable_id
            FROM _timescaledb_catalog.continuous_agg a
            JOIN jsonb_array_elements(specs) s ON (a.user_view_schema, a.user_view_name) = (s->>'schema', s->>'name'))));
    INSERT INTO _timescaledb_catalog.continuous_aggs_hypertable_invalidation_log
        (hypertable_id, lowest_modified_value, greatest_modified_value)
    SELECT r.id, (i->>0)::bigint, (i->>1)::bigint
    FROM (
        SELECT DISTINCT ON (a.raw_hypertable_id) a.raw_hypertable_id AS id, s->'raw'->'invalidations' AS invalidations
        FROM jsonb_array_elements(specs) s
        JOIN _timescaledb_catalog.continuous_agg a ON (a.user_view_schema, a.user_view_name) = (s->>'schema', s->>'name')
    ) r
    CROSS JOIN jsonb_array_elements(r.invalidations) i;

    FOR spec IN SELECT jsonb_array_elements(specs) LOOP
        SELECT a.mat_hypertable_id, a.raw_hypertable_id INTO cagg_id, raw_id
        FROM _timescaledb_catalog.continuous_agg a
        WHERE (a.user_view_schema, a.user_view_name) = (spec->>'schema', spec->>'name');
        IF NOT FOUND THEN
            RAISE EXCEPTION 'continuous aggregate "%"."%" does not exist', spec->>'schema', spec->>'name'
                USING ERRCODE = 'undefined_table';
        END IF;

        UPDATE _timescaledb_catalog.continuous_aggs_watermark w SET watermark = (spec->>'watermark')::bigint
        WHERE w.mat_hypertable_id = cagg_id AND spec->>'watermark' IS NOT NULL;

        UPDATE _timescaledb_catalog.continuous_aggs_invalidation_threshold t SET watermark = (spec->'raw'->>'threshold')::bigint
        WHERE t.hypertable_id = raw_id AND spec->'raw'->>'threshold' IS NOT NULL;

        PERFORM timescale_migrate.delete_rows(
            '_timescaledb_catalog.continuous_aggs_materialization_invalidation_log', format('WHERE materialization_id = %s', cagg_id));
        INSERT INTO _timescaledb_catalog.continuous_aggs_materialization_invalidation_log
            (materialization_id, lowest_modified_value, greatest_modified_value)
        SELECT cagg_id, (i->>0)::bigint, (i->>1)::bigint
        FROM (
            SELECT jsonb_array_elements(spec->'invalidations')
            UNION ALL
            SELECT jsonb_array_elements(p->'invalidations')
            FROM jsonb_array_elements(pending) p
            WHERE (p->>'schema', p->>'name') = (spec->>'schema', spec->>'name')
        ) g(i);

        -- If a column was added to the aggregate, which is possible and recorded since 2.28.
        IF spec->>'schema_change_timestamp' IS NOT NULL AND EXISTS (
            SELECT FROM pg_catalog.pg_attribute
            WHERE attrelid = '_timescaledb_catalog.continuous_agg'::regclass AND attname = 'schema_change_timestamp' AND NOT attisdropped)
        THEN
            EXECUTE 'UPDATE _timescaledb_catalog.continuous_agg SET schema_change_timestamp = $1 WHERE mat_hypertable_id = $2'
            USING (spec->>'schema_change_timestamp')::bigint, cagg_id;
        END IF;

        -- Cached plans hold the watermark as a constant. An update of its pg_class row invalidates these plans.
        UPDATE pg_catalog.pg_class c SET relname = c.relname
        WHERE c.oid = timescale_migrate.materialization_hypertable(spec->>'schema', spec->>'name');
    END LOOP;
END
$$;
