# Thin on purpose: every folder's *.c make its library, every folder's main.c its program.
#   make            the programs, in bin/
#   make check      the Criterion unit tests and the fuzz corpora, replayed
#   make lint       clang-format, clang-tidy, cppcheck, layering
#   make asan       the same programs and tests by clang, under ASan+UBSan, in build/asan/
#   make fuzz       the libFuzzer targets, in build/fuzz/
# Variants live side by side: VARIANT=asan|tsan|crash puts everything below build/VARIANT/.

.DEFAULT_GOAL := all
VARIANT ?=
B       := build/$(or $(VARIANT),plain)
BIN     := $(if $(VARIANT),$(B)/bin,bin)
PREFIX  ?= /usr/local

CC      ?= gcc
ifeq ($(origin CC),default)
CC      := gcc
endif
LIBS    := json-c talloc libmariadb hiredis libpcre2-8 libsodium libevent_core libevent_pthreads libcurl libmagic libcrypto
# pkg-config is asked once a run; libfcgi and inih ship without (or with odd) .pc files
PKG_CFLAGS := $(shell pkg-config --cflags $(LIBS))
PKG_LIBS   := $(shell pkg-config --libs $(LIBS)) -lfcgi -linih -lm -pthread

WARN    := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
           -Wvla -Wformat=2 -Wundef -Wwrite-strings -Wno-unused-parameter -Wno-missing-field-initializers
OPT     ?= -O2 -g
SAN     :=
ifeq ($(VARIANT),asan)
# so that both compilers' warnings are heeded
CC      := clang
SAN     := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
OPT     := -O1 -gline-tables-only
endif
ifeq ($(VARIANT),tsan)
# no-tsan: it knows no fences, and says so; the one there is stands between processes, which it does not see anyway
SAN     := -fsanitize=thread -fno-omit-frame-pointer -Wno-tsan
OPT     := -O1 -g
endif
# what has no such points is the plain build's
ifeq ($(VARIANT),crash)
DEFS    := -DMILLRACE_CRASH_POINTS
POINTED := $(shell grep -l '"core/crash.h"' */*.c)
endif
ifeq ($(VARIANT),fuzz)
CC      := clang
SAN     := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
OPT     := -O1 -g
endif
HARDEN  := -fstack-protector-strong $(if $(SAN),,-D_FORTIFY_SOURCE=2) -fPIE
ALL_CFLAGS = -std=gnu17 $(OPT) $(WARN) $(HARDEN) $(SAN) $(DEFS) -I. -I$(GENDIR) $(PKG_CFLAGS) $(CFLAGS)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(SAN) $(LDFLAGS)

DIRS    := core fcgi executor stream cli runner
under    = $(foreach c,$(1),$(if $(or $(filter-out crash,$(or $(VARIANT),plain)),$(filter $(c),$(POINTED))),$(B),build/plain)/$(c:.c=.o))
objs     = $(call under,$(filter-out %/main.c,$(wildcard $(1)/*.c)))
lib      = $(B)/lib$(1).a

# program = the folder whose main.c it is
NAMES   := fcgi:millrace-api executor:millrace-executor stream:millrace-stream runner:millrace-runner cli:millrace
PROGRAMS := $(foreach n,$(NAMES),$(if $(wildcard $(firstword $(subst :, ,$(n)))/main.c),$(BIN)/$(lastword $(subst :, ,$(n)))))
GENDIR  := build/gen
GEN     := $(GENDIR)/sql.h $(GENDIR)/lua.h $(GENDIR)/blobs.h $(GENDIR)/filters.h
GEN_OBJ := $(B)/gen/sql.o $(B)/gen/lua.o $(B)/gen/blobs.o

# for tools that read the sources themselves: scripts/lint
generated: $(GEN)
flags:
	@echo '$(filter-out -fstack-protector-strong -fPIE,$(ALL_CFLAGS))'

.PHONY: generated flags all check lint format asan fuzz bench install clean unit-tests compile-commands
.SECONDARY:
all: $(PROGRAMS)

$(GENDIR)/sql.h $(GENDIR)/sql.c &: scripts/embed $(wildcard sql/queries/*.sql sql/migrations/*.sql)
	scripts/embed sql $(GENDIR)
$(GENDIR)/lua.h $(GENDIR)/lua.c &: scripts/embed $(wildcard redis/*.lua)
	scripts/embed lua $(GENDIR)
$(GENDIR)/blobs.h $(GENDIR)/blobs.c &: scripts/embed $(wildcard core/metaschema/*.json core/metaschema/*/*.json docs/openapi.json docs/skill.schema.json)
	scripts/embed blobs $(GENDIR)

$(GENDIR)/make-filters: runner/filters/main.c
	@mkdir -p $(@D)
	gcc -std=gnu17 -O1 $(WARN) -o $@ $< -lseccomp
$(GENDIR)/filters.h $(GENDIR)/filters.c &: $(GENDIR)/make-filters
	$(GENDIR)/make-filters $(GENDIR)

