-- Adds tasks, all pending.
-- Run on: target. $1 run, $2 a JSON array of tasks; properties that SQL reads are in fields of their own.
INSERT INTO timescale_migrate.task_log (
    run, phase, object, method, work, source, snapshot, destination, recipe, own, tables, copies, beside, estimated_rows, estimated_bytes)
SELECT $1, t.phase, t.object, t.method, t.work, t.source, t.snapshot, t.destination, t.recipe, t.own,
       -- What works on copies is about their table.
       coalesce(t.tables, (SELECT c.tables FROM timescale_migrate.task_log c WHERE c.id = t.copies[1])),
       t.copies, t.beside, greatest(t.rows, 0), greatest(t.bytes, 0)
FROM jsonb_to_recordset($2) AS t(
    phase text, object text, method text, work jsonb, source oid, snapshot integer, destination text, recipe text, own jsonb,
    tables text[], copies integer[], beside text, rows bigint, bytes bigint)
