-- The foreign-data wrapper for sources: servers and user mappings hold connection parameters and credentials, as with postgres_fdw.
-- It has no handler, so no foreign table can be read through it.
CREATE FOREIGN DATA WRAPPER timescale_migrate VALIDATOR timescale_migrate.validator;
COMMENT ON FOREIGN DATA WRAPPER timescale_migrate IS 'servers and user mappings for the sources of migrations; not for foreign tables';
