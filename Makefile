# Tidemark.  `make deps && make` builds the one binary, build/tidemark.
#
# Sources are found by wildcard.  Each folder of core/ becomes an archive, so
# that a unit test links its own folder and the floors below it, and nothing
# else.  SAN=address,undefined and SAN=thread build below build/<san>/.

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:
MAKEFLAGS += -rR --no-print-directory \
    $(if $(filter 0,$(MAKELEVEL)),-j$(shell nproc))
CC := gcc
LUA := lua5.4
SAN :=
comma := ,
OUT := build$(addprefix /,$(subst $(comma),-,$(SAN)))
OBJ := $(OUT)/obj
BIN := $(OUT)/tidemark
export TIDEMARK := $(abspath $(BIN))

# Flags and libraries.  Where the distribution has a library's archive, that
# is linked; libc never is one, and what sanitizers watch is left shared.

PKGS := lua5.4 libuv sqlite3 libssl libcrypto zlib libzstd liblz4 snappy jansson
RAFT := $(wildcard build/deps/raft/usr/lib/*/libraft.a)
export PKG_CONFIG_PATH := $(abspath $(addsuffix pkgconfig,$(dir $(RAFT))))
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
found = $(filter /%,$(foreach n,$(1) $(1)_a,$(shell $(CC) -print-file-name=lib$(n).a)))
archive = $(firstword $(if $(SAN),,$(call found,$(1))) -l$(1))
LIBS = $(foreach l,$(filter-out $(LIBC),$(sort $(filter -l%,$(shell \
    pkg-config --static --libs $(PKGS))) -lstdc++)),$(call archive,$(l:-l%=%))) \
    $(or $(RAFT),$(call archive,raft)) $(LIBC)
link = $(if $(V),,@echo "ld $@";) $(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group \
    $(filter %.a,$^) $(LIBS_ONCE) $(1) -Wl,--end-group
LIBS_ONCE = $(eval LIBS_ONCE := $$(LIBS))$(LIBS_ONCE)

# Generated sources, shared by all build folders.  The wire generator alone
# knows the names of what it makes: the list is made with it and read back.

WIRE := $(sort $(wildcard schema/wire/*.wire schema/commands/*.wire))
build/gen/base/%.h build/gen/base/%.c: schema/%.lua scripts/errgen.lua
	@mkdir -p $(@D)
	$(LUA) scripts/errgen.lua $< build/gen/base/$*
build/gen/wire.mk: scripts/wiregen.lua $(WIRE)
	@mkdir -p build/gen/wire
	$(LUA) scripts/wiregen.lua build/gen/wire $(WIRE)
	@echo GEN_wire := build/gen/wire/*.c > $@
GEN_base := build/gen/base/errors.c
ifneq ($(filter-out help deps clean run test fmt lint tidy,$(or $(MAKECMDGOALS),all)),)
-include build/gen/wire.mk
endif

# Folders, objects, archives, tests.  core/FLOORS says who is below whom.

ROOMS := $(shell awk '/^[0-9]/ { for (i = 2; i <= NF; i++) print $$1 ":" $$i }' \
    core/FLOORS)
name = $(lastword $(subst :, ,$(1)))
floor = $(firstword $(subst :, ,$(filter %:$(1),$(ROOMS))))
below = $(foreach n,$(wordlist 1,$(call floor,$(1)),0 1 2 3 4 5 6 7 8 9), \
    $(foreach r,$(filter $(n):%,$(ROOMS)),$(call name,$(r))))
FOLDERS := $(filter-out main.c,$(foreach r,$(ROOMS),$(call name,$(r))))
object = $(patsubst core/%.c,$(OBJ)/%.o,$(patsubst build/%.c,$(OBJ)/%.o,$(1)))
tests = $(patsubst tests/%.c,$(OUT)/%,$(sort $(wildcard tests/$(1).c)))
define FOLDER
SRC_$(1) := $(sort $(wildcard core/$(1)/*.c)) $(GEN_$(1))
$(OUT)/lib/$(1).a: $$(call object,$$(SRC_$(1)))
$(call tests,unit/$(1)/*_test): $(patsubst %,$(OUT)/lib/%.a,test $(1) $(call below,$(1)))
$$(call object,$$(SRC_$(1))) $(patsubst $(OUT)/%,$(OBJ)/tests/%.o,$(call tests,unit/$(1)/*)): \
    | build/gen/base/errors.h $(if $(filter base run,$(1)),,build/gen/wire.mk)
endef
$(foreach f,$(FOLDERS),$(eval $(call FOLDER,$(f))))
ARCHIVES := $(FOLDERS:%=$(OUT)/lib/%.a)
UNIT := $(filter $(if $(T),$(OUT)/unit/$(T)_test $(OUT)/unit/$(T)/%,%),$(call tests,unit/*/*_test))
HELPERS := $(filter-out $(OUT)/lib/% $(OUT)/unit/% $(OUT)/sim/%,$(call tests,*/*))

all: $(BIN) ## the release build: build/tidemark
$(BIN): $(call object,core/main.c $(foreach f,$(FOLDERS),$(SRC_$(f))))
	$(call link)
$(OUT)/lib/test.a: $(patsubst tests/%.c,$(OBJ)/tests/%.o,$(wildcard tests/lib/*.c))
$(OUT)/lib/%.a:
	@mkdir -p $(@D)
	@rm -f $@
	@ar rcs $@ $^
$(OBJ)/%.o: core/%.c
	@mkdir -p $(@D)
	$(if $(V),,@echo "cc $<";) $(CC) $(CFLAGS) -MMD -MP -c -o $@ $<
$(OBJ)/gen/%.o: build/gen/%.c
	@mkdir -p $(@D)
	$(if $(V),,@echo "cc $<";) $(CC) $(CFLAGS) -MMD -MP -c -o $@ $<
$(OBJ)/tests/%.o: tests/%.c
	@mkdir -p $(@D)
	$(if $(V),,@echo "cc $<";) $(CC) $(CFLAGS) -Wno-unused-parameter -Itests -MMD -MP -c -o $@ $<
$(OUT)/unit/%: $(OBJ)/tests/unit/%.o
	@mkdir -p $(@D)
	$(call link,-lcmocka)
$(OUT)/%_shim.so: tests/%_shim.c
	@mkdir -p $(@D)
	$(CC) $(filter-out -fPIE,$(CFLAGS)) -fPIC -shared -o $@ $< -ldl
$(OUT)/simulator: $(patsubst tests/%.c,$(OBJ)/tests/%.o,$(wildcard tests/sim/*.c)) $(ARCHIVES)
	$(call link)
$(HELPERS): $(OUT)/%: $(OBJ)/tests/%.o $(OUT)/lib/test.a $(ARCHIVES)
	@mkdir -p $(@D)
	$(call link)
-include $(shell find $(OBJ) -name '*.d' 2> /dev/null)

# What people type.

.PHONY: all run test unit it crash sim golden house bench fuzz debian tidy fmt \
    lint deps clean help
run: ## install what is missing, build, serve on 127.0.0.1:9092
	@scripts/deps
	+@$(MAKE) all
	@exec $(BIN) serve
test: ## everything that gates; closes with N passed, N failed
	@scripts/deps build test
	+@tests/lib/gate
unit: ## the unit tests; T=log or T=log/segment: these; SAN=... works
	+@test -n "$(UNIT)" || { echo "no unit test '$(T)'"; exit 1; }; broken=0; \
	$(MAKE) -k $(UNIT) || broken=1; BROKEN=$$broken tests/lib/unit $(UNIT)
sim: $(OUT)/simulator ## the simulated world; SEED=... repeats one run
golden: $(if $(wildcard tests/golden/*.c),$(call tests,golden/*)) ## the wire against bytes of Kafka's own classes
it: $(BIN) ## real clients against a real broker
crash: $(BIN) ## kill -9 rounds and failing disks; ROUNDS=500
bench: $(BIN) ## rates, CPU, start-up and size beside the peers
house: $(BIN) ## what the pure objects may refer to
fuzz: ## libFuzzer on what parses; T=name S=seconds
it crash bench: $(filter $(OUT)/it/% $(OUT)/crash/% $(OUT)/bench/%,$(HELPERS))
sim golden it crash bench house fuzz:
	@SIMULATOR=$(OUT)/simulator HELPERS=$(OUT)/$@ OBJ=$(OBJ) tests/$@/run
debian: ## deps and build from nothing but git and make, Debian 12 and 13
	@scripts/deps house
	@tests/house/debian
tidy: ## floors and doors (these fail), sizes beside the models' (these do not)
	@$(LUA) scripts/tidy.lua
fmt: ## clang-format on all of core/ and tests/
	@scripts/deps lint
	clang-format -i $(wildcard core/*.c core/*/*.[ch] tests/*/*.[ch] tests/unit/*/*.[ch])
lint: ## cppcheck and clang-tidy
	@scripts/deps lint
	cppcheck -q --std=c11 --enable=warning,performance,portability --inline-suppr \
	    --suppress=missingIncludeSystem --error-exitcode=1 -D_GNU_SOURCE -Icore -Ibuild/gen core
	clang-tidy -quiet $(wildcard core/*.c core/*/*.c) -- $(filter-out -W%,$(CFLAGS))
deps: ## install what the build needs (Debian; root or sudo)
	@scripts/deps
clean: ## remove what was built (not what deps fetched)
	rm -rf $(filter-out build/deps,$(wildcard build/*))
help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile
