# Tidemark.  `make deps && make` builds the one binary, build/tidemark.
#
# Sources are found by wildcard.  Each folder of core/ becomes an archive, so
# that a unit test links its own folder and the floors below it, and nothing
# else.  SAN=address,undefined and SAN=thread build below build/<san>/.

.DEFAULT_GOAL := all
.DELETE_ON_ERROR .SECONDARY:
MAKEFLAGS += -rR --no-print-directory $(if $(filter 0,$(MAKELEVEL)),-j$(shell nproc))
CC := gcc
SAN :=
OUT := build$(addprefix /,$(shell echo $(SAN) | tr , -))
OBJ := $(OUT)/obj
BIN := $(OUT)/tidemark
export TIDEMARK := $(abspath $(BIN))

# Flags and libraries.  Where the distribution has a library's archive, that
# is linked; libc never is one, and what sanitizers watch is left shared.
PKGS := lua5.4 libuv sqlite3 libssl libcrypto zlib libzstd liblz4 snappy jansson
RAFT := $(wildcard build/deps/raft/usr/lib/*/libraft.a)
WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wundef -Wvla \
    -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes -Werror
INCLUDE := $(patsubst -I%,-isystem %,$(if $(RAFT),-Ibuild/deps/raft/usr/include) \
    $(shell pkg-config --cflags-only-I lua5.4 2> /dev/null))
OPT := $(if $(SAN),-O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all \
    -fsanitize=$(SAN),-O2 -g1 -D_FORTIFY_SOURCE=2 -fstack-protector-strong)
CFLAGS := -std=c11 -D_GNU_SOURCE $(OPT) $(WARN) -fPIE -pthread \
    -ffunction-sections -fdata-sections -Icore -Ibuild/gen $(INCLUDE)
LDFLAGS := -pie -pthread -Wl,--gc-sections -Wl,--as-needed -Wl,-z,relro,-z,now \
    $(if $(SAN),-fsanitize=$(SAN),-static-libgcc)
LIBC := -lc -lm -ldl -lrt -lpthread
archive = $(firstword $(if $(SAN),,$(filter /%,$(foreach n,$(1) $(1)_a, \
    $(shell $(CC) -print-file-name=lib$(n).a)))) -l$(1))
LIBS = $(eval LIBS := $$(FOUND))$(LIBS)
FOUND = $(foreach l,$(filter-out $(LIBC),$(sort $(filter -l%,$(shell \
    pkg-config --static --libs $(PKGS))) -lstdc++)),$(call archive,$(l:-l%=%))) \
    $(or $(RAFT),$(call archive,raft)) $(LIBC)
say = $(if $(V),,@echo "$(1)";) mkdir -p $(@D) &&
compile = $(call say,cc $<) $(CC) $(CFLAGS) $(1) -MMD -MP -c -o $@ $<
link = $(call say,ld $@) $(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) \
    -Wl,--start-group $(filter %.a,$^) $(LIBS) $(1) -Wl,--end-group

# Generated sources, shared by all build folders.  The wire generator alone
# knows the names of what it makes: the list is made with it and read back.
WIRE := $(sort $(wildcard schema/wire/*.wire schema/commands/*.wire))
build/gen/base/%.h build/gen/base/%.c: schema/%.lua scripts/errgen.lua
	@mkdir -p $(@D) && lua5.4 scripts/errgen.lua $< build/gen/base/$*
build/gen/wire.mk: scripts/wiregen.lua scripts/wireschema.lua $(WIRE)
	@mkdir -p build/gen/wire && lua5.4 scripts/wiregen.lua build/gen/wire $(WIRE)
	@echo GEN_wire := build/gen/wire/*.c > $@
build/gen/meta/schema.c: scripts/embed.lua $(wildcard schema/meta/*.sql)
	@mkdir -p $(@D) && lua5.4 $< schema_migrations meta/schema.h $@ $(filter %.sql,$^)
GEN_base := build/gen/base/errors.c
GEN_meta := build/gen/meta/schema.c
ifneq ($(filter-out help deps clean run test fmt tidy debian,$(or $(MAKECMDGOALS),all)),)
ifeq ($(RAFT)$(shell pkg-config --exists 'raft >= 0.22.1' 'raft < 0.23' 2>&1 || echo no),no)
$(error there is no libraft >= 0.22.1 and < 0.23 here: run make deps)
endif
-include build/gen/wire.mk
endif

# Folders, objects, archives, tests.  core/FLOORS says who is below whom.
ROOMS := $(shell awk '/^[0-8] / { for (i = 2; i <= NF; i++) print $$i "=" below; \
    for (i = 2; i <= NF; i++) below = below ":" $$i }' core/FLOORS)
FOLDERS := $(foreach r,$(ROOMS),$(firstword $(subst =, ,$(r))))
below = $(subst :, ,$(patsubst $(1)=%,%,$(filter $(1)=%,$(ROOMS))))
object = $(patsubst %.c,$(OBJ)/%.o,$(patsubst core/%,%,$(patsubst build/%,%,$(1))))
tests = $(patsubst tests/%.c,$(OUT)/%,$(sort $(wildcard tests/$(1).c)))
define FOLDER
SRC_$(1) := $(sort $(wildcard core/$(1)/*.c)) $(GEN_$(1))
$(OUT)/lib/$(1).a: $$(call object,$$(SRC_$(1)))
$(call tests,unit/$(1)/*_test): $(patsubst %,$(OUT)/lib/%.a,test $(1) $(call below,$(1)))
$$(call object,$$(SRC_$(1)) $(wildcard tests/unit/$(1)/*.c)): \
    | build/gen/base/errors.h $(if $(filter base run,$(1)),,build/gen/wire.mk)
endef
$(foreach f,$(FOLDERS),$(eval $(call FOLDER,$(f))))
ARCHIVES := $(FOLDERS:%=$(OUT)/lib/%.a)
UNIT := $(filter $(if $(T),$(OUT)/unit/$(T)_test $(OUT)/unit/$(T)/%,%),$(call tests,unit/*/*_test))
PROGRAMS := $(filter-out $(OUT)/lib/% $(OUT)/unit/% %_shim,$(call tests,*/*))
FUZZERS := $(filter $(OUT)/fuzz/%,$(PROGRAMS))
SHIMS := $(addsuffix .so,$(call tests,*/*_shim))

