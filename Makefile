# make            builds the extension for PG_CONFIG's PostgreSQL (15 to 18)
# make install    copies it there and into the Community installation, and builds and installs it for the newer
#                 PostgreSQL, where there are these
# make demo       sets everything up, then migrates a real database between two throw-away servers
# make test       sets everything up, then runs every test
# make check      the part of that which takes a few minutes, with lint: for those who change the code
# make bench      sets everything up, then compares a migration with the other ways to move the same databases; BENCH has its
#                 arguments, for instance BENCH='--factor 0.1 --scene standard', or --help
# make scale      sets everything up, then migrates 10,000 chunks and 5,000 tables and looks at the memory that it takes
# make chaos      sets everything up, then migrates CHAOS_ROUNDS times (200) while servers and processes fail; in every other
#                 round the source inserts, compresses, refreshes and drops meanwhile
#
# PG_CONFIG            the installation to build for; default: Debian's PostgreSQL 17, else the one in PATH
# COMMUNITY_PG_CONFIG  an installation with TimescaleDB's Community edition; default: the path below
# NEXT_PG_CONFIG       an installation of a newer PostgreSQL with that edition, a target for tests; default: as below
# PREVIOUS_PG_CONFIG   an installation of an older PostgreSQL with that edition, a source for tests; default: as below
# TESTS                cluster tests to run, by a part of their names; default: all

PACKAGED = /usr/lib/postgresql/17/bin/pg_config
# Evaluated at each use, not once: setup may bring the packaged one in the same run.
PG_CONFIG ?= $(shell test -x $(PACKAGED) && echo $(PACKAGED) || echo pg_config)
COMMUNITY_PG_CONFIG ?= /opt/timescaledb-community/bin/pg_config
NEXT_PG_CONFIG ?= /opt/postgresql-18/bin/pg_config
PREVIOUS_PG_CONFIG ?= /opt/timescaledb-previous/bin/pg_config

