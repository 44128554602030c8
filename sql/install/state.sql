-- The state of runs: the runs themselves, their tasks, messages and comparisons. The coordinator and the workers write it in
-- transactions of their own, so that every session sees it and it survives restarts.

-- Operators and functions must not be looked up in a schema that others may write to.
SET LOCAL search_path TO pg_catalog, pg_temp;

CREATE SCHEMA timescale_migrate;
COMMENT ON SCHEMA timescale_migrate IS 'internals and state of the extension timescale_migrate';

-- running -> done | failed | cancelled | refused. A resume changes failed, cancelled or interrupted back to running; a cleanup changes them to
-- removed, finally. A refused run has made nothing: no view shows it, and a later run deletes it. If a coordinator ends without writing a
-- state, the run stays 'running' here; the view timescale_migrate.run shows it as interrupted, because no process holds its lock.
CREATE TABLE timescale_migrate.run_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('migrate', 'verify', 'cleanup')),
    source text NOT NULL,
    options jsonb NOT NULL,
    extension_version text NOT NULL,
    role name NOT NULL DEFAULT current_user,
    state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'failed', 'cancelled', 'refused', 'removed')),
    phase text NOT NULL DEFAULT 'start',
    stop_requested boolean NOT NULL DEFAULT false,
    starts integer NOT NULL DEFAULT 1,
    steps_done text[] NOT NULL DEFAULT '{}',
    source_identity text,
    database_before jsonb,
    memberships text[] NOT NULL DEFAULT '{}',
    pid integer NOT NULL DEFAULT pg_catalog.pg_backend_pid(),
    started_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    begun_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    spent interval NOT NULL DEFAULT '0',
    ended_at timestamptz,
    source_version text,
    snapshot text,
    tables bigint,
    hypertables bigint,
    chunks bigint,
    side text CHECK (side IN ('source', 'target')),
    sqlstate text,
    error text,
    detail text,
    hint text,
    context text,
    object text
);
COMMENT ON COLUMN timescale_migrate.run_log.extension_version IS 'version of timescale_migrate that began the run; no other can resume it';
COMMENT ON COLUMN timescale_migrate.run_log.starts IS 'number of starts: 1, and 1 more for each resume';
COMMENT ON COLUMN timescale_migrate.run_log.steps_done IS 'steps that a resume does not repeat; each is recorded in the transaction that did it';
COMMENT ON COLUMN timescale_migrate.run_log.begun_at IS 'time of the latest start';
COMMENT ON COLUMN timescale_migrate.run_log.spent IS 'time that earlier starts took';
COMMENT ON COLUMN timescale_migrate.run_log.database_before IS 'the database and its schemas before the run, as migrate_cleanup restores them';
COMMENT ON COLUMN timescale_migrate.run_log.memberships IS 'statements that take back the memberships granted to roles that the run did not make';
COMMENT ON COLUMN timescale_migrate.run_log.side IS 'the server that the error came from';
COMMENT ON COLUMN timescale_migrate.run_log.source IS 'the server''s name, or the connection string without secrets';

-- The objects of the schema that a run makes, under the names that messages use. A schema that is too large for one transaction is made in
-- several, each of which records its objects. When all are made, the objects that are made after the data are recorded as well.
CREATE TABLE timescale_migrate.schema_log (
    run bigint NOT NULL REFERENCES timescale_migrate.run_log ON DELETE CASCADE,
    object text NOT NULL,
    digest text,
    made boolean NOT NULL,
    PRIMARY KEY (run, object)
);
COMMENT ON COLUMN timescale_migrate.schema_log.digest IS 'MD5 of the definition: a resume reports what has changed on the source';

