-- The messages of a run that have been committed since an earlier snapshot, in their order, with the present one.
-- Run on: target, by the session that waits for a run. $1 run, $2 the earlier pg_snapshot, as text.
-- The id alone would miss some: the transaction with the later id may commit first.
SELECT json_build_array(pg_current_snapshot(), (
    SELECT coalesce(json_agg(json_build_array(m.level, m.message, m.hint) ORDER BY m.id), '[]')
    FROM timescale_migrate.message_log m
    WHERE m.run = $1 AND m.xid >= pg_snapshot_xmin($2::pg_snapshot) AND NOT pg_visible_in_snapshot(m.xid, $2::pg_snapshot)
))::text