major = $(shell $(1) --version | sed 's/^PostgreSQL \([0-9]*\).*/\1/')
MAJOR = $(call major,$(PG_CONFIG))
# Empty unless NEXT_PG_CONFIG is there and of a newer major.
NEXT = $(if $(wildcard $(NEXT_PG_CONFIG)),$(shell [ $(call major,$(NEXT_PG_CONFIG)) -gt $(MAJOR) ] && echo yes))
FEATURES = --no-default-features --features pg$(MAJOR)
PACKAGE = target/package/pg$(MAJOR)
DATA = target/nycflights13/flights.csv
PGSPOT = target/pgspot
REGRESS = $(basename $(notdir $(sort $(wildcard pg_test/regress/sql/*.sql))))

# One for each major: what is built for one stays valid while another is built.
all lint unit pgrx-config: export PGRX_HOME = $(CURDIR)/target/pgrx/pg$(MAJOR)
# cargo-pgrx would add link flags that no other cargo command has, and so build every crate twice.
export CARGO_PGRX_DISABLE_GC_SECTIONS_WORKAROUND := 1

# The tests share the machine, and setup comes before what it brings.
.NOTPARALLEL:

all: pgrx-config
	cargo pgrx package --pg-config $(PG_CONFIG) $(FEATURES) --out-dir $(PACKAGE)

# The same files whether it is `make package` or `make`: the tree to install from.
package: all

install: all
	tools/install $(PACKAGE) $(PG_CONFIG) $(wildcard $(COMMUNITY_PG_CONFIG))
	$(if $(NEXT),$(MAKE) install PG_CONFIG=$(NEXT_PG_CONFIG) COMMUNITY_PG_CONFIG=)

setup:
	tools/setup

# cargo-pgrx reads here which installation the feature pgNN stands for; touched only when that changes.
pgrx-config:
	@mkdir -p $(PGRX_HOME)
	@printf '[configs]\npg%s = "%s"\n' '$(MAJOR)' "$$(command -v $(PG_CONFIG))" >$(PGRX_HOME)/config.new
	@cmp -s $(PGRX_HOME)/config.new $(PGRX_HOME)/config.toml || mv $(PGRX_HOME)/config.new $(PGRX_HOME)/config.toml

demo: setup
	$(MAKE) install $(DATA) NEXT_PG_CONFIG=
	PG_CONFIG=$(PG_CONFIG) COMMUNITY_PG_CONFIG=$(COMMUNITY_PG_CONFIG) demo/run

# Every kind of test runs, even after one has failed.
test: setup
	$(MAKE) install $(DATA)
	$(MAKE) --keep-going unit fuzz pgspot regress bench-small cluster

check: setup
	$(MAKE) install NEXT_PG_CONFIG=
	$(MAKE) --keep-going lint unit regress
	$(MAKE) cluster TESTS=exact_chunks:

lint: pgrx-config
	tools/imports
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets $(FEATURES) -- -D warnings

unit: pgrx-config
	cargo test --release --package timescale_migrate --lib $(FEATURES)

# What reads foreign input, with inputs that are made up; FUZZ_SECONDS (60) for all of it.
fuzz:
	pg_test/fuzz/run

# Known weaknesses in the install script that was built. Its schema can be any; pgspot parses names only.
pgspot: $(PGSPOT)/done
	find $(PACKAGE) -name '*--*.sql' -exec sed 's/@extschema@/public/g' {} + >$(PGSPOT)/install.sql
	test -s $(PGSPOT)/install.sql
	PYTHONPATH=$(PGSPOT) python3 -m pgspot $(PGSPOT)/install.sql

# In a directory of its own: Python's packages on the machine stay as they are.
$(PGSPOT)/done: pg_test/pgspot/requirements.txt
	rm -rf $(PGSPOT)
	python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps \
	    --target $(PGSPOT) --requirement $<
	touch $@

# pg_regress against a throw-away server; installcheck is the same against a running one (PGHOST, PGPORT, ...).
regress:
	PG_CONFIG=$(PG_CONFIG) tools/with-server $(MAKE) --no-print-directory installcheck

installcheck:
	@mkdir -p target/regress
	"$$($(PG_CONFIG) --pkglibdir)/pgxs/src/test/regress/pg_regress" --bindir="$$($(PG_CONFIG) --bindir)" \
	    --inputdir=pg_test/regress --outputdir=target/regress --dbname=contrib_regression $(REGRESS) || \
	    { cat target/regress/regression.diffs; exit 1; }

# The tests' servers write nothing that has to last: into memory, where 12 GiB of it are free.
IN_MEMORY = $(shell { df -P /dev/shm; cat /proc/meminfo; } 2>/dev/null | \
    awk '/ \/dev\/shm$$/ { room = $$4 } /^MemAvailable:/ { free = $$2 } END { if (room > 12e6 && free > 12e6) print "/dev/shm" }')

cluster: $(DATA)
	TMPDIR=$${TMPDIR:-$(or $(IN_MEMORY),/tmp)} PG_CONFIG=$(PG_CONFIG) COMMUNITY_PG_CONFIG=$(COMMUNITY_PG_CONFIG) NEXT_PG_CONFIG=$(NEXT_PG_CONFIG) \
	    PREVIOUS_PG_CONFIG=$(PREVIOUS_PG_CONFIG) cargo test --package cluster -- $(TESTS)

# The test of that name once more, for longer; CHAOS_SEED repeats an earlier time's choices.
chaos: setup
	$(MAKE) install NEXT_PG_CONFIG=
	PG_CONFIG=$(PG_CONFIG) COMMUNITY_PG_CONFIG=$(COMMUNITY_PG_CONFIG) CHAOS_ROUNDS=$${CHAOS_ROUNDS:-200} CHAOS_LIVING=yes \
	    cargo test --package cluster -- chaos:

bench: setup
	$(MAKE) install NEXT_PG_CONFIG=
	$(RUN_BENCH) $(BENCH)

# All of it with next to no rows: nothing is measured, but what is compared arrives whole.
bench-small:
	$(RUN_BENCH) --factor 0.001 --rounds 1 --out target/bench-small

RUN_BENCH = PG_CONFIG=$(PG_CONFIG) COMMUNITY_PG_CONFIG=$(COMMUNITY_PG_CONFIG) cargo run --quiet --package bench --

# The test of that name with as many chunks and tables as the target is made for.
scale: setup
	$(MAKE) install NEXT_PG_CONFIG=
	PG_CONFIG=$(PG_CONFIG) COMMUNITY_PG_CONFIG=$(COMMUNITY_PG_CONFIG) SCALE=full \
	    cargo test --package cluster -- scale:

$(DATA): demo/requirements.txt
	demo/fetch $(dir $@)

clean:
	cargo clean

.PHONY: all package install setup pgrx-config demo test check lint unit fuzz pgspot regress installcheck cluster chaos bench bench-small scale clean
