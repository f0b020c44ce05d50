# A room is a folder of C files that makes one static library. The table below says which rooms a room may use: it is
# compiled with the include paths of those rooms and of nothing else.
#
## make                      the programs, in bin/
## make check                all unit tests and the fuzz corpora, replayed
## make check T=schema       the unit tests of one room, against that room's library (FILTER='suite/test' runs one)
## make lint                 format, rooms, cppcheck, clang-tidy (make format rewrites the C files)
## make asan                 programs and unit tests by clang, under ASan and UBSan, in build/asan/
## make fuzz                 the libFuzzer targets, in build/fuzz/
## make compile-commands     compile_commands.json, for clangd
## make console              builds console/dist with npm (scripts/console)
## make site                 builds site/dist, the pages below /docs/, with npm (scripts/site)
## make bench-tools          the programs against which scripts/bench compares
## make install              into DESTDIR and PREFIX (/usr/local)
## make clean                removes build/ and bin/
#
# make help lists the targets. Variants live side by side: VARIANT=asan|tsan|crash|fuzz builds below build/VARIANT/.

.DEFAULT_GOAL := all
VARIANT ?=
B       := build/$(or $(VARIANT),plain)
BIN     := $(if $(VARIANT),$(B)/bin,bin)
PREFIX  ?= /usr/local

CC      ?= gcc
ifeq ($(origin CC),default)
CC      := gcc
endif
LIBS    := json-c talloc libmariadb hiredis libpcre2-8 libsodium libevent_core libevent_pthreads libcurl libcares libmagic libcrypto icu-uc icu-i18n zlib
# pkg-config runs once for each make; libfcgi and inih ship without (or with odd) .pc files
PKG_CFLAGS := $(shell pkg-config --cflags $(LIBS))
PKG_LIBS   := $(shell pkg-config --libs $(LIBS)) -lfcgi -linih -lm -pthread

WARN    := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
           -Wvla -Wformat=2 -Wundef -Wwrite-strings -Wno-unused-parameter -Wno-missing-field-initializers
OPT     ?= -O2 -g
SAN     :=
ifeq ($(VARIANT),asan)
# clang, while the plain build uses gcc: the warnings of both compilers are errors
CC      := clang
SAN     := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
DEFS    := -DMILLRACE_DEBUG
OPT     := -O1 -gline-tables-only
endif
ifeq ($(VARIANT),tsan)
# -Wno-tsan: TSan does not support atomic fences and warns about them. The only fence is between processes, which TSan does
# not watch.
SAN     := -fsanitize=thread -fno-omit-frame-pointer -Wno-tsan
OPT     := -O1 -g
endif
# only sources with failpoints are compiled again; all others are shared with the plain build
ifeq ($(VARIANT),crash)
DEFS    := -DMILLRACE_CRASH_POINTS -DMILLRACE_DEBUG
POINTED := $(shell grep -rl --include='*.c' '"base/failpoint.h"' lib fcgi executor stream)
endif
ifeq ($(VARIANT),fuzz)
CC      := clang
SAN     := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
OPT     := -O1 -g
endif
HARDEN  := -fstack-protector-strong $(if $(SAN),,-D_FORTIFY_SOURCE=2) -fPIE