-- The snapshots of the source that a run has read under. A later start uses them to find out which copies still equal the source; see the
-- file source/position.sql for the columns.
CREATE TABLE timescale_migrate.snapshot_log (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run bigint NOT NULL REFERENCES timescale_migrate.run_log ON DELETE CASCADE,
    snapshot text NOT NULL,
    horizon bigint NOT NULL,
    started bigint NOT NULL,
    timeline bigint NOT NULL,
    written pg_lsn,
    durable boolean NOT NULL
);
COMMENT ON COLUMN timescale_migrate.snapshot_log.horizon IS 'the oldest transaction that had not ended under the snapshot';
COMMENT ON COLUMN timescale_migrate.snapshot_log.durable IS 'whether a crash of the source can no longer lose what the snapshot shows';

-- pending -> done | failed | postponed. "Running" is not stored: it is the lock of the worker that has the task.
-- A task is postponed if the relation that it reads has changed on the source since the snapshot. A task that reads the relation under a
-- later snapshot replaces it.
CREATE TABLE timescale_migrate.task_log (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run bigint NOT NULL REFERENCES timescale_migrate.run_log ON DELETE CASCADE,
    phase text NOT NULL,
    object text NOT NULL,
    method text NOT NULL,
    work jsonb NOT NULL,
    source oid,
    snapshot integer,
    destination text CHECK (destination IN ('table', 'chunk', 'routed')),
    recipe text CHECK (recipe IN ('rows', 'frozen', 'queried', 'compressed', 'recompressed', 'recompressed_late')),
    own jsonb,
    tables text[],
    copies integer[],
    beside text,
    estimated_rows bigint NOT NULL,
    estimated_bytes bigint NOT NULL,
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'done', 'failed', 'postponed')),
    relation oid,
    target text,
    compressed oid,
    rows bigint,
    bytes bigint,
    source_checksum text,
    worker integer,
    started_at timestamptz,
    ended_at timestamptz,
    side text CHECK (side IN ('source', 'target')),
    sqlstate text,
    error text,
    detail text,
    hint text,
    context text
);
COMMENT ON COLUMN timescale_migrate.task_log.work IS 'the task as its worker reads it; SQL reads the columns that follow';
COMMENT ON COLUMN timescale_migrate.task_log.source IS 'of a copy: the relation on the source, by its OID there';
COMMENT ON COLUMN timescale_migrate.task_log.snapshot IS 'of a copy: the snapshot that it is read under, or none yet';
COMMENT ON COLUMN timescale_migrate.task_log.destination IS 'of a copy: where its rows go';
COMMENT ON COLUMN timescale_migrate.task_log.recipe IS 'of a copy: how its rows travel';
COMMENT ON COLUMN timescale_migrate.task_log.own IS 'of a copy: properties of the chunk that differ from its hypertable''s';
COMMENT ON COLUMN timescale_migrate.task_log.tables IS 'the tables on the target that it is about, as users know them, quoted as in SQL: of a foreign key two, of most others one';
COMMENT ON COLUMN timescale_migrate.task_log.copies IS 'the copy tasks whose results it works on';
COMMENT ON COLUMN timescale_migrate.task_log.beside IS 'the earliest phase beside which it may be taken, as soon as no open task of an earlier phase is about its tables';
COMMENT ON COLUMN timescale_migrate.task_log.relation IS 'the relation on the target that the rows went to';
COMMENT ON COLUMN timescale_migrate.task_log.target IS 'its name then, quoted as in SQL, for users to read; nothing is found by it';
COMMENT ON COLUMN timescale_migrate.task_log.compressed IS 'the table that holds a chunk''s compressed rows until they become its own';
COMMENT ON COLUMN timescale_migrate.task_log.source_checksum IS 'checksum of the rows as they were copied, if values are to be compared';
-- Largest first: the longest task must not be the last to start.
CREATE INDEX task_log_open ON timescale_migrate.task_log (run, phase, (-estimated_bytes), id) WHERE state = 'pending';
CREATE INDEX task_log_relation ON timescale_migrate.task_log (relation) WHERE relation IS NOT NULL;
CREATE INDEX task_log_failed ON timescale_migrate.task_log (run, phase) WHERE state = 'failed';
-- A resume looks for those of each table or chunk that it copies again.
CREATE INDEX task_log_added ON timescale_migrate.task_log (run, phase) WHERE phase IN ('constraint', 'foreign_key');

