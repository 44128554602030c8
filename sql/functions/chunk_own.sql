-- Properties of single chunks that their hypertable does not have.
-- Run at CREATE EXTENSION; called on the target by the workers, on chunks without rows. TimescaleDB 2.19 and later, any edition.

-- Gives a chunk its schema and name, comments, storage parameters, settings of columns and CHECK constraints: `own` of inventory/chunks.sql. Can be
-- repeated. Returns a list of what could not be done, or NULL. The index to cluster on is marked here if the chunk has it already, else by tie_chunk_index().
CREATE FUNCTION timescale_migrate.set_chunk_own(chunk regclass, own jsonb)
RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wanted record;
    taken regclass;
    changes text[];
    c jsonb;
BEGIN
    SELECT coalesce(own->>'schema', n.nspname) AS schema, coalesce(own->>'name', k.relname) AS name, n.nspname AS old_schema, k.relname AS old_name,
           array_cat(k.reloptions, ARRAY(SELECT 'toast.' || o FROM pg_class t, unnest(t.reloptions) o WHERE t.oid = k.reltoastrelid)) AS old_options
    INTO STRICT wanted
    FROM pg_class k JOIN pg_namespace n ON n.oid = k.relnamespace
    WHERE k.oid = chunk;

    SELECT array_agg(x.change) INTO changes
    FROM (
        SELECT format('RESET (%s)', string_agg(split_part(o, '=', 1), ', ')) AS change
        FROM unnest(wanted.old_options) o
        WHERE own ? 'options' AND NOT own->'options' ? o
        HAVING count(*) > 0
        UNION ALL
        SELECT format('SET (%s)', string_agg(format('%s = %L', split_part(o, '=', 1), substr(o, strpos(o, '=') + 1)), ', '))
        FROM jsonb_array_elements_text(own->'options') o
        HAVING count(*) > 0
        UNION ALL
        SELECT 'ENABLE ROW LEVEL SECURITY' WHERE own ? 'row_security'
        UNION ALL
        -- Even without rows, validating it would evaluate its functions with a superuser's rights.
        SELECT format('ADD CONSTRAINT %I %s', o.key, regexp_replace(o.value, '\)( NO INHERIT)?$', '\& NOT VALID'))
        FROM jsonb_each_text(own->'checks') o
        WHERE NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = chunk AND k.conname = o.key)
        UNION ALL
        SELECT format('ALTER %I %s', a->>'name', s.change)
        FROM jsonb_array_elements(own->'columns') a
        CROSS JOIN LATERAL (
            SELECT 'SET STATISTICS ' || (a->>'statistics') AS change WHERE a ? 'statistics'
            UNION ALL SELECT 'SET STORAGE ' || (a->>'storage') WHERE a ? 'storage'
            UNION ALL SELECT 'SET COMPRESSION ' || (a->>'compression') WHERE a ? 'compression'
            UNION ALL
            SELECT format('RESET (%s)', string_agg(split_part(o, '=', 1), ', '))
            FROM pg_attribute t, unnest(t.attoptions) o
            WHERE t.attrelid = chunk AND t.attname = a->>'name' AND a ? 'options' AND NOT a->'options' ? o AND o NOT LIKE 'pg\_attver=%'
            HAVING count(*) > 0
            UNION ALL
            SELECT format('SET (%s)', string_agg(format('%I = %L', split_part(o, '=', 1), substr(o, strpos(o, '=') + 1)), ', '))
            FROM jsonb_array_elements_text(a->'options') o
            HAVING count(*) > 0
        ) s
    ) x;
    IF changes IS NOT NULL THEN
        PERFORM timescale_migrate.execute_as_written(format('ALTER TABLE %s %s', chunk, array_to_string(changes, ', ')),
                                                     (SELECT c.relowner FROM pg_class c WHERE c.oid = chunk));
    END IF;
    FOR c IN
        SELECT to_json(o.key) FROM jsonb_each_text(own->'checks') o JOIN pg_constraint k ON k.conrelid = chunk AND k.conname = o.key
        WHERE NOT k.convalidated AND o.value ~ '\)( NO INHERIT)?$'
    LOOP
        CALL timescale_migrate.validate_check(chunk, c #>> '{}');
    END LOOP;
    IF own ? 'comment' THEN
        EXECUTE format('COMMENT ON TABLE %s IS %L', chunk, own->>'comment');
    END IF;
    FOR c IN SELECT a FROM jsonb_array_elements(own->'columns') a WHERE a ? 'comment' LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', chunk, c->>'name', c->>'comment');
    END LOOP;

    FOR c IN
        SELECT to_json(i.relname) FROM pg_inherits h
        JOIN pg_index r ON r.indrelid = h.inhparent
        JOIN pg_class ri ON ri.oid = r.indexrelid AND ri.relname = own->>'cluster'
        JOIN pg_index x ON x.indrelid = h.inhrelid AND x.indisunique = r.indisunique
          AND split_part(pg_get_indexdef(r.indexrelid), ' USING ', 2) = split_part(pg_get_indexdef(x.indexrelid), ' USING ', 2)
        JOIN pg_class i ON i.oid = x.indexrelid
        WHERE h.inhrelid = chunk LIMIT 1
    LOOP
        EXECUTE format('ALTER TABLE %s CLUSTER ON %I', chunk, c #>> '{}');
    END LOOP;

    -- The name is changed last. TimescaleDB and this extension identify the chunk by its number, whatever its name is.
    IF (wanted.schema, wanted.name) = (wanted.old_schema, wanted.old_name) THEN
        RETURN NULL;
    ELSIF to_regnamespace(quote_ident(wanted.schema)) IS NULL THEN
        RETURN format('%s was to be in schema %I, which does not exist on the target', chunk, wanted.schema);
    END IF;
    taken := to_regclass(format('%I.%I', wanted.schema, wanted.name));
    IF taken IS NOT NULL THEN
        RETURN format('%s was to be named %s, but that name is taken', chunk, taken);
    END IF;
    IF wanted.name <> wanted.old_name THEN
        EXECUTE format('ALTER TABLE %s RENAME TO %I', chunk, wanted.name);
    END IF;
    IF wanted.schema <> wanted.old_schema THEN
        EXECUTE format('ALTER TABLE %s SET SCHEMA %I', chunk, wanted.schema);
    END IF;
    RETURN NULL;
END
$$;

-- Gives a chunk the triggers that it has on the source: `triggers` of `own`, or NULL if they are its hypertable's, in the same states. Can be repeated;
-- called when the hypertable has its triggers. Returns what could not be made, or NULL.
CREATE FUNCTION timescale_migrate.set_chunk_triggers(chunk regclass, triggers jsonb)
RETURNS text
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    restoring constant text := current_setting('timescaledb.restoring');
    t record;
    lost text[];
BEGIN
    FOR t IN
        SELECT g.tgname AS name FROM pg_trigger g
        WHERE triggers IS NOT NULL AND g.tgrelid = chunk AND NOT g.tgisinternal AND NOT EXISTS (
            SELECT FROM pg_depend e JOIN pg_extension x ON x.oid = e.refobjid AND x.extname = 'timescaledb'
            WHERE e.classid = 'pg_proc'::regclass AND e.objid = g.tgfoid AND e.deptype = 'e')
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', t.name, chunk);
    END LOOP;
    FOR t IN SELECT x.* FROM jsonb_to_recordset(triggers) x(name name, function text, before text, after text, comment text) LOOP
        IF to_regprocedure(t.function) IS NULL THEN
            lost := lost || format('trigger %I of %s is left out: its function %s does not exist on the target', t.name, chunk, t.function);
            CONTINUE;
        END IF;
        PERFORM timescale_migrate.execute_as_written(format('%s ON %s %s', t.before, chunk, t.after),
                                                     (SELECT c.relowner FROM pg_class c WHERE c.oid = chunk));
        IF t.comment IS NOT NULL THEN
            EXECUTE format('COMMENT ON TRIGGER %I ON %s IS %L', t.name, chunk, t.comment);
        END IF;
    END LOOP;

    -- TimescaleDB refuses this statement on a chunk, unless its hooks are off.
    PERFORM set_config('timescaledb.restoring', 'on', true);
    FOR t IN
        SELECT g.tgname AS name, w.enabled
        FROM pg_trigger g
        JOIN (
            SELECT x.name, x.enabled FROM jsonb_to_recordset(triggers) x(name name, enabled "char")
            UNION ALL
            SELECT r.tgname, r.tgenabled FROM pg_trigger r JOIN pg_inherits i ON i.inhparent = r.tgrelid AND i.inhrelid = chunk WHERE triggers IS NULL
        ) w ON w.name = g.tgname
        WHERE g.tgrelid = chunk AND NOT g.tgisinternal AND g.tgenabled <> w.enabled
    LOOP
        EXECUTE format('ALTER TABLE ONLY %s %s TRIGGER %I', chunk,
                       CASE t.enabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' WHEN 'A' THEN 'ENABLE ALWAYS' ELSE 'ENABLE' END, t.name);
    END LOOP;
    PERFORM set_config('timescaledb.restoring', restoring, true);
    RETURN array_to_string(lost, '; ');
END
$$;