# --- the rooms ---------------------------------------------------------------------------------------------
# USE.room: the rooms whose headers it may include. Rooms stand below those that they use, so that a circle cannot be
# written down; scripts/rooms checks that, and prints the table with the size of each room.
USE.base                  :=
USE.service               := base
USE.json                  := base
USE.otlp                  := base service json
USE.schema                := base json
USE.workflow              := base json schema
USE.schedule              := base
USE.skill                 := base json schema workflow
USE.command               := base json
USE.mariadb               := base
USE.outbox                := base mariadb
USE.redis                 := base
USE.objects               := base
USE.blob                  := base mariadb objects
USE.deed                  := base json mariadb
USE.secret                := base json mariadb deed
USE.account               := base schedule json mariadb outbox redis
USE.spending              := base schedule json mariadb outbox deed redis account
USE.billing               := base json schedule mariadb outbox deed redis account
USE.run                   := base schedule json mariadb outbox deed redis account spending
USE.webhook               := base json mariadb outbox deed redis secret account run
USE.store                 := base json schema workflow schedule mariadb deed redis objects blob secret account spending run
USE.push                  := base json schema workflow schedule mariadb outbox deed redis objects blob secret account billing run store
USE.mcp                   := base json schema workflow schedule mariadb deed redis objects blob secret account run store
USE.retry                 := base json schema workflow skill mariadb redis account run store
USE.session               := base json mariadb deed store
USE.cluster               := base mariadb deed
USE.maintenance           := base json schedule mariadb outbox deed redis objects blob account billing run store
USE.doctor                := base mariadb redis objects blob
USE.backup                := base json mariadb objects blob
USE.view                  := base json schema workflow schedule mariadb redis objects blob account run store
LIB_ROOMS := base service json otlp command schema workflow schedule skill mariadb outbox redis objects blob deed secret account spending billing run webhook store push mcp session retry cluster maintenance doctor backup view

USE.fcgi/shared           := base otlp mariadb redis objects account run store
USE.fcgi/http             := base service json otlp mariadb deed redis objects account run store session fcgi/shared
USE.fcgi/cache            := base json otlp schema workflow skill mariadb redis objects account run store fcgi/shared fcgi/http
USE.fcgi/forms            := base json otlp schema workflow schedule mariadb outbox redis objects blob account spending run webhook store mcp view fcgi/shared fcgi/http fcgi/cache
USE.fcgi/handlers         := base json otlp schema workflow schedule skill mariadb outbox deed redis objects blob account spending billing run webhook store push mcp session retry maintenance view fcgi/shared fcgi/http fcgi/cache fcgi/forms
USE.fcgi/server           := base service json otlp schema workflow skill mariadb deed redis objects blob secret account run store fcgi/shared fcgi/http fcgi/cache fcgi/handlers
FCGI_ROOMS := fcgi/shared fcgi/http fcgi/cache fcgi/forms fcgi/handlers fcgi/server

USE.executor/cache        := base service json schema workflow skill mariadb store
USE.executor/db_thread    := base service json schema workflow skill mariadb redis objects blob account run store executor/cache
USE.executor/context      := base service otlp mariadb redis executor/db_thread
USE.executor/io           := base service json otlp schema workflow mariadb redis secret executor/db_thread executor/context
USE.executor/run          := base service json otlp schema workflow skill mariadb redis objects blob run store executor/cache executor/db_thread executor/context
USE.executor/run/workflow := base service json otlp schema workflow skill mariadb redis objects blob secret account run store executor/cache executor/db_thread executor/context executor/io executor/run
USE.executor/run/model    := base service json otlp schema workflow skill mariadb redis objects blob secret account run store executor/cache executor/db_thread executor/context executor/io executor/run
USE.executor/run/skill    := base service json otlp schema workflow skill mariadb redis objects blob run store executor/cache executor/db_thread executor/context executor/io executor/run
USE.executor/lease        := base service json otlp schema workflow schedule skill mariadb outbox deed redis objects blob account billing run store retry maintenance executor/cache executor/db_thread executor/context executor/run
USE.executor/webhook      := base service json otlp schema workflow mariadb outbox redis secret run webhook executor/db_thread executor/context executor/io
USE.executor/push         := base service json otlp schema workflow schedule mariadb outbox deed redis objects blob secret account billing run webhook store push executor/db_thread executor/context executor/io
USE.executor/process      := base service json otlp schema workflow skill mariadb outbox redis objects blob secret run webhook store executor/cache executor/db_thread executor/context executor/io executor/run executor/run/workflow executor/run/model executor/run/skill executor/lease executor/webhook executor/push
EXECUTOR_ROOMS := executor/cache executor/db_thread executor/context executor/io executor/run executor/run/workflow \
                  executor/run/model executor/run/skill executor/lease executor/webhook executor/push executor/process