$(B)/gen/%.o: $(GENDIR)/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c -o $@ $<
$(B)/%.o: %.c | $(GEN)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<
ifeq ($(VARIANT),crash)
build/plain/%.o: %.c | $(GEN)
	@mkdir -p $(@D)
	$(CC) $(filter-out $(DEFS),$(ALL_CFLAGS)) -MMD -MP -c -o $@ $<
endif

define library
$$(B)/lib$(1).a: $$(call objs,$(1)) $(if $(filter core,$(1)),$$(GEN_OBJ)) $(if $(filter runner,$(1)),$$(B)/gen/filters.o)
	@mkdir -p $$(@D)
	rm -f $$@ && ar rcs $$@ $$^
endef
$(foreach d,$(DIRS),$(eval $(call library,$(d))))

define program
$$(BIN)/$(1): $$(call under,$(2)/main.c) $$(B)/lib$(2).a $$(B)/libcore.a
	@mkdir -p $$(@D)
	$$(CC) $$(ALL_LDFLAGS) -o $$@ $$^ $$(or $$(LIBS_$(2)),$$(PKG_LIBS))
endef
# started twice a run of a skill: what it needs of libraries is linked in, loading them would cost more than what it does
LIBS_runner := -Wl,-Bstatic -ljson-c -ltalloc -lsodium -Wl,-Bdynamic -lm -pthread
$(foreach n,$(NAMES),$(eval $(call program,$(lastword $(subst :, ,$(n))),$(firstword $(subst :, ,$(n))))))

# --- tests ---------------------------------------------------------------------------------------------
UNIT_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard tests/unit/*.c))
$(B)/unit-tests: $(UNIT_OBJ) $(foreach d,fcgi executor stream cli runner,$(if $(wildcard $(d)/*.c),$(call lib,$(d)))) $(call lib,core)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS) -lcriterion
unit-tests: $(B)/unit-tests

# the official tests of JSON Schema; tests/schema/run runs it
$(B)/schema-suite: $(B)/tests/schema/suite.o $(call lib,core)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)

FUZZ    := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
REPLAYS := $(FUZZ:%=$(B)/tests/fuzz/replay_%)
$(B)/tests/fuzz/replay_%: $(B)/tests/fuzz/fuzz_%.o $(B)/tests/fuzz/replay.o $(call lib,fcgi) $(call lib,executor) $(call lib,core)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)
$(B)/fuzz_%: $(B)/tests/fuzz/fuzz_%.o $(call lib,fcgi) $(call lib,executor) $(call lib,core)
	$(CC) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(PKG_LIBS)

# Accepts runs with many workers while killing them: tests/accept/test_storm.py runs it
$(B)/accept-storm: $(B)/tests/accept/storm.o $(call lib,fcgi) $(call lib,core)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)
accept-storm: $(B)/accept-storm

# What Millrace is measured against: scripts/bench runs them
$(B)/bench-%: $(B)/tests/bench/%.o $(B)/tests/bench/serve.o $(call lib,core)
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)
$(B)/bench-streams $(B)/bench-spawn: $(B)/bench-%: $(B)/tests/bench/%.o
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(PKG_LIBS)
bench-tools: $(B)/bench-floor $(B)/bench-hello $(B)/bench-pace $(B)/bench-flood $(B)/bench-streams $(B)/bench-spawn

check: $(B)/unit-tests $(REPLAYS)
	timeout 300 $(B)/unit-tests -j2 --timeout 60
	@for t in $(FUZZ); do $(B)/tests/fuzz/replay_$$t tests/fuzz/corpus/$$t || exit 1; done
asan:
	$(MAKE) VARIANT=asan all check
fuzz:
	$(MAKE) VARIANT=fuzz $(FUZZ:%=build/fuzz/fuzz_%)
fuzz-targets: $(FUZZ:%=$(B)/fuzz_%)

lint format:
	scripts/lint $@
bench: all
	scripts/bench
# etc/ is what systemd, logrotate and nginx need; settings and site are samples, to be filled in.
ETC := $(DESTDIR)/etc
install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(ETC)/systemd/system $(ETC)/logrotate.d $(ETC)/sysusers.d $(ETC)/tmpfiles.d $(ETC)/millrace
	install -m 0755 $(PROGRAMS) $(DESTDIR)$(PREFIX)/bin
	for u in etc/systemd/*.service; do sed 's|/usr/local/bin|$(PREFIX)/bin|' $$u >$(ETC)/systemd/system/$${u##*/}; done
	install -m 0644 etc/logrotate.d/millrace $(ETC)/logrotate.d/millrace
	install -m 0644 etc/sysusers.d/millrace.conf $(ETC)/sysusers.d/millrace.conf
	install -m 0644 etc/tmpfiles.d/millrace.conf $(ETC)/tmpfiles.d/millrace.conf
	install -m 0644 nginx/millrace.conf.in sql/grants.sql $(ETC)/millrace
	$(BIN)/millrace config --dump --defaults >$(ETC)/millrace/millrace.ini.sample
clean:
	rm -rf build bin

-include $(shell find $(B) build/plain -name '*.d' 2>/dev/null)
