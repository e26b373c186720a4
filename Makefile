# Every command works on a fresh clone: the first one installs, the others find it done.
# What may be set: PYTHON (3.10 or newer), TORCH (pip's words for torch), FAMILY (of OpenMMLab packages:
# onedl or openmmlab), TESTS (pytest's arguments), STACKS (of test-stacks).

PYTHON ?= python3
TORCH ?= torch torchvision
FAMILY ?= onedl
TESTS ?= -n 2 --dist loadfile

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help install demo test test-stacks lint asan format clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## make .venv with all that the other commands need (no compiler needed)

demo: $(INSTALLED) ## train two small networks on rotated digits, with and without a transformer
	$(BIN)/python tools/demo.py

test: $(INSTALLED) ## run the test-suite
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(TESTS)

# Each stack in a copy of the tree, with a .venv and a compiled op of its own. The oldest needs Python
# 3.10 or 3.11: `make test-stacks PYTHON=python3.11`. Trainings that last minutes are left to `test`.
STACKS ?= oldest openmmlab onedl
STACK_TESTS ?= -n 2 --dist loadfile --ignore tests/test_demo.py --ignore tests/models/test_learning.py
test-stacks: $(STACKS:%=build/stacks/%) ## test on old torch and on both families of OpenMMLab packages
build/stacks/oldest: export PIP_CONSTRAINT := $(CURDIR)/.ci/oldest.txt
build/stacks/oldest build/stacks/openmmlab: FAMILY := openmmlab
build/stacks/%: FORCE
	rm -rf $@ && mkdir -p $@ && git ls-files | tar -c -T - | tar -x -C $@
	$(MAKE) -C $@ test FAMILY=$(FAMILY) TESTS='$(STACK_TESTS)'
FORCE:

lint: $(INSTALLED) ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# A copy of the package whose op checks every access. It wants the sanitizers' libraries and the C++
# library in the process before Python. Leaks are left out: Python and PyTorch have theirs. Checks of
# null and alignment are left out too: they multiply the time that compiling takes.
ASAN := build/asan
ASAN_FLAGS := -fsanitize=address,signed-integer-overflow,shift,bounds -fno-sanitize-recover=all -O1 -g1
LIBRARY = $(shell $(CXX) -print-file-name=$(1))
asan: $(INSTALLED) ## test the compiled op under sanitizers of addresses and overflows
	rm -rf $(ASAN)/mmstn $(ASAN)/tests && mkdir -p $(ASAN)
	cp -r mmstn tests pyproject.toml $(ASAN) && rm -f $(ASAN)/mmstn/*.so
	cd $(ASAN) && CFLAGS='$(ASAN_FLAGS)' XDG_CACHE_HOME='$(CURDIR)/$(ASAN)/cache' \
	    '$(CURDIR)/$(BIN)/python' -m mmstn.ops.build --no-cuda
	cd $(ASAN) && export LD_PRELOAD='$(foreach name,asan ubsan stdc++,$(call LIBRARY,lib$(name).so))' \
	    ASAN_OPTIONS=detect_leaks=0 OMP_NUM_THREADS=1 && \
	    '$(CURDIR)/$(BIN)/python' -c 'from mmstn.ops import set_backend; set_backend("native")' && \
	    '$(CURDIR)/$(BIN)/python' -m pytest -x -p no:cacheprovider tests/ops/test_native.py

format: $(INSTALLED) ## rewrite the code in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove .venv and whatever was built; trained models stay
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find mmstn -name '*.so' -delete
	find mmstn tests tools configs -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

# torch comes first, by name, so that TORCH can choose its build. Then everything with pip's build
# isolation, where no torch is visible: OneDL's mmcv would else start to compile its own ops. The
# second look at mmstn alone is without isolation, so that its op is compiled against this torch.
$(INSTALLED): pyproject.toml setup.py $(wildcard mmstn/ops/csrc/*) $(wildcard mmstn/ops/csrc/*/*)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	    echo 'mmstn needs Python 3.10 or newer, but "$(PYTHON)" is:' "$$($(PYTHON) --version 2>&1)"; \
	    echo 'Name another one: make $(or $(MAKECMDGOALS),install) PYTHON=python3.12'; exit 1; } >&2
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	    echo '"$(PYTHON) -m venv" does not work here.' \
	        'On Debian and Ubuntu: apt install python3-venv'; exit 1; } >&2
	$(PIP) install $(TORCH)
	$(PIP) install -e '.[$(FAMILY),demo,dev]'
	$(PIP) install --no-build-isolation --no-deps -e . || \
	    echo 'The compiled op was not built (see above). mmstn works without it, only slower.'
	@touch $@