USE.stream                := base service json mariadb redis account run store mcp session
USE.runner                := base service json
USE.remote                := base json command
USE.cli                   := $(LIB_ROOMS)

# a program is its rooms, its main.c and what the rooms use
ROOMS.millrace-api        := $(FCGI_ROOMS)
ROOMS.millrace-executor   := $(EXECUTOR_ROOMS)
ROOMS.millrace-stream     := stream
ROOMS.millrace-runner     := runner
ROOMS.millrace            := cli
ROOMS.millrace-cli        := remote
MAIN.millrace-api         := fcgi/main.c
MAIN.millrace-executor    := executor/main.c
MAIN.millrace-stream      := stream/main.c
MAIN.millrace-runner      := runner/main.c
MAIN.millrace             := cli/main.c
MAIN.millrace-cli         := remote/main.c
NAMES    := millrace-api millrace-executor millrace-stream millrace-runner millrace millrace-cli
PROGRAMS := $(NAMES:%=$(BIN)/%)

ROOMS    := $(LIB_ROOMS) $(FCGI_ROOMS) $(EXECUTOR_ROOMS) stream runner cli remote
# a test, a benchmark or a fuzz target may use every room
USE.tests := $(ROOMS)
folder    = $(if $(filter $(1),$(LIB_ROOMS)),lib/$(1),$(1))
room_of   = $(patsubst lib/%,%,$(patsubst %/,%,$(dir $(1))))
reverse   = $(if $(1),$(call reverse,$(wordlist 2,$(words $(1)),$(1))) $(firstword $(1)))
TOP_DOWN := $(call reverse,$(ROOMS))

