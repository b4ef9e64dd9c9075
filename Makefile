# Everything a person needs: `make demo` and `make test` do all their own set-up in .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# On Linux the registry's torch brings several GB of CUDA libraries; where this index is reachable the CPU build is taken from it.
TORCH_INDEX ?=
DEMO ?= demo
SECONDS ?= 60
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup wheel demo demo-mcu test test-more test-wide cpp-headers soak lint docs drawings bench bench-bfloat16 bench-compile bench-fine-tuning bench-forms bench-images bench-peer bench-predict bench-recovery bench-merged bench-mcu learn builds arm64 wheels pythons model-zoo clean

help:
	@echo "make demo   set up and run the main job: train, export, verify, pipeline over 4 boards, evaluate (results in $(DEMO)/)"
	@echo "make demo-mcu  train over two emulated microcontrollers and a Linux board; installs emulator and compiler if it may"
	@echo "make wheel  build dist/edgebll-*.whl, which boards and other environments install from"
	@echo "make test   set up and run linters, type checks and tests"
	@echo "make test-more  do all that the documentation shows, and build all graphs with NVIDIA's compiler (needs no GPU)"
	@echo "make test-wide  what both do, on larger networks (a quarter of an hour)"
	@echo "make docs   build the documentation into build/site, strictly; make drawings writes its pictures anew"
	@echo "make fuzz   feed every decoder with mutated input, SECONDS=60 each; needs Linux on x86-64 or an atheris of your own"
	@echo "make fuzz-mcu  the same for plans of microcontrollers and their line, in C under AddressSanitizer; needs gcc"
	@echo "make bench  measure step speed, memory, pipeline scaling and host overhead (bench/RESULTS.md)"
	@echo "            bench-compile: steps against torch.compile; bench-forms: forms of convolution gradients;"
	@echo "            bench-peer: against onnxruntime-training, which needs CPython 3.11"
	@echo "            bench-images: loading a folder of images beside the training steps that it feeds"
	@echo "            bench-bfloat16: training in bfloat16 against float32 and a plain PyTorch loop"
	@echo "            bench-merged: merged models against PyTorch's own export"
	@echo "            bench-mcu: instructions and bytes of training steps on an emulated microcontroller"
	@echo "            bench-mcu-int8: what predicting and training in int8 take there, and accuracy"
	@echo "            bench-mcu-state: what training with weights and moments in int16 and int8 takes there"
	@echo "            bench-fine-tuning: what training a part of a network costs and gives"
	@echo "            bench-predict: predictions in virtual time against runs over agents of this machine"
	@echo "            bench-recovery: what snapshots cost and how long recovering takes"
	@echo "make soak   100 runs under seeded faults, then one of an hour with a fault every minute: bits, memory, descriptors, threads"
	@echo "make soak-mcu  200 runs over microcontrollers whose power, lines, agents and host fail at random"
	@echo "make learn  train all rules over 3 seeds and compare accuracies (bench/RESULTS.md)"
	@echo "make learn-mcu  train digits over emulated microcontrollers, and images on their firmware beside ONNX Runtime"
	@echo "make arm64  run the board agent as emulated arm64 code and compare with this machine (needs Debian's apt)"
	@echo "make pythons run hosts and boards on all CPythons of supported boards that are on this machine, in one cluster"
	@echo "make builds build every operator in every precision with NVIDIA's compiler"
	@echo "make wheels ask the registry for aarch64 wheels of all a board needs, for each CPython of a supported board"
	@echo "make model-zoo  export and train models of torchvision and timm where they are installed; writes docs/reference/model-zoo.md"
	@echo "make lint   ruff, mypy and import contracts only"

setup: $(VENV)/.ready

# Norse, which NIR graphs are compared with, asks for torchvision, which it needs for no neuron: it is installed without.
$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) torch
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/pip install --quiet --constraint constraints.txt --no-deps norse
	@touch $@

wheel: setup
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .

demo: setup
	BIN=$(BIN) OUT=$(DEMO) bash bench/demo.sh

demo-mcu: setup mcu-tools
	BIN=$(BIN) OUT=$(DEMO) bash bench/demo_microcontrollers.sh

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(VENV)/.docs-ready: $(VENV)/.ready
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,docs]'
	@touch $@

# A broken link, an anchor that is missing and a docstring that does not render fail it.
docs: $(VENV)/.docs-ready
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

drawings: setup
	$(BIN)/python docs/drawings/draw.py

# Tests with processes of their own come last and four at a time: they watch the clock, but mostly wait.
test: lint
	$(BIN)/pytest -n auto --dist loadfile -m "not slow and not wide" tests/unit tests/property tests/conformance
	$(BIN)/pytest -n 4 --dist loadfile -m "not slow and not wide" tests/integration