-- The objects that a run has made, by their catalog entries, without parts of other objects.
CREATE TABLE timescale_migrate.made_log (
    run bigint NOT NULL REFERENCES timescale_migrate.run_log ON DELETE CASCADE,
    classid oid NOT NULL,
    objid oid NOT NULL,
    PRIMARY KEY (run, classid, objid)
);

-- The relations that a run may write to although it did not make them, by their OIDs. A cleanup never drops one.
CREATE TABLE timescale_migrate.adopted_log (
    run bigint NOT NULL REFERENCES timescale_migrate.run_log ON DELETE CASCADE,
    relation oid NOT NULL,
    way text NOT NULL CHECK (way IN ('table', 'chunks', 'routed', 'flat')),
    empty boolean NOT NULL,
    keeps boolean NOT NULL,
    PRIMARY KEY (run, relation)
);
COMMENT ON COLUMN timescale_migrate.adopted_log.way IS 'how rows come in; with chunks, all chunks are the run''s own';
COMMENT ON COLUMN timescale_migrate.adopted_log.empty IS 'it held no rows when the run began';
COMMENT ON COLUMN timescale_migrate.adopted_log.keeps IS 'rows that the table held before stay, also after a cleanup';

-- The runs that have made something on the target, or may have written to what existed there: those that a resume or a cleanup is about.
CREATE VIEW timescale_migrate.has_made AS
SELECT run FROM timescale_migrate.made_log UNION ALL SELECT run FROM timescale_migrate.adopted_log;

-- What the schemas of runs consist of, or will; what workers make counts as made when any task for it is done.
CREATE VIEW timescale_migrate.settled AS
SELECT s.run, s.object, s.digest,
       s.made OR EXISTS (SELECT FROM timescale_migrate.task_log t
                         WHERE t.run = s.run AND t.object = s.object AND t.state = 'done'
                           AND t.phase IN ('index', 'constraint', 'hypertable_key', 'foreign_key')) AS made
FROM timescale_migrate.schema_log s
WHERE s.digest IS NOT NULL;

-- The policies and jobs that a run left paused although the source's are not.
CREATE TABLE timescale_migrate.paused_log (
    run bigint NOT NULL REFERENCES timescale_migrate.run_log ON DELETE CASCADE,
    job integer NOT NULL,
    PRIMARY KEY (run, job)
);

CREATE TABLE timescale_migrate.message_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run bigint NOT NULL REFERENCES timescale_migrate.run_log ON DELETE CASCADE,
    at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    level text NOT NULL CHECK (level IN ('notice', 'warning')),
    phase text NOT NULL,
    message text NOT NULL,
    hint text,
    xid xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id()
);
COMMENT ON COLUMN timescale_migrate.message_log.xid IS 'tells the caller of a run which messages are new';
CREATE INDEX ON timescale_migrate.message_log (run, id);
CREATE INDEX ON timescale_migrate.message_log (run, xid);

CREATE TABLE timescale_migrate.verification_log (
    run bigint NOT NULL REFERENCES timescale_migrate.run_log ON DELETE CASCADE,
    object text NOT NULL,
    part text,
    source_rows bigint,
    target_rows bigint,
    source_checksum text,
    target_checksum text,
    same boolean NOT NULL
);
-- The table has no key. With a publication FOR ALL TABLES, rows can be deleted from it only with this replica identity.
ALTER TABLE timescale_migrate.verification_log REPLICA IDENTITY FULL;
CREATE INDEX ON timescale_migrate.verification_log (run);

SET LOCAL search_path TO @extschema@, pg_temp;