# build/rooms/ROOM/ROOM/*.h are links to the room's headers: the include path of one room shows that room alone
SEE      := build/rooms
GENDIR   := build/gen
GEN      := $(GENDIR)/sql.h $(GENDIR)/lua.h $(GENDIR)/blobs.h $(GENDIR)/grants.h $(GENDIR)/filters.h
HEADERS  := $(foreach r,$(ROOMS),$(wildcard $(call folder,$(r))/*.h))
# the include path of a source depends on its folder: a room's own file, a room's test, or anything else
uses      = $(if $(filter $(ROOMS),$(1)),$(1) $(USE.$(1)),$(if $(filter tests/unit/%,$(1)),$(call uses,$(1:tests/unit/%=%)),\
            $(if $(filter tests/%,$(1)),tests $(ROOMS),$(filter $(1)/% $(1),$(ROOMS)) $(LIB_ROOMS))))
see       = $(patsubst %,-I$(SEE)/%,$(call uses,$(call room_of,$(1))))

ALL_CFLAGS = -std=gnu17 $(OPT) $(WARN) $(HARDEN) $(SAN) $(DEFS) $(PKG_CFLAGS) $(CFLAGS)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(SAN) $(LDFLAGS)

under    = $(foreach c,$(1),$(if $(or $(filter-out crash,$(or $(VARIANT),plain)),$(filter $(c),$(POINTED))),$(B),build/plain)/$(c:.c=.o))
sources  = $(filter-out %/main.c,$(wildcard $(call folder,$(1))/*.c))
lib      = $(if $(or $(call sources,$(1)),$(GEN_OBJ.$(1))),$(B)/lib/$(1).a)
GEN_OBJ.mariadb := $(B)/gen/sql.o
GEN_OBJ.redis   := $(B)/gen/lua.o
GEN_OBJ.base    := $(B)/gen/blobs.o
GEN_OBJ.doctor  := $(B)/gen/grants.o
GEN_OBJ.runner  := $(B)/gen/filters.o
# the libraries of these rooms and of all that they use, top to bottom, as the linker wants them
with_uses = $(sort $(1) $(foreach r,$(1),$(USE.$(r))))
needed   = $(call with_uses,$(call with_uses,$(call with_uses,$(call with_uses,$(1)))))
libs     = $(foreach r,$(filter $(call needed,$(1)),$(TOP_DOWN)),$(call lib,$(r)))

# prints the include paths, for scripts/lint
generated: $(GEN) $(SEE)/.made
flags:
	@echo '$(filter-out -fstack-protector-strong -fPIE,$(ALL_CFLAGS)) $(ROOMS:%=-I$(SEE)/%)'
# prints the rooms that each room may use, for scripts/rooms
rooms:
	@$(foreach r,$(ROOMS),echo '$(r) $(call folder,$(r)) : $(USE.$(r))';)

.PHONY: generated flags rooms all console site check lint format asan fuzz fuzz-targets bench bench-tools accept-storm prepare-queries clock-ahead install clean unit-tests \
        compile-commands help
.SECONDARY:
all: $(PROGRAMS)

console:
	scripts/console

site:
	scripts/site

help:
	@sed -n 's/^## //p' Makefile

QUERIES := $(sort $(shell find sql/queries -name '*.sql')) $(wildcard sql/migrations/*.sql)
SCRIPTS_OF_REDIS := $(wildcard lua/*.lua)
DOCUMENTS := $(wildcard lib/schema/metaschema/*.json lib/schema/metaschema/*/*.json docs/openapi.json docs/skill.schema.json)
# rewritten when one of these files was added, removed or renamed, which no time of a file shows
$(shell mkdir -p $(GENDIR); echo '$(QUERIES) $(SCRIPTS_OF_REDIS) $(DOCUMENTS)' >$(GENDIR)/.list.new; \
        cmp -s $(GENDIR)/.list.new $(GENDIR)/.list || cp $(GENDIR)/.list.new $(GENDIR)/.list; rm -f $(GENDIR)/.list.new)
$(GENDIR)/sql.h $(GENDIR)/sql.c &: scripts/embed scripts/migrations sql/migrations/marks $(GENDIR)/.list $(QUERIES)
	scripts/embed sql $(GENDIR)
$(GENDIR)/lua.h $(GENDIR)/lua.c &: scripts/embed $(GENDIR)/.list $(SCRIPTS_OF_REDIS)
	scripts/embed lua $(GENDIR)
$(GENDIR)/blobs.h $(GENDIR)/blobs.c &: scripts/embed $(GENDIR)/.list $(DOCUMENTS)
	scripts/embed blobs $(GENDIR)
$(GENDIR)/grants.h $(GENDIR)/grants.c &: scripts/embed sql/grants.sql
	scripts/embed grants $(GENDIR)

$(GENDIR)/make-filters: runner/filters/main.c
	@mkdir -p $(@D)
	gcc -std=gnu17 -O1 $(WARN) -o $@ $< -lseccomp
$(GENDIR)/filters.h $(GENDIR)/filters.c &: $(GENDIR)/make-filters
	$(GENDIR)/make-filters $(GENDIR)

# rebuilt when a header was added or removed
$(shell mkdir -p $(SEE); echo '$(HEADERS)' | cmp -s - $(SEE)/.list || echo '$(HEADERS)' >$(SEE)/.list)
$(SEE)/.made: $(SEE)/.list
	@rm -rf $(SEE)/[a-z]*; mkdir -p $(foreach r,$(ROOMS),$(SEE)/$(r)/$(r))
	@$(foreach r,$(ROOMS),$(if $(wildcard $(call folder,$(r))/*.h),ln -s $(foreach h,$(wildcard $(call folder,$(r))/*.h),$(CURDIR)/$(h)) $(SEE)/$(r)/$(r)/;))
	@ln -s $(CURDIR)/$(GENDIR)/sql.h $(SEE)/mariadb/mariadb/; ln -s $(CURDIR)/$(GENDIR)/lua.h $(SEE)/redis/redis/
	@ln -s $(CURDIR)/$(GENDIR)/blobs.h $(SEE)/base/base/; ln -s $(CURDIR)/$(GENDIR)/filters.h $(SEE)/runner/runner/
	@ln -s $(CURDIR)/$(GENDIR)/grants.h $(SEE)/doctor/doctor/
	@mkdir -p $(SEE)/tests; ln -s $(CURDIR)/tests $(SEE)/tests/tests
	@touch $@

# The .d files name the generated headers by these links. Without the rules, make would compile the files that include a
# header only in the run after the one that generates it.
$(SEE)/mariadb/mariadb/sql.h: $(GENDIR)/sql.h | $(SEE)/.made ;
$(SEE)/redis/redis/lua.h: $(GENDIR)/lua.h | $(SEE)/.made ;
$(SEE)/base/base/blobs.h: $(GENDIR)/blobs.h | $(SEE)/.made ;
$(SEE)/doctor/doctor/grants.h: $(GENDIR)/grants.h | $(SEE)/.made ;
$(SEE)/runner/runner/filters.h: $(GENDIR)/filters.h | $(SEE)/.made ;

$(B)/gen/%.o: $(GENDIR)/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -I$(GENDIR) -c -o $@ $<
$(B)/%.o: %.c | $(GEN) $(SEE)/.made
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(call see,$<) -MMD -MP -c -o $@ $<
ifeq ($(VARIANT),crash)
build/plain/%.o: %.c | $(GEN) $(SEE)/.made
	@mkdir -p $(@D)
	$(CC) $(filter-out $(DEFS),$(ALL_CFLAGS)) $(call see,$<) -MMD -MP -c -o $@ $<
endif

define room_library
$$(B)/lib/$(1).a: $$(call under,$$(call sources,$(1))) $$(GEN_OBJ.$(1))
	@mkdir -p $$(@D)
	rm -f $$@ && ar rcs $$@ $$^
endef
$(foreach r,$(ROOMS),$(eval $(call room_library,$(r))))

define program
$$(BIN)/$(1): $$(call under,$$(MAIN.$(1))) $$(call libs,$$(ROOMS.$(1)))
	@mkdir -p $$(@D)
	$$(CC) $$(ALL_LDFLAGS) -o $$@ $$^ $$(or $$(LIBS.$(1)),$$(PKG_LIBS))
endef
# The runner starts twice for each run of a skill. Its libraries are linked statically, because loading them would take longer
# than its own work.
LIBS.millrace-runner := -Wl,-Bstatic -ljson-c -ltalloc -lsodium -Wl,-Bdynamic -lm -pthread
$(foreach n,$(NAMES),$(eval $(call program,$(n))))

# --- tests ---------------------------------------------------------------------------------------------
# tests/unit/ROOM/*.c make one program, linked with that room's library and with those that it may use. It stands beside
# their objects, as a room may have rooms below it.
TESTED := $(foreach r,$(ROOMS),$(if $(wildcard tests/unit/$(r)/*.c),$(r)))
UNITS  := $(TESTED:%=$(B)/tests/unit/%/unit-tests)
define unit_program
$$(B)/tests/unit/$(1)/unit-tests: $$(patsubst %.c,$$(B)/%.o,$$(wildcard tests/unit/$(1)/*.c)) $$(call libs,$(1))
	@mkdir -p $$(@D)
	$$(CC) $$(ALL_LDFLAGS) -o $$@ $$^ $$(PKG_LIBS) -lcriterion
endef
$(foreach r,$(TESTED),$(eval $(call unit_program,$(r))))
unit-tests: $(UNITS)

# the official tests of JSON Schema; tests/schema/run runs it
$(B)/schema-suite: $(B)/tests/schema/suite.o $(call libs,schema)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)

# prints occurrences; tests/schedule/run compares them with another library's
$(B)/upcoming: $(B)/tests/schedule/upcoming.o $(call libs,schedule)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)

FUZZ    := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
REPLAYS := $(FUZZ:%=$(B)/tests/fuzz/replay_%)
$(B)/tests/fuzz/replay_%: $(B)/tests/fuzz/fuzz_%.o $(B)/tests/fuzz/replay.o $(call libs,$(FCGI_ROOMS) $(EXECUTOR_ROOMS) runner)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)
$(B)/fuzz_%: $(B)/tests/fuzz/fuzz_%.o $(call libs,$(FCGI_ROOMS) $(EXECUTOR_ROOMS) runner)
	$(CC) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(PKG_LIBS)

# Accepts runs with many workers while killing them: tests/api/test_accept_group.py runs it
$(B)/accept-storm: $(B)/tests/fault/accept_storm.o $(call libs,fcgi/shared)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)
accept-storm: $(B)/accept-storm

# Prepares every query: tests/api/test_queries.py runs it
$(B)/prepare-queries: $(B)/tests/api/prepare_queries.o $(call libs,mariadb)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)
prepare-queries: $(B)/prepare-queries

# Preloaded into an executor whose clock is ahead: tests/api/test_clock.py builds it
$(B)/clock-ahead.so: tests/api/clock_ahead.c
	@mkdir -p $(@D)
	$(CC) -std=gnu17 $(OPT) $(WARN) -fPIC -shared -o $@ $<
clock-ahead: $(B)/clock-ahead.so

# The programs against which scripts/bench compares Millrace
$(B)/bench-%: $(B)/tests/bench/%.o $(B)/tests/bench/serve.o $(call libs,base)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)
$(B)/bench-streams $(B)/bench-spawn: $(B)/bench-%: $(B)/tests/bench/%.o
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)
bench-tools: $(B)/bench-floor $(B)/bench-hello $(B)/bench-pace $(B)/bench-flood $(B)/bench-streams $(B)/bench-spawn

ifdef T
check: $(B)/tests/unit/$(T)/unit-tests
	timeout 300 $< -j2 --timeout 60 $(if $(FILTER),--filter '$(FILTER)')
else
check: $(UNITS) $(REPLAYS)
	@failed=; for t in $(UNITS); do timeout 300 $$t -j2 --timeout 60 || failed="$$failed $$t"; done; \
	    [ -z "$$failed" ] || { echo "failed:$$failed"; exit 1; }
	@for t in $(FUZZ); do $(B)/tests/fuzz/replay_$$t tests/fuzz/corpus/$$t || exit 1; done
endif
asan:
	$(MAKE) VARIANT=asan all check
fuzz:
	$(MAKE) VARIANT=fuzz $(FUZZ:%=build/fuzz/fuzz_%)
fuzz-targets: $(FUZZ:%=$(B)/fuzz_%)

# the compiler's command for each file, for clangd and similar tools
C_FILES := $(sort $(foreach r,$(ROOMS),$(wildcard $(call folder,$(r))/*.c)) $(foreach n,$(NAMES),$(MAIN.$(n))) \
           $(wildcard tests/*/*.c) $(foreach r,$(TESTED),$(wildcard tests/unit/$(r)/*.c)))
comma   := ,
command  = {"directory": "$(CURDIR)"$(comma) "file": "$(1)"$(comma) "command": "$(CC) $(subst ",\",$(ALL_CFLAGS)) $(call see,$(1)) -c $(1)"}
# $(file): the whole text would be too long for one command of the shell
compile-commands: generated
	$(file >compile_commands.json,[$(call command,$(firstword $(C_FILES))))
	$(foreach c,$(wordlist 2,$(words $(C_FILES)),$(C_FILES)),$(file >>compile_commands.json,$(comma)$(call command,$(c))))
	$(file >>compile_commands.json,])
	@echo compile_commands.json

lint:
	scripts/lint
format:
	scripts/lint format
bench: all
	scripts/bench
# etc/ holds the files of systemd, logrotate, sysusers and tmpfiles. The settings and the nginx site are installed as samples.
# A package names the directories of a distribution instead (debian/rules).
UNITS_DIR    ?= /etc/systemd/system
SYSUSERS_DIR ?= /etc/sysusers.d
TMPFILES_DIR ?= /etc/tmpfiles.d
SAMPLES_DIR  ?= $(PREFIX)/share/millrace
SHARE = $(DESTDIR)$(PREFIX)/share
MAN8  := millrace-api millrace-executor millrace-runner millrace-stream
install: all
	install -d $(addprefix $(DESTDIR),$(PREFIX)/bin $(UNITS_DIR) /etc/logrotate.d $(SYSUSERS_DIR) $(TMPFILES_DIR) $(SAMPLES_DIR) $(PREFIX)/lib/millrace)
	install -m 0755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/bin
	for u in $(wildcard $(addprefix etc/systemd/*.,service socket timer slice)); do sed 's|/usr/local/bin|$(PREFIX)/bin|' $$u >$(DESTDIR)$(UNITS_DIR)/$${u##*/}; done
	install -m 0644 etc/logrotate.d/millrace $(DESTDIR)/etc/logrotate.d/millrace
	install -m 0644 etc/sysusers.d/millrace.conf $(DESTDIR)$(SYSUSERS_DIR)/millrace.conf
	install -m 0644 etc/tmpfiles.d/millrace.conf $(DESTDIR)$(TMPFILES_DIR)/millrace.conf
	install -m 0644 nginx/millrace.conf.in nginx/tls.conf.in sql/grants.sql sql/grants-dbcheck.sql $(DESTDIR)$(SAMPLES_DIR)
	install -d $(DESTDIR)$(SAMPLES_DIR)/grafana
	install -m 0644 etc/prometheus/millrace.rules.yml $(DESTDIR)$(SAMPLES_DIR)
	install -m 0644 etc/grafana/*.json $(DESTDIR)$(SAMPLES_DIR)/grafana
	install -m 0755 setup/setup $(DESTDIR)$(PREFIX)/lib/millrace/setup
	if [ -d console/dist ]; then install -d $(DESTDIR)$(SAMPLES_DIR)/console/assets && install -m 0644 console/dist/index.* $(DESTDIR)$(SAMPLES_DIR)/console && \
	  install -m 0644 console/dist/assets/* $(DESTDIR)$(SAMPLES_DIR)/console/assets; fi
	if [ -d site/dist ]; then install -d $(DESTDIR)$(SAMPLES_DIR)/site && cp -r site/dist/. $(DESTDIR)$(SAMPLES_DIR)/site && \
	  chmod -R u=rwX,go=rX $(DESTDIR)$(SAMPLES_DIR)/site; fi
	$(BIN)/millrace config --dump --defaults >$(DESTDIR)$(SAMPLES_DIR)/millrace.ini.sample
	install -d $(SHARE)/man/man1 $(SHARE)/man/man8 $(SHARE)/bash-completion/completions $(SHARE)/zsh/vendor-completions $(SHARE)/fish/vendor_completions.d
	$(foreach m,millrace millrace-cli,$(BIN)/$(m) man >$(SHARE)/man/man1/$(m).1;)
	$(foreach m,$(MAN8),$(BIN)/millrace man $(m) >$(SHARE)/man/man8/$(m).8;)
	$(foreach m,millrace millrace-cli,$(BIN)/$(m) completion bash >$(SHARE)/bash-completion/completions/$(m); \
	  $(BIN)/$(m) completion zsh >$(SHARE)/zsh/vendor-completions/_$(m); \
	  $(BIN)/$(m) completion fish >$(SHARE)/fish/vendor_completions.d/$(m).fish;)
clean:
	rm -rf build bin

-include $(shell find $(B) build/plain -name '*.d' 2>/dev/null)