# What takes long and concerns few: other people's compilers, and all that the documentation shows, done as its readers would.
test-more: setup cpp-headers mcu-tools
	$(BIN)/pytest -n auto --dist loadfile -m "not wide" tests/builds tests/documentation
	$(BIN)/pytest -n 4 --dist loadfile -m "slow and not wide" tests/unit tests/property tests/conformance tests/integration

# The same promises on larger networks, by name: before a release, or after a change to what they concern.
test-wide: setup mcu-tools
	$(BIN)/pytest -n 4 --dist loadfile -m wide tests/unit tests/property tests/conformance tests/integration tests/builds

# Headers of ONNX Runtime's C API for examples/cpp, from Debian's package into build/; without them its test says what it needs.
cpp-headers: setup
	cd tests && ../$(BIN)/python -m support.onnxruntime_headers

# Emulator and compiler for microcontrollers, from Debian's packages where this user may install them; otherwise their tests say
# which are missing.
.PHONY: mcu-tools
mcu-tools: setup
	cd tests && ../$(BIN)/python -m support.microcontroller_tools

# Coverage-guided, SECONDS a decoder; what a fuzzer found lies in the current folder.
.PHONY: fuzz
fuzz: setup
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,fuzz]'
	$(BIN)/python tests/soak/fuzz.py $(SECONDS)

# Plans for microcontrollers, changed at random, and bytes on the line to the firmware, against both under sanitizers.
.PHONY: fuzz-mcu
fuzz-mcu: setup
	$(BIN)/python tests/soak/plan_fuzzer.py $(SECONDS)
	$(BIN)/python tests/soak/firmware_fuzzer.py $(SECONDS)

bench: setup
	$(BIN)/python bench/step_speed.py
	OMP_NUM_THREADS=1 $(BIN)/python bench/memory.py
	$(BIN)/python bench/pipeline.py

bench-compile: setup
	$(BIN)/python bench/step_speed.py --compiled

bench-bfloat16: setup
	$(BIN)/python bench/bfloat16.py --compiled bll

bench-forms: setup
	OMP_NUM_THREADS=1 $(BIN)/python bench/convolution_forms.py

bench-peer: setup
	OMP_NUM_THREADS=1 $(BIN)/python bench/peer.py

bench-fine-tuning: setup
	OMP_NUM_THREADS=1 $(BIN)/python bench/fine_tuning.py
	$(MAKE) drawings

bench-predict: setup
	OMP_NUM_THREADS=1 $(BIN)/python bench/predict.py

bench-recovery: setup
	OMP_NUM_THREADS=1 $(BIN)/python bench/recovery.py

bench-images: setup
	OMP_NUM_THREADS=1 $(BIN)/python bench/image_loading.py

bench-mcu: setup mcu-tools
	OMP_NUM_THREADS=1 $(BIN)/python bench/microcontroller.py

.PHONY: bench-mcu-int8
bench-mcu-int8: setup mcu-tools
	OMP_NUM_THREADS=1 $(BIN)/python bench/microcontroller_int8.py
	OMP_NUM_THREADS=1 $(BIN)/python bench/microcontroller_int8_training.py

.PHONY: bench-mcu-state
bench-mcu-state: setup mcu-tools
	OMP_NUM_THREADS=1 $(BIN)/python bench/microcontroller_state.py

# AIFES is a checkout of AIfES, which is no part of edgebll: docs/how-to/compare-with-aifes.md.
.PHONY: bench-aifes
bench-aifes: setup mcu-tools
	$(BIN)/python bench/aifes.py $(AIFES)

bench-merged: setup
	OMP_NUM_THREADS=1 $(BIN)/python bench/merged.py

soak: setup
	OMP_NUM_THREADS=1 $(BIN)/python tests/soak/soak.py

.PHONY: soak-mcu
soak-mcu: setup
	OMP_NUM_THREADS=1 $(BIN)/python tests/soak/microcontrollers.py

learn: setup
	$(BIN)/python bench/learning.py

.PHONY: learn-mcu
learn-mcu: setup mcu-tools
	OMP_NUM_THREADS=1 $(BIN)/python bench/microcontroller_learning.py

arm64: setup
	$(BIN)/python tests/soak/arm64.py

builds: setup
	ALL_BUILDS=1 $(BIN)/pytest -n auto tests/builds

wheels: setup
	$(BIN)/python tests/soak/board_wheels.py

pythons: setup
	$(BIN)/python tests/soak/board_pythons.py

model-zoo: setup
	OMP_NUM_THREADS=1 $(BIN)/python tests/soak/model_zoo.py

clean:
	rm -rf $(VENV) $(DEMO) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