$(call object,core/main.c $(wildcard tests/*/*.c)): | build/gen/base/errors.h build/gen/wire.mk
$(BIN): $(call object,core/main.c $(foreach f,$(FOLDERS),$(SRC_$(f))))
	$(call link)
$(OUT)/lib/test.a: $(call object,$(wildcard tests/lib/*.c))
$(OUT)/lib/%.a:
	@mkdir -p $(@D) && rm -f $@ && ar rcs $@ $^
$(OBJ)/%.o: core/%.c
	$(call compile)
$(OBJ)/gen/%.o: build/gen/%.c
	$(call compile)
$(OBJ)/tests/%.o: tests/%.c
	$(call compile,-Wno-unused-parameter -Itests)
$(OUT)/unit/%: $(OBJ)/tests/unit/%.o
	$(call link,-lcmocka)
$(OUT)/%_shim.so: tests/%_shim.c
	$(call say,ld $@) $(CC) $(filter-out -fsanitize%,$(CFLAGS:-fPIE=-fPIC)) -shared -o $@ $< -ldl
$(PROGRAMS): $(OUT)/%: $(OBJ)/tests/%.o
$(FUZZERS): LDFLAGS += -fsanitize=fuzzer
$(PROGRAMS): $(OUT)/lib/test.a $(ARCHIVES)
	$(call link)
-include $(shell find $(OBJ) -name '*.d' 2> /dev/null)

# What people type.  A part of the tests is an executable tests/<part>/run that
# closes with "N passed, N failed"; its C programs are built below $(OUT)/<part>.
PARTS := sim golden it crash bench house
.PHONY: all run test unit $(PARTS) it-san fuzz fuzzers debian tidy fmt lint deps clean help
all: $(BIN) ## the release build, build/tidemark; V=1 shows the commands
run: ## install what is missing, build, serve on 127.0.0.1:9092
	+@scripts/deps && $(MAKE) all && exec $(BIN) serve
test: ## everything that gates; closes with N passed, N failed
	+@scripts/deps build test && tests/lib/gate
unit: ## the unit tests; T=log or T=log/segment: these; SAN=... works
	+@test -n "$(UNIT)" || { echo "no unit test '$(T)'"; exit 1; }; broken=0; \
	$(MAKE) -ks $(UNIT) || broken=1; BROKEN=$$broken tests/lib/unit $(UNIT)
sim: ## simulated worlds; SEEDS=N each, SEED=N [T=log] tells one as it happens
golden: ## the wire against bytes of Kafka's own classes
it: $(BIN) ## real clients against a real broker; SAN=... works
crash: $(BIN) ## kill -9, failing disks, power cuts; ROUNDS=500; SAN=... works
bench: $(BIN) ## rates, CPU, start-up and size beside the peers
house: $(ARCHIVES) ## what the pure objects may refer to
$(foreach p,$(PARTS),$(eval $(p): $(filter $(OUT)/$(p)/%,$(PROGRAMS) $(SHIMS))))
$(PARTS):
	@OUT=$(OUT) SAN=$(SAN) HELPERS=$(OUT)/$@ tests/$@/run
it-san: ## the end-to-end tests under both pairs of sanitizers
	+@$(MAKE) it SAN=address,undefined && $(MAKE) it SAN=thread
fuzz: ## libFuzzer on what parses, one after another; T=name S=seconds
	+@scripts/deps fuzz && $(MAKE) fuzzers CC=clang SAN=fuzzer-no-link,address,undefined
fuzzers: $(filter $(OUT)/fuzz/$(or $(T),%),$(FUZZERS))
	@tests/lib/fuzz $(or $(S),60) $^
debian: ## deps and build from nothing but git and make, Debian 12 and 13
	@scripts/deps house && tests/house/debian
tidy: ## floors, doors, what only tests call (these fail); sizes (these do not)
	@lua5.4 scripts/tidy.lua
fmt: ## clang-format on all of core/ and tests/
	@scripts/deps lint
	clang-format -i $(wildcard core/*.c core/*/*.[ch] tests/*/*.[ch] tests/unit/*/*.[ch])
lint: ## cppcheck and clang-tidy
	@scripts/deps lint
	cppcheck -q --enable=warning,performance,portability --inline-suppr -Icore core
	@clang-tidy -quiet $(wildcard core/*.c core/*/*.c) -- $(filter-out -W%,$(CFLAGS))
deps: ## install what the build needs (Debian; root or sudo)
	@scripts/deps
clean: ## remove what was built (not what deps fetched)
	rm -rf --one-file-system $(filter-out build/deps,$(wildcard build/*))
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile
