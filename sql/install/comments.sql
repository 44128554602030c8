-- Comments of the functions that users call, as psql's \df+ shows them. Those of the views and the job are in their own files.
COMMENT ON FUNCTION @extschema@.migrate_preflight(text, jsonb) IS 'checks whether a migration can succeed; changes nothing';
COMMENT ON FUNCTION @extschema@.migrate_plan(text, jsonb) IS 'lists every step of a migration, with the source''s estimates; changes nothing';
COMMENT ON FUNCTION @extschema@.migrate_suggest(text, jsonb) IS 'lists tables of the source that would benefit from becoming hypertables; changes nothing';
COMMENT ON FUNCTION @extschema@.migrate_from(text, jsonb, integer, boolean) IS 'migrates the source''s database into this one; jobs and wait override the same keys of options';
COMMENT ON FUNCTION @extschema@.migrate_resume(bigint, text, jsonb, integer, boolean) IS 'continues a run that failed, was cancelled or was interrupted, under a new snapshot';
COMMENT ON FUNCTION @extschema@.migrate_wait(bigint) IS 'waits for the end of a run, and fails if the run fails; the run continues if the wait is cancelled';
COMMENT ON FUNCTION @extschema@.migrate_start_jobs(bigint) IS 'starts the policies and jobs that a run left paused and that are not paused on the source';
COMMENT ON FUNCTION @extschema@.migrate_cancel(bigint, text) IS 'stops a run, graceful (after the tasks in flight) or immediate; true only if the run was running and will not end done';
COMMENT ON FUNCTION @extschema@.migrate_cleanup(bigint) IS 'removes what an unfinished run made, and only that; returns the number of removed objects';
COMMENT ON FUNCTION @extschema@.migrate_verify(text, text, integer, jsonb) IS 'compares this database with a source, by row counts or checksums; a difference is an error';
COMMENT ON FUNCTION @extschema@.migrate_verify(bigint, text, integer, text) IS 'compares this database with the source of a run, except what the run''s options left out';
