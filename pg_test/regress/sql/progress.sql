-- How far a run is, by the figures of its tasks alone: a comparison of checksums is most of it, foreseen before it is entered. The source's half
-- of it is done with the copies.
SET client_min_messages = warning;
CREATE EXTENSION timescale_migrate;
SELECT * FROM migrate_status();
SELECT * FROM migrate_status(99);

INSERT INTO timescale_migrate.run_log (kind, source, options, state, extension_version) VALUES
    ('migrate', 'counts', '{"verify": "count"}', 'failed', ''), ('migrate', 'checksums', '{"verify": "checksum"}', 'failed', ''),
    ('verify', 'refused', '{}', 'refused', '');
INSERT INTO timescale_migrate.task_log (run, phase, object, method, work, estimated_rows, estimated_bytes, state)
SELECT run, 'copy', 't' || n, 'COPY binary', '{}', 1000, 1000000000, 'done' FROM generate_series(1, 2) run, generate_series(1, 4) n;
SELECT run, percent, bar FROM timescale_migrate.progress ORDER BY run;

-- What was foreseen is there now, and half of it done; no share is counted twice.
INSERT INTO timescale_migrate.task_log (run, phase, object, method, work, estimated_rows, estimated_bytes, state)
SELECT run, 'verify', 't' || n, CASE run WHEN 1 THEN 'count' ELSE 'checksum' END, '{}', 1000, 1000000000,
       CASE WHEN n <= 2 THEN 'done' ELSE 'pending' END
FROM generate_series(1, 2) run, generate_series(1, 4) n;
SELECT run, percent, bar FROM timescale_migrate.progress ORDER BY run;

-- What a run says at its end is where its warnings are.
INSERT INTO timescale_migrate.message_log (run, level, phase, message) VALUES (1, 'warning', 'preflight', 'w'), (2, 'notice', 'copy', 'n');
UPDATE timescale_migrate.run_log SET state = 'done', phase = 'done' WHERE state = 'failed';
SELECT run, state, percent, message FROM timescale_migrate.progress ORDER BY run;
SELECT state, message FROM migrate_status(2);
-- A refused call is no run.
SELECT id, kind FROM timescale_migrate.run ORDER BY id;
SELECT * FROM migrate_wait(3);
DROP EXTENSION timescale_migrate;
