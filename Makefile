# readiness: build, install, tests.  "make help" lists the targets.

NGINX     ?= nginx
NGINX_SRC ?= /usr/share/nginx/src
BUILD     := build
MODULE    := $(BUILD)/ngx_readiness_module.so
CC        ?= cc

WARN      := -Wall -Wextra -Werror -Wno-unused-parameter
HARDEN    := -O2 -g -fstack-protector-strong -fPIC -D_FORTIFY_SOURCE=2
ABS       := $(CURDIR)

SOURCES   := config ngx_readiness_module.c $(wildcard src/*.c src/*.h \
             src/*/*.c src/*/*.h) src/exports.map
LEAVES    := $(wildcard src/*/rdy_*.c)
UNITS     := $(patsubst t/00unit/%.c,$(BUILD)/unit/%,$(wildcard t/00unit/*.c))
FUZZERS   := $(patsubst t/fuzz/%.c,%,$(wildcard t/fuzz/rdy_*.c))
REPLAYS   := $(addprefix $(BUILD)/replay/,$(FUZZERS))

LEAF_FLAGS := -std=gnu11 -g -O1 $(WARN) -Wno-missing-field-initializers \
              -DRDY_STANDALONE -Isrc -It/00unit \
              -fsanitize=address,undefined -fno-sanitize-recover=all
LEAF_LIBS  := -lcmocka -ljansson -lcrypto

# Debian's nginx-dev says how its nginx was configured; other sources are
# configured for binary compatibility only (--with-compat).
CONF_FLAGS := $(shell bash -c '. $(NGINX_SRC)/conf_flags \
                && echo "$${NGX_CONF_FLAGS[@]}"' 2>/dev/null \
                || echo --with-compat)

.PHONY: all help install test built unit replay e2e fuzz static static-test asan \
        survive bench demo clean

all: $(MODULE)

help:
	@echo "make            the dynamic module, for the nginx of $(NGINX_SRC)"
	@echo "make install    the module where load_module modules/... finds it"
	@echo "make demo       requests through nginx, module, Redis, application"
	@echo "make test       everything: unit, fuzz corpus, end to end, static"
	@echo "make unit       the pure leaves, under ASan and UBSan"
	@echo "make e2e        end to end, real nginx and Redis"
	@echo "make static     nginx with the module inside (STATIC_SRC=DIR)"
	@echo "make asan       all end-to-end tests on such an nginx, sanitized"
	@echo "make survive    100 000 abandoned lookups, 100 restarts of Redis on it"
	@echo "make bench      speed, beside bare and stock nginx"
	@echo "make fuzz       each fuzzer for FUZZ_TIME seconds (default 60)"

# --- the dynamic module -----------------------------------------------------

$(BUILD)/nginx/auto/module: $(NGINX_SRC)/auto/module
	@mkdir -p $(BUILD)
	@rm -rf $(BUILD)/nginx
	@cp -R $(NGINX_SRC) $(BUILD)/nginx
	@touch $@

$(BUILD)/nginx/objs/Makefile: $(BUILD)/nginx/auto/module config Makefile \
                              $(wildcard src/*/*.c src/*.c)
	@cd $(BUILD)/nginx && ./configure $(CONF_FLAGS) \
	    --with-cc="$(CC)" --with-cc-opt="$(HARDEN) $(WARN)" \
	    --with-ld-opt="-Wl,-z,relro -Wl,-z,now" \
	    --add-dynamic-module=$(ABS) > configure.log 2>&1 \
	    || { tail -20 configure.log; exit 1; }

$(MODULE): $(BUILD)/nginx/objs/Makefile $(SOURCES)
	@$(MAKE) --no-print-directory -C $(BUILD)/nginx -f objs/Makefile modules \
	    > $(BUILD)/make.log 2>&1 || { grep -E 'error|warning|undefined' -A4 \
	    $(BUILD)/make.log || tail -20 $(BUILD)/make.log; exit 1; }
	cp $(BUILD)/nginx/objs/ngx_readiness_module.so $@.new
	mv $@.new $@

# A rename: a running nginx keeps the file it has mapped.
install: $(MODULE)
	@dir=$$($(NGINX) -V 2>&1 | tr ' ' '\n' \
	    | sed -n 's/^--modules-path=//p'); \
	prefix=$$($(NGINX) -V 2>&1 | tr ' ' '\n' | sed -n 's/^--prefix=//p'); \
	dir=$(DESTDIR)$${dir:-$${prefix:-/usr/local/nginx}/modules}; \
	mkdir -p "$$dir" \
	&& install -m 644 $(MODULE) "$$dir/.ngx_readiness_module.so.new" \
	&& mv "$$dir/.ngx_readiness_module.so.new" \
	      "$$dir/ngx_readiness_module.so" \
	&& echo "installed $$dir/ngx_readiness_module.so"

# --- the pure leaves ---------------------------------------------------------

unit: $(UNITS)
	CMOCKA_MESSAGE_OUTPUT=TAP prove --exec '' $(UNITS)

.SECONDARY:

LEAF_OBJS := $(patsubst src/%.c,$(BUILD)/leaf/%.o,$(LEAVES))
LEAF_DEPS := $(wildcard src/*/rdy_*.h src/rdy_base.h t/00unit/*.h) Makefile

$(BUILD)/leaf/%.o: src/%.c $(LEAF_DEPS)
	@mkdir -p $(@D)
	$(CC) $(LEAF_FLAGS) -c $< -o $@

$(BUILD)/unit/%: t/00unit/%.c $(LEAF_OBJS)
	@mkdir -p $(@D)
	$(CC) $(LEAF_FLAGS) $< $(LEAF_OBJS) $(LEAF_LIBS) -o $@

replay: $(REPLAYS)
	@for f in $(FUZZERS); do \
	    echo "prove $(BUILD)/replay/$$f :: t/fuzz/corpus/$$f/*"; \
	    prove --exec '' $(BUILD)/replay/$$f :: t/fuzz/corpus/$$f/* \
	    || exit 1; done

$(BUILD)/replay/%: t/fuzz/%.c t/fuzz/replay.c $(LEAF_OBJS)
	@mkdir -p $(@D)
	$(CC) $(LEAF_FLAGS) $< t/fuzz/replay.c $(LEAF_OBJS) $(LEAF_LIBS) -o $@

FUZZ_TIME ?= 60

fuzz:
	@mkdir -p $(BUILD)/fuzz
	@for f in $(FUZZERS); do \
	    mkdir -p $(BUILD)/fuzz/$$f.corpus; \
	    clang -std=gnu11 -g -O1 -DRDY_STANDALONE -Isrc \
	        -fsanitize=fuzzer,address,undefined t/fuzz/$$f.c $(LEAVES) \
	        -ljansson -lcrypto -o $(BUILD)/fuzz/$$f \
	    && $(BUILD)/fuzz/$$f -max_total_time=$(FUZZ_TIME) \
	        -artifact_prefix=$(BUILD)/fuzz/ $(BUILD)/fuzz/$$f.corpus \
	        t/fuzz/corpus/$$f || exit 1; done

# --- the whole ---------------------------------------------------------------

TESTS ?= $(sort $(wildcard t/*.t))
JOBS  ?= 2

test: $(MODULE) unit replay e2e static-test

# what the tests need, by as many jobs as make is given
built: $(MODULE) $(UNITS) $(REPLAYS)

e2e: $(MODULE)
	prove -It/lib -j$(JOBS) $(TESTS)

# nginx's own source with the module inside: another order of the filters, and
# with SAN=1 every part of both under ASan and UBSan

,           := ,
SAN         ?=
STATIC      := $(ABS)/$(BUILD)/static$(if $(SAN),-san)
STATIC_CC   := -g $(WARN) $(if $(SAN),-O1 -DNGX_DEBUG_PALLOC=1 \
               -fsanitize=address$(,)undefined \
               -fno-sanitize=nonnull-attribute$(,)pointer-overflow \
               -fno-sanitize=alignment \
               -fno-omit-frame-pointer,-O2)
STATIC_LD   := $(if $(SAN),-fsanitize=address$(,)undefined)
STATIC_TESTS ?= $(wildcard t/02*.t t/30*.t t/50*.t)
static: $(STATIC)/nginx

$(STATIC)/nginx: $(SOURCES) Makefile
	@mkdir -p $(STATIC)
	@src=$$(t/source $(ABS)/$(BUILD)/source) && cd "$$src" \
	&& ./configure --prefix=$(STATIC) --builddir=$(STATIC)/objs \
	    --with-debug --with-threads --with-poll_module \
	    --with-select_module --with-http_ssl_module \
	    --with-http_v2_module --with-http_realip_module \
	    --with-http_auth_request_module --with-http_addition_module \
	    --with-http_slice_module --with-http_sub_module \
	    --with-http_stub_status_module --with-http_dav_module \
	    --with-cc="$(CC)" --with-cc-opt="$(STATIC_CC)" \
	    --with-ld-opt="$(STATIC_LD)" --add-module=$(ABS) \
	    > $(STATIC)/configure.log 2>&1 \
	    || { tail -20 $(STATIC)/configure.log; exit 1; }; \
	$(MAKE) --no-print-directory -f $(STATIC)/objs/Makefile -j2 binary \
	    > $(STATIC)/make.log 2>&1 || { grep -E 'error:|undefined' -A4 \
	    $(STATIC)/make.log; exit 1; }
	cp $(STATIC)/objs/nginx $@

static-test: $(STATIC)/nginx
	READINESS_MODULE= READINESS_NGINX=$(STATIC)/nginx \
	    prove -It/lib -j$(JOBS) $(STATIC_TESTS)

# nginx leaves its cycle to the end of the process: no look for leaks
asan:
	ASAN_OPTIONS=detect_leaks=0 $(MAKE) static-test SAN=1 STATIC_TESTS="$(TESTS)"

survive:
	READINESS_ABANDON=100000 READINESS_RESTARTS=100 \
	READINESS_TIME_SCALE=4 $(MAKE) asan \
	    TESTS="t/49fault_leave.t t/49fault_restart.t"

bench: $(MODULE)
	t/bench/bench.pl

# programs of t/bench, optimized as the module is

$(BUILD)/bench/%: t/bench/%.c $(LEAVES) $(LEAF_DEPS)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -g -O2 $(WARN) -Wno-missing-field-initializers \
	    -DRDY_STANDALONE -Isrc $< $(LEAVES) -ljansson -lcrypto -o $@

demo:
	sh t/demo

clean:
	rm -rf $(BUILD)
